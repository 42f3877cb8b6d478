// One job: its facts and actions, and the frame that is chosen in the strip, the player, the filmstrip or the contact sheet.
(() => {
  const byId = (id) => document.getElementById(id);
  const id = frames.job, mayAct = byId("job").dataset.mayAct === "1", over = ["completed", "failed", "canceled"];
  const lines = new Map(), folds = new Map();
  const kinds = [
    [["c", "d"], "completed", "completed"], [["w"], "warned", "completed with a warning"], [["a"], "active", "rendering"],
    [["h"], "next", "handed out"], [["f"], "failed", "failed"], [["x"], "canceled", "canceled"], [["q"], "queued", "to come"],
  ];
  let change = -1, at = -1, anchor = -1, following = true, first = true, ended = "", filmTimer = 0, latest = null, shape = "";

  // --- the facts of the job ---
  function showTimes(job) {
    const waits = { queued: "Waiting", paused: "Paused", completed: "Done", failed: "Failed", canceled: "Canceled" };
    const unheard = farm.isSilent() && !over.includes(job.status), known = job.status === "active" && job.eta_words && !unheard;
    byId("left").textContent = unheard ? `${Math.round(job.progress * 100)} %` : known ? `${job.eta_words[0].toUpperCase()}${job.eta_words.slice(1)} left` : waits[job.status] || (job.completed_parts ? `${Math.round(job.progress * 100)} %` : "Starting");
    const soon = job.status === "queued" && job.eta_words && !unheard, wall = job.finished || job.submitted;
    byId("until").textContent = unheard ? farm.asOf() : known || soon ? `done ${farm.expected(job)}` : job.finished ? farm.clock(wall) : `submitted ${farm.clock(wall)}`;
    if (job.status === "active" && !known && !unheard && job.rendering.length && job.completed_parts === job.kept_parts) {
      const begun = firstFrame(Math.max(0, Date.now() / 1000 - job.started), Math.max(...job.rendering.map((worker) => worker.fraction)), farm.span);
      byId("left").textContent = begun.title;
      if (begun.more) byId("until").textContent = begun.more;
    }
    const now = Date.now() / 1000, bounds = job.eta_most ? `Between ${farm.clock(now + job.eta_least)} and ${farm.clock(now + job.eta_most)} in eight of ten cases` : "";
    byId("until").title = unheard ? "" : known || soon ? bounds || (job.eta_seconds === null ? "How much later is not known" : "") : farm.time(wall);
    byId("count").textContent = job.done_words;
    const rendered = job.completed_parts - job.kept_parts;
    byId("each").textContent = rendered > 0 && job.render_seconds ? `${farm.span(job.render_seconds / rendered)} a ${job.steps ? "step" : job.unit}` : "";
    const spent = farm.machineSeconds(job), hours = spent / 3600;
    byId("cost").textContent = hours >= 1 ? `${hours.toFixed(1)} machine hours` : spent ? `${farm.span(spent)} of machine time` : "";
    const energy = farm.energy(job);
    if (spent && energy) byId("cost").textContent += `, ${energy}`;
    byId("cost").title = `What workers spent on it, failed attempts too${energy ? "" : ". The energy that it used is not known: its workers' machines do not tell"}`;
    const names = job.rendering.map((worker) => farm.calm(worker.name)), shown = names.slice(0, 2);
    byId("who").textContent = names.length && !unheard ? `on ${shown.join(names.length === 2 ? " and " : ", ")}${names.length > 2 ? ` and ${names.length - 2} more` : ""}` : "";
    byId("who").title = unheard ? "" : names.join(", ");
  }
  // Why the rest of it waits though some of it runs: the scheduler itself says that, and is not asked at each look.
  let restWaits = "", askAgain = 0;
  function showWhy() {
    const runs = latest.status === "active" && latest.rendering.length;
    const why = [latest.reason && latest.reason !== latest.status ? latest.reason : "", runs && restWaits ? `The rest waits. ${restWaits}` : "", latest.gave_way || ""].filter(Boolean);
    byId("reason").replaceChildren(...(why.length ? [farm.explained(why.join(". "))] : []));
    if (!runs || Date.now() < askAgain) return;
    askAgain = Date.now() + 5000;
    farm.ask(`/jobs/${id}/why`).then(({ queued }) => {
      if (queued === restWaits) return;
      restWaits = queued;
      showWhy();
    }).catch(() => undefined); // It is asked again, and what the page asks at each look says that nobody answers.
  }
  function showJob(job) {
    latest = job;
    byId("status").className = `badge ${job.status}`;
    byId("status").textContent = job.deleting ? "being deleted" : farm.word(job.status);
    showWhy();
    showTimes(job);
    const missing = job.warnings.filter(farm.isMissing), others = job.warnings.filter((warning) => !farm.isMissing(warning));
    byId("revisions").replaceChildren(...job.revisions.slice(1).map((each) => farm.element("div", "name", `Revision ${each.revision}, ${new Date(each.wall * 1000).toLocaleString()}${each.user ? ` by ${each.user}` : ""}: ${each.said}`)));
    byId("warnings").replaceChildren(...folded("files are missing", missing), ...folded("warnings", others), ...[...job.kept_off, ...job.put_off].map(offJob), ...job.stuck.map(stuckAt));
    byId("now").classList.toggle("d-none", !job.rendering.length);
    byId("rendering").replaceChildren(...job.rendering.map(atWork));
    const ends = over.includes(job.status), paused = job.status === "paused";
    const button = (action) => document.querySelector(`[data-action=${action}]`);
    if (mayAct) {
      button("pause").classList.toggle("d-none", ends || paused);
      button("resume").classList.toggle("d-none", !paused);
      button("cancel").classList.toggle("d-none", ends);
      byId("delete").classList.toggle("d-none", !ends);
    }
    ended = job.status;
  }
  // A warning; one about a frame leads to it.
  function warned(warning) {
    const line = lines.get(warning) || farm.element("div", "attn");
    if (lines.has(warning)) return line;
    lines.set(warning, line);
    const what = farm.element("div", "what");
    what.append(farm.explained(warning));
    line.append(what);
    const about = /^Frame (-?\d+) /.exec(warning);
    if (about) line.append(farm.button(`Show frame ${about[1]}`, "", async () => { const found = frames.find(Number(about[1])); if (found >= 0) choose(found); }));
    return line;
  }
  // Several warnings of a kind are one line, with their number.
  function folded(what, warnings) {
    if (warnings.length < 2) return warnings.map(warned);
    const line = folds.get(what) || farm.element("details", "folded");
    if (!folds.has(what)) line.append(farm.element("summary", "attn"), farm.element("div"));
    folds.set(what, line);
    line.firstElementChild.textContent = `${warnings.length} ${what}`;
    line.lastElementChild.replaceChildren(...warnings.map(warned));
    return [line];
  }
  // What a worker does for the job just now.
  function atWork(worker) {
    const line = farm.element("div");
    const name = farm.link(`/workers/${worker.id}`, worker.name);
    name.title = worker.name;
    const frame = farm.element("button", "", worker.frame === null ? "starting" : `frame ${worker.frame}`);
    frame.type = "button";
    frame.disabled = worker.frame === null;
    frame.addEventListener("click", () => { const found = frames.find(worker.frame); if (found >= 0) choose(found); });
    line.append(name, frame, farm.bar(worker.fraction, worker.name), farm.element("span", "words", worker.line));
    return line;
  }
  // A worker at which the job seems stuck: nothing ends that before its limit.
  function stuckAt(worker) {
    const line = farm.element("div", "attn"), what = farm.element("div", "what");
    what.append(farm.link(`/workers/${worker.id}`, farm.calm(worker.name)), " ", farm.explained(worker.reason));
    line.append(what);
    return line;
  }
  // A worker that the job does not go to any more, or not for some minutes, and the way to let it try again.
  function offJob(off) {
    const line = farm.element("div", "attn");
    const how = off.readmitted ? `put off until ${farm.clock(off.readmitted)}` : `kept off this job after ${farm.several(off.failures, "failure")}`;
    const what = farm.element("div", "what", `${off.worker_name} is ${how}: `);
    what.append(farm.prose(off.reason));
    line.append(what);
    if (mayAct) line.append(farm.button("Readmit", "Let it try again", () => act("readmit", off.worker)));
    return line;
  }
  // How many frames stand how; a click goes to the next of them.
  function showLegend() {
    const counts = {};
    frames.list.forEach((part) => { counts[part.state] = (counts[part.state] || 0) + 1; });
    byId("legend").replaceChildren(...kinds.flatMap(([states, dot, text]) => {
      const count = states.reduce((sum, state) => sum + (counts[state] || 0), 0) + (dot === "queued" ? frames.unplanned : 0);
      if (!count) return [];
      const made = farm.element("button");
      made.type = "button";
      made.title = "Go to the next of them";
      made.append(farm.element("i", `dot ${dot}`), ` ${count.toLocaleString()} ${text}`);
      made.addEventListener("click", () => {
        const fits = (part) => states.includes(part.state);
        const next = frames.list.find((part) => part.index > at && fits(part)) || frames.list.find(fits);
        if (next) choose(next.index);
      });
      return [made];
    }));
  }
  // The frames around the chosen one.
  function showFilm() {
    const most = 7, from = Math.max(0, Math.min(at - 3, frames.list.length - most));
    const near = frames.list.slice(from, from + most);
    if (!frames.latest() || near.length < 2) { byId("film").replaceChildren(); return; }
    byId("film").replaceChildren(...near.map((part) => {
      const made = farm.element("button", part.index === at ? "cur" : "");
      made.type = "button";
      made.setAttribute("aria-label", `${frames.named(part)}, ${frames.said(part)}`);
      if (frames.pictured(part)) {
        const image = farm.element("img");
        image.alt = "";
        image.src = frames.thumbnail(part);
        image.addEventListener("error", () => image.remove());
        made.append(image);
      }
      made.append(farm.element("span", "", frames.isFilm(part) ? "film" : part.frame));
      made.addEventListener("click", () => choose(part.index));
      return made;
    }));
  }

  // --- the chosen frame ---
  function show(index, how = {}) {
    at = index;
    const part = frames.list[index];
    strip.show(index);
    player.show(index, how.scrub);
    inspector.show(part);
    if (how.play) return;
    contactsheet.choose(part.id);
    window.clearTimeout(filmTimer);
    filmTimer = window.setTimeout(showFilm, how.scrub ? 120 : 0);
  }
  // Somebody chooses a frame. `extend`: all from the one chosen before, too; `toggle`: it too, or no longer; `keep`: what is selected
  // stays; `play`: the player goes on by itself.
  function choose(index, how = {}) {
    following = false;
    byId("latest").setAttribute("aria-pressed", "false");
    if (!how.play && player.playing) player.play(false);
    const { list, selected } = frames;
    if (how.extend) {
      if (anchor < 0) anchor = Math.max(0, at);
      selected.clear();
      for (let each = Math.min(anchor, index); each <= Math.max(anchor, index); each += 1) selected.add(list[each].id);
    } else if (how.toggle) {
      selected[selected.has(list[index].id) ? "delete" : "add"](list[index].id);
      anchor = index;
    } else if (!how.keep && !how.play) {
      selected.clear();
      anchor = index;
    } else if (how.play) {
      anchor = index;  // where it is stopped, a selection begins
    }
    if (!how.keep && !how.play) showSelected();
    show(index, how);
  }
  function showSelected() {
    const count = frames.selected.size, button = byId("requeue-selected");
    strip.update();
    contactsheet.select();
    if (!button) return;
    button.classList.toggle("d-none", count < 2);
    button.textContent = `Requeue ${farm.several(count, "frame")}`;
  }
  function showLatest() {
    const found = frames.latest() || frames.list.find((part) => part.state === "a" || part.state === "f") || frames.list[0];
    if (found && (found.index !== at || first)) show(found.index);
  }
  function showLarge() {
    const part = frames.nearest(at);
    if (!part) return;
    byId("large-title").textContent = frames.named(part);
    byId("large-picture").alt = frames.named(part);
    byId("large-picture").src = frames.picture(part, 3840, Number(byId("large-exposure").value) || 0, frames.job, player.layer());
    if (!byId("large").open) byId("large").showModal();
  }

  // --- times, stages ---
  async function showPlots() {
    const cells = await farm.ask(`/jobs/${id}/cells`);
    const parts = cells.rows.map((row) => Object.fromEntries(cells.columns.map((column, place) => [column, row[place]])));
    const done = parts.filter((part) => part.status === "completed" && part.seconds > 0 && part.piece >= 0);
    const points = (value, said) => done.map((part) => ({ x: part.frame, y: value(part), group: cells.workers[part.worker], title: `Frame ${part.frame}: ${said(value(part))}` }));
    byId("plots").replaceChildren(
      plot.draw("Time a frame took, by worker", points((p) => p.seconds, farm.duration), farm.duration, { showX: (x) => `frame ${Math.round(x)}` }),
      plot.draw("Memory a frame needed, by worker", points((p) => p.memory, farm.size), farm.size, { showX: (x) => `frame ${Math.round(x)}` }),
    );
  }
  // How a stage stands as a whole, by its tasks.
  function standsOf({ counts, tasks }) {
    if (counts.failed) return "failed";
    if ((counts.completed ?? 0) >= tasks) return "completed";
    return counts.active ? "active" : "queued";
  }
  const counted = ({ counts, tasks }) => [`${(counts.completed ?? 0).toLocaleString()} of ${farm.several(tasks, "task")}`, ...["active", "failed", "canceled"].filter((each) => counts[each]).map((each) => `${counts[each].toLocaleString()} ${each}`)].join(", ");
  async function showGraph() {
    const told = await farm.ask(`/jobs/${id}/graph`);
    const stages = told.stages.map((stage) => ({ id: stage.name, name: stage.name, standing: counted(stage), status: standsOf(stage), share: (stage.counts.completed ?? 0) / stage.tasks }));
    const waits = told.stages.flatMap((stage) => stage.after.map((wait) => ({ from: wait.stage, to: stage.name, dashed: wait.by_frame, title: `${stage.name} waits for ${wait.by_frame ? "the same frame of " : ""}${wait.stage}` })));
    const shown = [farm.element("h3", "h6", "Stages of this job"), graph.draw("Stages of this job", stages, waits)];
    if (told.waits.length) {
      const names = new Map(told.jobs.map((job) => [job.id, job.name]));
      const gone = [...new Set(told.waits.map((wait) => wait.after))].filter((each) => !names.has(each));
      const jobs = told.jobs.map((job) => ({ id: job.id, name: job.name, standing: `${farm.word(job.status)}, ${job.done_words}`, status: job.status, share: job.units ? job.units_done / job.units : 0, url: `/jobs/${job.id}`, own: job.id === id }));
      jobs.push(...gone.map((each) => ({ id: each, name: each.slice(0, 8), standing: "deleted", status: "deleted", share: 0 })));
      const lines = told.waits.map((wait) => ({ from: wait.after, to: wait.job, dashed: wait.by_frame, title: `${names.get(wait.job) ?? wait.job} waits for ${wait.by_frame ? "frames of " : ""}${names.get(wait.after) ?? wait.after}` }));
      shown.push(farm.element("h3", "h6", "Jobs that wait for each other"), graph.draw("Jobs that wait for each other", jobs, lines));
      if (told.left_out) shown.push(farm.element("p", "small text-body-secondary", "There are more jobs, which are not shown"));
    }
    if ([...waits, ...told.waits].some((each) => each.dashed || each.by_frame)) shown.push(farm.element("p", "small text-body-secondary", "A broken line: frame by frame"));
    byId("graph").replaceChildren(...shown);
  }

  // --- what happens ---
  // The job is deleted, here or elsewhere: nothing on this page is true any more.
  let left = false, isOutdated = false;
  function leave() {
    left = true;
    farm.leave("/jobs/", `${byId("job").dataset.name} is deleted`);
  }
  async function look() {
    if (left) return;
    const told = await farm.ask(`/jobs/${id}/strip?since=${change}`).catch((error) => {
      if (error.status === 404) leave();
      throw error;
    });
    change = told.change;
    // Frames were added or taken out: what is drawn here numbers others.
    const numbered = `${told.job.settings?.frames} ${told.job.part_count}`;
    if (shape && shape !== numbered) {
      if (!byId("job").querySelector(".job-actions [aria-expanded=true]")) { window.location.reload(); return; }
      isOutdated = true; // What somebody types into the menu's form would be lost: once that is closed.
      showJob(told.job);
      return;
    }
    shape = numbered;
    const before = frames.list[at], known = frames.list.length;
    const changed = frames.take(told, told.job.part_count);
    showJob(told.job);
    if (before) at = before.index;
    if (changed.length || first) {
      contactsheet.update(changed);
      showLegend();
      strip.update();
      const wanted = /^#frame-(\d+)$/.exec(window.location.hash), part = first && wanted ? frames.byId.get(Number(wanted[1])) : null;
      if (part) choose(part.index);
      else if (following) showLatest();
      else if (known !== frames.list.length) strip.show(at);
      if (at >= 0 && !player.playing) showFilm();
      player.update();
      if (byId("pane-plots").classList.contains("active")) showPlots().catch(farm.complain);
    }
    if (byId("pane-graph").classList.contains("active")) showGraph().catch(farm.complain);
    inspector.update(changed, told.job);
    if (frames.list.length) first = false;
  }
  farm.onSilence(() => { if (latest) showTimes(latest); });
  const soon = farm.watch(["job", "jobs", "part", "parts", "attempt", "worker", "progress", "kept_off"], look, id);

  document.addEventListener("hidden.bs.dropdown", () => { if (isOutdated) window.location.reload(); });
  function closeMenus() {
    document.querySelectorAll(".job-actions [aria-expanded=true]").forEach((each) => bootstrap.Dropdown.getInstance(each)?.hide());
  }
  async function act(action, value) {
    farm.content();
    closeMenus();
    try {
      await farm.act(id, action, value);
      await look();
    } catch (error) {
      farm.complain(error);
    }
  }
  document.querySelectorAll("[data-action]").forEach((button) => {
    button.addEventListener("click", () => act(button.dataset.action, button.dataset.value));
  });
  byId("frame-requeue")?.addEventListener("click", () => act("requeue", String(frames.list[at].frame)));
  byId("requeue-selected")?.addEventListener("click", () => act("requeue", [...new Set([...frames.selected].map((each) => frames.byId.get(each).frame))].join(",")));
  byId("delete")?.addEventListener("click", async () => {
    if (!window.confirm("Delete this job, its logs, its record and the frames that it rendered?")) return;
    farm.content();
    closeMenus();
    farm.act(id, "delete", "both").then(leave).catch(farm.complain);
  });
  byId("priority-form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    act("priority", Number(byId("priority").value));
  });

  // What the form says otherwise than the job: another revision of it, or a job of its own.
  byId("edit-form")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const how = event.submitter?.value || "edit", name = byId("edit-name"), settings = {}, asked = {};
    const before = (input) => (input.options ? [...input.options].find((each) => each.defaultSelected)?.value : input.defaultValue);
    event.target.querySelectorAll("[data-setting]").forEach((input) => {
      if (input.value === before(input)) return;
      settings[input.dataset.setting] = input.type !== "number" ? input.value : input.value ? Number(input.value) : null;
    });
    const shares = { licences: (text) => text.split(",").map((each) => each.trim()).filter(Boolean), pool: (text) => text.trim(), gpu_memory: (text) => Math.round(Number(text) * 1e9) };
    event.target.querySelectorAll("[data-share]").forEach((input) => {
      if (input.value !== input.defaultValue) asked[input.dataset.share] = (shares[input.dataset.share] || Number)(input.value);
    });
    Object.assign(asked, { settings, ...(name.value === name.defaultValue ? {} : { name: name.value }) });
    try {
      const told = await farm.post(`/jobs/${id}/${how}`, how === "edit" ? { ...asked, from_now_on: byId("from-now-on").checked } : asked);
      if (how === "clone") { window.location.assign(`/jobs/${told.id}`); return; }
      farm.content();
      closeMenus();
      event.target.querySelectorAll("input:not([type=checkbox])").forEach((input) => { input.defaultValue = input.value; });
      event.target.querySelectorAll("option").forEach((option) => { option.defaultSelected = option.selected; });
      look();
    } catch (error) {
      farm.complain(error);
    }
  });

  [strip, player, contactsheet].forEach((each) => each.onMove(choose));
  const by = (step, how) => { if (frames.list.length) choose(Math.max(0, Math.min(frames.list.length - 1, at + step)), how); };
  byId("back").addEventListener("click", () => by(-1));
  byId("forth").addEventListener("click", () => by(1));
  byId("at").addEventListener("change", () => {
    const number = Number(byId("at").value);
    if (Number.isInteger(number) && frames.list.length) choose(frames.find(number));
    byId("at").blur();
  });
  byId("latest").addEventListener("click", () => {
    following = true;
    byId("latest").setAttribute("aria-pressed", "true");
    player.play(false);
    following = true;
    showLatest();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, [role=tab], .joblog, .dropdown-menu")) return;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      by(event.key === "ArrowLeft" ? -1 : 1, { extend: event.shiftKey, scrub: event.repeat });
    }
    if (event.key === " " && !event.target.closest("button, a, summary")) {
      event.preventDefault();
      player.toggle();
    }
  });
  byId("enlarge").addEventListener("click", showLarge);
  byId("screen").addEventListener("dblclick", showLarge);
  byId("large-exposure").addEventListener("change", showLarge);
  byId("zoom").addEventListener("click", () => byId("zoom").setAttribute("aria-pressed", byId("large").classList.toggle("zoomed")));
  byId("tab-plots").addEventListener("shown.bs.tab", () => showPlots().catch(farm.complain));
  byId("tab-graph").addEventListener("shown.bs.tab", () => showGraph().catch(farm.complain));
  window.setInterval(() => { if (!over.includes(ended)) soon(); }, 3000);
})();
