// The farm at a glance.
(() => {
  const byId = (id) => document.getElementById(id);
  const number = (title, value, note, href) => {
    const column = farm.element("div", "col-6 col-md-3");
    const card = farm.element("div", "card card-body h-100");
    card.append(farm.element("div", "small text-body-secondary", title));
    const big = farm.element("div", "fs-3 fw-semibold", value);
    card.append(href ? farm.link(href, value, "fs-3 fw-semibold text-decoration-none") : big, farm.element("div", "small", note));
    column.append(card);
    return column;
  };
  const several = (counts, words) => words.filter((word) => counts[word]).map((word) => `${counts[word]} ${word}`).join(", ");

  function active(job) {
    const line = farm.link(`/jobs/${job.id}`, "", "list-group-item list-group-item-action");
    line.dataset.line = "";
    const top = farm.element("div", "d-flex gap-2 align-items-center");
    top.append(farm.element("span", "fw-semibold text-truncate", job.name), farm.badge(job.status));
    top.append(farm.element("span", "small ms-auto text-nowrap", `${job.completed_parts} of ${job.part_count}`), farm.bar(job.progress, job.name));
    line.append(top);
    if (job.reason) line.append(farm.element("div", "small text-body-secondary", job.reason));
    return line;
  }

  function attention(each) {
    const line = farm.element("li", "list-group-item d-flex gap-2 align-items-center");
    const href = each.kind === "job" ? `/jobs/${each.id}` : `/${each.kind}s/${each.id}`;
    const text = farm.element("span", "small");
    text.append(farm.link(href, each.name, "fw-semibold text-decoration-none me-2"), each.why);
    line.append(text);
    if (each.action && farm.may(`act ${each.action}`, each.user)) {
      const label = { requeue: "Requeue failed", readmit: "Readmit" }[each.action];
      const made = farm.button(label, label, () => farm.act(each.id, each.action));
      made.classList.add("ms-auto", "text-nowrap");
      line.append(made);
    }
    return line;
  }

  function latest(part) {
    const made = farm.link(`/jobs/${part.job}#frame-${part.id}`, "", "text-decoration-none");
    const image = farm.element("img");
    image.src = `/jobs/${part.job}/thumbnails/${part.id}`;
    image.alt = `${part.job_name}, frame ${part.frame}`;
    image.addEventListener("error", () => made.remove());
    made.append(image, farm.element("span", "small text-truncate d-block", `${part.job_name} · ${part.frame}`));
    return made;
  }

  farm.watch(["job", "worker", "part", "manager", "kept_off"], async () => {
    const told = await farm.ask("/overview");
    const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
    const there = sum(told.workers) - (told.workers.offline || 0);
    byId("numbers").replaceChildren(
      number("Workers", String(there), several(told.workers, ["idle", "busy", "paused", "draining", "disabled", "error", "offline"]) || "none yet", "/workers/"),
      number("Unfinished jobs", String((told.jobs.queued || 0) + (told.jobs.active || 0) + (told.jobs.paused || 0)), several(told.jobs, ["active", "queued", "paused"]) || "none", "/jobs/?status=queued,active,paused"),
      number("Frames in the last hour", String(told.frames.hour), `${told.frames.day} in the last day`),
      number("Failed jobs", String(told.jobs.failed || 0), `${told.jobs.completed || 0} completed`, "/jobs/?status=failed"),
    );
    byId("active").replaceChildren(...told.active.map(active));
    byId("empty").classList.toggle("d-none", told.active.length > 0);
    byId("attention").replaceChildren(...told.attention.map(attention));
    byId("attention-section").classList.toggle("d-none", told.attention.length === 0);
    byId("latest").replaceChildren(...told.latest.map(latest));
  });
})();
