// One job: its progress, its grid of frames, and one frame's attempts and log.
(() => {
  const byId = (id) => document.getElementById(id);
  const id = byId("job").dataset.id;
  const split = byId("job").dataset.type === "blender-still";
  const many = 2000, group = 250;
  const parts = new Map(), cells = new Map(), selected = new Set(), lines = new Map();
  let change = -1, chosen = null, ended = "", names = {}, first = true;

  function showJob(job) {
    byId("status").className = `badge ${job.status}`;
    byId("status").textContent = job.deleting ? "being deleted" : job.status;
    byId("reason").textContent = job.reason;
    const percent = Math.round(job.progress * 100);
    byId("bar").style.width = `${percent}%`;
    byId("progress").setAttribute("aria-valuenow", percent);
    byId("count").textContent = `${job.completed_parts} of ${job.part_count} frames`;
    byId("eta").textContent = job.eta_seconds ? `about ${farm.duration(job.eta_seconds)} left` : "";
    byId("times").textContent = job.finished ? `finished ${farm.time(job.finished)}` : `submitted ${farm.time(job.submitted)}`;
    byId("cost").textContent = job.render_seconds ? `${(job.render_seconds / 3600).toFixed(2)} machine hours` : "";
    const shown = job.warnings.map(warned);
    byId("warnings").replaceChildren(...shown, ...job.kept_off.map(keptOff));
    byId("rendering").replaceChildren(...job.rendering.map(atWork));
    const over = ["completed", "failed", "canceled"].includes(job.status);
    const able = { pause: !over && job.status !== "paused", resume: job.status === "paused", cancel: !over };
    Object.entries(able).forEach(([action, is]) => { const button = document.querySelector(`[data-action=${action}]`); if (button) button.disabled = !is; });
    if (byId("delete")) byId("delete").disabled = !over;
    if (ended !== job.status && chosen !== null) showFrame(chosen).catch(farm.complain);
    ended = job.status;
  }

  // A warning; one about a frame has its small picture, and leads to it.
  function warned(warning) {
    const line = lines.get(warning) || farm.element("div", "alert alert-warning py-1 px-2 small mb-1", warning);
    lines.set(warning, line);
    const about = /^Frame (-?\d+) /.exec(warning);
    if (!about || line.querySelector("img")) return line;
    const part = [...parts.values()].find((each) => each.frame === Number(about[1]) && each.piece === 0 && each.status === "completed");
    if (!part) return line;
    const image = farm.element("img", "me-2");
    image.alt = "";
    image.height = 48;
    line.prepend(image);
    line.role = "button";
    line.addEventListener("click", () => choose(part.id).catch(farm.complain));
    picture(image, part);
    return line;
  }

  // What a worker does for the job just now.
  function atWork(worker) {
    const line = farm.element("div", "d-flex gap-2 align-items-center");
    const where = worker.frame === null ? "starting" : `frame ${worker.frame}, ${Math.round(worker.fraction * 100)} %`;
    line.append(farm.bar(worker.fraction, worker.name), farm.link(`/workers/${worker.id}`, worker.name), farm.element("span", "", where));
    if (worker.line) line.append(farm.element("span", "text-body-secondary text-truncate", worker.line));
    return line;
  }

  // A worker that the job does not go to any more, and the way to let it try again.
  function keptOff(off) {
    const text = `${off.worker_name} is kept off this job after ${off.failures} failures in a row: ${off.reason} `;
    const line = farm.element("div", "alert alert-warning py-1 px-2 small mb-1", text);
    if (byId("job").dataset.mayAct === "1") line.append(farm.button("Readmit", "Let it try again", () => act("readmit", off.worker)));
    return line;
  }

  // A still that is split gets cleaner with each piece: the newest small picture shows all that is there.
  function preview(part) {
    const image = byId("preview");
    if (part.status !== "completed" || !part.output || part.finished < Number(image.dataset.finished || 0)) return;
    image.dataset.finished = part.finished;
    image.classList.remove("d-none");
    picture(image, part);
  }

  // The small picture comes a moment after the frame: it is asked for a few times.
  function picture(image, part, tries = 6) {
    image.onerror = () => {
      image.removeAttribute("src");
      if (tries) window.setTimeout(() => picture(image, part, tries - 1), 1000);
    };
    image.src = `/jobs/${id}/thumbnails/${part.id}?${part.change}`;
  }

  // The last part of a job whose scene writes a movie is that film.
  function named(part) {
    return part.piece < 0 ? "The film" : `Frame ${part.frame}`;
  }

  function makeCell(part) {
    const cell = farm.element("button", "cell");
    cell.type = "button";
    cell.dataset.line = "";
    cell.append(farm.element("span", "", part.piece > 0 ? `${part.frame} · ${part.piece}` : part.piece < 0 ? "film" : part.frame));
    cell.addEventListener("click", (event) => choose(part.id, event).catch(farm.complain));
    cells.set(part.id, cell);
    let box = byId("frames").lastElementChild;
    if (!box || box.childElementCount >= group) {
      box = farm.element("div", "box");
      byId("frames").append(box);
    }
    box.append(cell);
    return cell;
  }

  function showPart(part) {
    const cell = cells.get(part.id) || makeCell(part);
    cell.className = `cell ${part.status}${part.id === chosen ? " chosen" : ""}${selected.has(part.id) ? " selected" : ""}`;
    const where = names[part.worker] ? ` on ${names[part.worker]}` : "";
    cell.title = `${named(part)}: ${part.status}${where}${part.status === "completed" ? `, ${farm.duration(part.seconds)}` : ""}${part.warnings ? ", with a warning" : ""}`;
    cell.setAttribute("aria-label", cell.title);
    if (part.status === "completed" && part.output && byId("frames").classList.contains("pictures")) {
      let image = cell.querySelector("img");
      if (!image) {
        image = farm.element("img");
        image.alt = "";
        image.loading = "lazy";
        cell.prepend(image);
      }
      if (image.dataset.change !== String(part.change)) { image.dataset.change = part.change; picture(image, part); }
    }
    if (split) preview(part);
    if (part.id === chosen) showFrame(part.id).catch(farm.complain);
  }

  async function choose(part, event) {
    if (event?.shiftKey && chosen !== null) {
      const order = [...parts.keys()];
      const [from, to] = [order.indexOf(chosen), order.indexOf(part)].sort((a, b) => a - b);
      order.slice(from, to + 1).forEach((each) => selected.add(each));
    } else if (event?.ctrlKey || event?.metaKey) {
      selected[selected.has(part) ? "delete" : "add"](part);
    } else {
      selected.clear();
    }
    const before = chosen;
    chosen = part;
    [before, part, ...(selected.size || event ? parts.keys() : [])].forEach((each) => {
      const cell = cells.get(each);
      if (!cell) return;
      cell.classList.toggle("chosen", each === chosen);
      cell.classList.toggle("selected", selected.has(each));
    });
    const button = byId("requeue-selected");
    if (button) {
      button.classList.toggle("d-none", !selected.size);
      button.textContent = `Requeue ${selected.size} selected`;
    }
    await showFrame(part);
  }

  async function showFrame(number) {
    const part = parts.get(number);
    const done = part.status === "completed" && part.output && part.piece <= 0;
    const isFilm = part.piece < 0;
    byId("frame").classList.remove("d-none");
    byId("frame-none").classList.add("d-none");
    byId("frame-title").textContent = named(part);
    byId("frame-link").classList.toggle("d-none", !done || isFilm);
    byId("frame-file").classList.toggle("d-none", !done);
    if (done) {
      byId("frame-file").href = `/jobs/${id}/frames/${part.id}`;
      byId("frame-picture").alt = `Frame ${part.frame}`;
      picture(byId("frame-picture"), part);
    }
    const facts = [part.status];
    if (names[part.worker]) facts.push(`on ${names[part.worker]}`);
    if (part.status === "completed") facts.push(`in ${farm.duration(part.seconds)}`);
    if (done) facts.push(farm.size(part.size));
    if (part.memory) facts.push(`${farm.size(part.memory)} of memory`);
    byId("frame-facts").textContent = facts.join(" · ");
    const attempts = await farm.ask(`/jobs/${id}/attempts${isFilm ? "" : `?frame=${part.frame}`}`);
    const lines = attempts.map((attempt) => {
      const line = farm.element("button", "btn btn-sm btn-link p-0 d-block text-start text-decoration-none");
      line.type = "button";
      line.append(farm.badge(attempt.outcome), ` ${attempt.worker_name} ${farm.time(attempt.granted)} ${attempt.reason}`);
      line.addEventListener("click", () => showLog(attempt.id).catch(farm.complain));
      return line;
    });
    byId("attempts").replaceChildren(...(lines.length ? lines : [farm.element("span", "text-body-secondary", "none yet")]));
    if (attempts.length) await showLog(attempts[0].id);
    else byId("log").textContent = "";
  }

  async function showLog(attempt) {
    const answer = await farm.ask(`/jobs/${id}/log?attempt=${attempt}`);
    byId("log").textContent = answer.text || "(nothing has arrived yet)";
    byId("log").scrollTop = byId("log").scrollHeight;
  }

  function showLarge() {
    const part = parts.get(chosen);
    byId("large-title").textContent = `Frame ${part.frame}`;
    byId("large-picture").alt = `Frame ${part.frame}`;
    byId("large-picture").src = `/jobs/${id}/pictures/${part.id}?width=3840&exposure=${Number(byId("large-exposure").value) || 0}&of=${part.change}`;
    if (!byId("large").open) byId("large").showModal();
  }

  function showPlots() {
    const done = [...parts.values()].filter((part) => part.status === "completed" && part.seconds > 0 && part.piece >= 0);
    const points = (value, show) => done.map((part) => ({ x: part.frame, y: value(part), group: names[part.worker], title: `Frame ${part.frame}: ${show(value(part))}` }));
    byId("plots").replaceChildren(
      plot.draw("Seconds a frame took, by worker", points((p) => p.seconds, farm.duration), farm.duration, { showX: (x) => `frame ${Math.round(x)}` }),
      plot.draw("Memory a frame needed, by worker", points((p) => p.memory, farm.size), farm.size, { showX: (x) => `frame ${Math.round(x)}` }),
    );
  }

  async function showGraph() {
    const graph = await farm.ask(`/jobs/${id}/graph`);
    const boxes = graph.stages.flatMap((stage, place) => {
      const box = farm.element("div", "card card-body flex-grow-0 small");
      box.append(farm.element("strong", "", stage.name));
      Object.entries(stage.counts).forEach(([status, count]) => {
        const line = farm.element("span");
        line.append(farm.badge(status), ` ${count} tasks`);
        box.append(line);
      });
      return place ? [farm.element("span", "fs-3", "→"), box] : [box];
    });
    byId("graph").replaceChildren(...boxes);
  }

  async function look() {
    const told = await farm.ask(`/jobs/${id}/cells?since=${change}`);
    change = told.change;
    names = { ...names, ...told.workers };
    if (first) {
      const few = told.rows.length <= many;
      byId("pictures").checked = few;
      byId("frames").classList.toggle("pictures", few);
    }
    told.rows.forEach((row) => {
      const part = Object.fromEntries(told.columns.map((column, place) => [column, row[place]]));
      parts.set(part.id, part);
      showPart(part);
    });
    showJob(told.job);
    if (told.rows.length) {
      flipbook.take([...parts.values()].sort((a, b) => a.frame - b.frame));
      if (byId("pane-plots").classList.contains("active")) showPlots();
    }
    const wanted = /^#frame-(\d+)$/.exec(window.location.hash);
    if (first && wanted && parts.has(Number(wanted[1]))) await choose(Number(wanted[1]));
    first = false;
  }
  const soon = farm.watch(["job", "jobs", "part", "parts", "attempt", "worker", "progress", "kept_off"], look, id);

  async function act(action, value) {
    farm.content();
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
  byId("frame-requeue")?.addEventListener("click", () => act("requeue", String(parts.get(chosen).frame)));
  byId("requeue-selected")?.addEventListener("click", () => act("requeue", [...selected].map((each) => parts.get(each).frame).join(",")));
  byId("delete")?.addEventListener("click", async () => {
    if (!window.confirm("Delete this job, its logs, its record and the frames that it rendered?")) return;
    await act("delete", "both");
    if (byId("problem").classList.contains("d-none")) window.location.href = "/jobs/";
  });
  byId("priority-form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    act("priority", Number(byId("priority").value));
  });
  byId("pictures").addEventListener("change", (event) => {
    byId("frames").classList.toggle("pictures", event.target.checked);
    parts.forEach(showPart);
  });
  byId("frame-link").addEventListener("click", (event) => { event.preventDefault(); showLarge(); });
  byId("large-exposure").addEventListener("change", showLarge);
  byId("zoom").addEventListener("click", () => byId("zoom").setAttribute("aria-pressed", byId("large").classList.toggle("zoomed")));
  byId("tab-plots").addEventListener("shown.bs.tab", showPlots);
  byId("tab-graph").addEventListener("shown.bs.tab", () => showGraph().catch(farm.complain));
  window.setInterval(() => { if (!["completed", "failed", "canceled"].includes(ended)) soon(); }, 3000);
})();
