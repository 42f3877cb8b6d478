// The farm at a glance: five figures, what needs somebody, what renders, and each worker's lane.
(() => {
  const byId = (id) => document.getElementById(id);
  const attentionShown = 4, ticksMost = 120;
  let open = false, told = null, said = "last hour", twin = () => "";

  function figure(value, text, href, title, before = "") {
    const made = farm.element("span");
    const inner = href ? farm.link(href, "", "") : made;
    inner.append(before, farm.element("strong", "", value), ` ${text}`);
    if (inner !== made) made.append(inner);
    if (title) made.title = title;
    return made;
  }
  function figures() {
    const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
    const there = sum(told.workers) - (told.workers.offline || 0), jobs = told.jobs;
    const silent = farm.isSilent();
    const waiting = (jobs.queued || 0) + (jobs.paused || 0), active = jobs.active || 0;
    const share = lanes.busy();
    const but = told.left_unknown ? `all but ${farm.several(told.left_unknown, "job")}` : "all";
    const unknown = told.left_unknown ? ". Nothing is known of the others" : "";
    byId("figures").replaceChildren(
      figure(`${told.rendering.toLocaleString()} of ${there.toLocaleString()}`, `${there === 1 ? "worker" : "workers"} ${silent ? farm.asOf() : "rendering"}`, "/workers/"),
      figure(active.toLocaleString(), `${active === 1 ? "job" : "jobs"} rendering${waiting ? `, ${waiting.toLocaleString()} waiting` : ""}`, "/jobs/?status=queued,active,paused"),
      figure(told.frames.hour.toLocaleString(), `${told.frames.hour === 1 ? "frame" : "frames"} this hour`, "", `${farm.several(told.frames.day, "frame", "frames")} in the last day`),
      ...(share === null ? [] : [figure(`${Math.round(share * 100)} %`, `busy, ${said}`)]),
      ...(!told.left_words || silent
        ? active + waiting + told.attention.length ? [] : [figure("All done", "")]
        : [figure(farm.expected(told, "left"), "", "", `${told.left_words}, by what their frames took so far${unknown}`, `${but} done `)]),
    );
  }

  function share(job) {
    const bar = farm.element("div", "share");
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", job.done_words);
    const parts = Math.max(job.part_count, 1);
    if (parts <= ticksMost) {
      bar.classList.add("ticks");
      bar.style.setProperty("--tick", `${100 / parts}%`);
    }
    [["done", job.completed_parts], ["fail", Math.min(job.failed_tasks, parts)], ["run", job.workers]].forEach(([kind, count]) => {
      if (!count) return;
      const part = farm.element("i", kind);
      part.style.width = `max(${Math.min(100, (count / parts) * 100)}%, 3px)`;
      bar.append(part);
    });
    return bar;
  }
  function shot(job) {
    const card = farm.link(`/jobs/${job.id}`, "", "shot");
    card.dataset.line = "";
    const poster = farm.element(job.picture ? "img" : "div", "poster");
    if (job.picture) {
      poster.src = `/jobs/${job.id}/thumbnails/${job.picture.part}`;
      poster.alt = `Frame ${job.picture.frame}`;
      poster.addEventListener("error", () => poster.replaceWith(farm.element("div", "poster")));
    }
    const middle = farm.element("div");
    const title = farm.element("h3");
    title.append(farm.element("bdi", job.name.length > 100 ? "long-name" : "", job.name));
    title.title = job.name;
    const running = job.status === "active" && job.workers;
    title.append(farm.element("span", `badge ${running ? "active" : job.status === "active" ? "queued" : job.status}`, running ? farm.several(job.workers, "worker", "workers") : job.status === "paused" ? "paused" : "waiting"));
    middle.append(title, farm.element("p", "facts", [job.project, job.user, ...job.brief, job.priority === 50 ? "" : `priority ${job.priority}`, twin(job)].filter(Boolean).join(" · ")), share(job));
    if (job.status === "active" && !running && !job.reason && !job.said) middle.append(farm.element("div", "why", "Its workers are at other jobs just now"));
    if (job.reason && !(running && !job.failed_tasks)) middle.append(farm.prose(job.reason, "why"));
    const left = farm.element("div", "left");
    const mean = job.completed_parts > job.kept_parts ? `${farm.span(job.render_seconds / (job.completed_parts - job.kept_parts))} a ${job.steps ? "step" : job.unit}` : "";
    if (job.eta_words && !farm.isSilent()) left.append(farm.element("strong", "", job.eta_words));
    const facts = [...job.done_words.split(", "), mean].filter(Boolean);
    left.append(...facts.flatMap((text, place) => [place ? ", " : "", farm.element("span", "text-nowrap", text)]).filter(Boolean));
    card.append(poster, middle, left);
    return card;
  }

  const acts = { requeue: "Requeue failed", readmit: "Let it try again", enable: "Let it try again" };
  function attention(each) {
    const line = farm.element("div", "attn");
    const href = each.kind === "job" ? `/jobs/${each.id}` : `/${each.kind}s/${each.id}`;
    const text = farm.element("div", "what");
    const name = farm.link(href, "", "fw-semibold text-reset text-decoration-none me-2");
    name.append(farm.element("bdi", "", each.name), twin(each) ? ` ${twin(each)}` : "");
    const why = farm.element("bdi");
    why.append(farm.prose(each.why));
    text.append(name, why);
    const buttons = farm.element("div", "text-nowrap");
    if (each.action && farm.may(`act ${each.action}`, each.user)) {
      buttons.append(farm.button(acts[each.action], acts[each.action], () => (each.kind === "job" ? farm.act : farm.actOnNode)(each.id, each.action)));
    }
    const where = each.why.startsWith("No worker is connected") ? ["/workers/", "Add a worker"] : [href, farm.isMissing(each.why) ? "Show them" : "Show it"];
    buttons.append(farm.link(where[0], where[1], "btn btn-sm btn-outline-secondary py-0"));
    line.append(text, buttons);
    return line;
  }

  // A list is made again only where something in it changed, so that what is focused stays so.
  const shown = new Map();
  function list(id, rows, make) {
    const now = JSON.stringify([rows, farm.isSilent()]);
    if (shown.get(id) === now) return;
    shown.set(id, now);
    byId(id).replaceChildren(...rows.map(make));
  }

  const showActive = () => {
    const first = open ? told.attention : told.attention.slice(0, attentionShown);
    // What stands above is not said again.
    const isSaid = (job) => first.some((each) => each.id === job.id && each.why.endsWith(job.reason));
    list("active", told.active.map((job) => (job.reason && isSaid(job) ? { ...job, reason: "", said: true } : job)), shot);
  };
  farm.onSilence(() => { if (told) { figures(); showActive(); } });
  const look = farm.watch(["job", "worker", "part", "manager", "kept_off"], async () => {
    told = await farm.ask("/overview");
    twin = farm.apart([...told.active, ...told.attention]);
    figures();
    const first = open ? told.attention : told.attention.slice(0, attentionShown);
    list("attention", first, attention);
    showActive();
    const run = told.active.filter((job) => job.workers).length;
    byId("active-title").textContent = !run && told.active.length ? "Waiting" : run < told.active.length ? "Rendering and waiting" : "Rendering";
    byId("all-attention").classList.toggle("d-none", first.length === told.attention.length);
    byId("all-attention").textContent = `and ${told.attention.length - first.length} more`;
    byId("empty").classList.toggle("d-none", told.active.length > 0);
    byId("nothing").textContent = told.rendering ? `No job waits. ${farm.several(told.rendering, "worker finishes its", "workers finish their")} last task.` : "Nothing is to be rendered.";
    byId("attention-section").classList.toggle("d-none", told.attention.length === 0);
    const unfinished = ["active", "queued", "paused"].reduce((sum, status) => sum + (told.jobs[status] || 0), 0);
    byId("more").classList.toggle("d-none", unfinished <= told.active.length);
    byId("more").firstElementChild.textContent = `and ${farm.several(unfinished - told.active.length, "more job", "more jobs")}`;
  });

  byId("all-attention").addEventListener("click", () => { open = true; look(); });

  let next = 0;
  farm.watch(["worker", "attempt"], async () => {
    if (Date.now() < next) return;
    next = Date.now() + 4000;
    await lanes.look();
    if (told) figures();
  });
  window.setInterval(() => { if (!document.hidden && Date.now() > next) lanes.look().then(() => { next = Date.now() + 4000; }).catch(() => {}); }, 5000);
  document.querySelectorAll("[data-span]").forEach((button) => button.addEventListener("click", () => {
    document.querySelectorAll("[data-span]").forEach((other) => {
      other.classList.toggle("active", other === button);
      other.setAttribute("aria-pressed", String(other === button));
    });
    said = button.dataset.said;
    byId("lanes-title").textContent = `Workers, ${said}`;
    lanes.span(Number(button.dataset.span)).then(() => { if (told) figures(); }).catch(farm.complain);
  }));
})();
