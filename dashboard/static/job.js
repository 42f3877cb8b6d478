// One job: its progress, its grid of frames, and one frame's attempts and log.
(() => {
  const byId = (id) => document.getElementById(id);
  const id = byId("job").dataset.id;
  const cells = new Map();
  let change = -1;
  let chosen = null;
  let ended = "";
  const split = byId("job").dataset.type === "blender-still";

  function showJob(job) {
    byId("status").className = `badge ${job.status}`;
    byId("status").textContent = job.status;
    byId("reason").textContent = job.reason;
    const percent = Math.round(job.progress * 100);
    byId("bar").style.width = `${percent}%`;
    byId("progress").setAttribute("aria-valuenow", percent);
    byId("count").textContent = `${job.completed_parts} of ${job.part_count} frames`;
    byId("eta").textContent = job.eta_seconds ? `about ${farm.duration(job.eta_seconds)} left` : "";
    byId("times").textContent = job.finished ? `finished ${farm.time(job.finished)}` : `submitted ${farm.time(job.submitted)}`;
    const shown = job.warnings.map((warning) => farm.element("div", "alert alert-warning py-1 px-2 small mb-1", warning));
    byId("warnings").replaceChildren(...shown, ...job.kept_off.map(keptOff));
    byId("rendering").replaceChildren(...job.rendering.map(atWork));
    const over = ["completed", "failed", "canceled"].includes(job.status);
    document.querySelector("[data-action=pause]").disabled = over || job.status === "paused";
    document.querySelector("[data-action=resume]").disabled = job.status !== "paused";
    document.querySelector("[data-action=cancel]").disabled = over;
    if (ended !== job.status && chosen) showFrame(chosen).catch(farm.complain);
    ended = job.status;
  }

  // What a worker does for the job just now.
  function atWork(worker) {
    const line = farm.element("div", "d-flex gap-2 align-items-center");
    const where = worker.frame === null ? "starting" : `frame ${worker.frame}, ${Math.round(worker.fraction * 100)} %`;
    line.append(farm.bar(worker.fraction), farm.element("span", "", `${worker.name}: ${where}`));
    if (worker.line) line.append(farm.element("span", "text-body-secondary text-truncate", worker.line));
    return line;
  }

  // A still that is split gets cleaner with each piece: the newest small picture shows all that is there.
  function preview(part) {
    const image = byId("preview");
    const after = Number(image.dataset.finished || 0);
    if (part.status !== "completed" || !part.output || part.finished < after) return;
    image.dataset.finished = part.finished;
    image.classList.remove("d-none");
    picture(image, part);
  }

  // A worker that the job does not go to any more, and the way to let it try again.
  function keptOff(off) {
    const text = `${off.worker_name} is kept off this job after ${off.failures} failures in a row: ${off.reason} `;
    const line = farm.element("div", "alert alert-warning py-1 px-2 small mb-1", text);
    line.append(farm.button("Readmit", "Let it try again", () => act("readmit", off.worker)));
    return line;
  }

  function showPart(part) {
    let cell = cells.get(part.id);
    if (!cell) {
      cell = farm.element("button", "cell");
      cell.type = "button";
      cell.append(farm.element("img"), farm.element("span", "", part.piece ? `${part.frame} · ${part.piece}` : part.frame));
      cell.firstChild.alt = "";
      cell.firstChild.loading = "lazy";
      cell.addEventListener("click", () => choose(part.id).catch(farm.complain));
      // They come in the order of their frames, so that nearly always the end is the place.
      const last = byId("frames").lastChild;
      const later = last && last.shown.frame > part.frame && [...cells.values()].find((other) => other.shown.frame > part.frame);
      byId("frames").insertBefore(cell, later || null);
      cells.set(part.id, cell);
    }
    cell.shown = part;
    cell.className = `cell ${part.status}${chosen === part.id ? " chosen" : ""}`;
    if (split) preview(part);
    cell.title = `Frame ${part.frame}${part.piece ? `, piece ${part.piece}` : ""}: ${part.status}${part.worker_name ? ` on ${part.worker_name}` : ""}` +
      (part.status === "completed" ? ` in ${farm.duration(part.seconds)}` : "");
    if (part.status === "completed" && part.output) picture(cell.firstChild, part);
    else cell.firstChild.removeAttribute("src");
  }

  // The small picture may arrive a moment after the frame itself: ask a few times.
  function picture(image, part, tries = 5) {
    const source = `/jobs/${id}/thumbnails/${part.id}?${part.attempt}`;
    image.onerror = () => {
      image.removeAttribute("src");
      if (tries > 0) window.setTimeout(() => picture(image, part, tries - 1), 1000);
    };
    image.src = source;
  }

  async function choose(part) {
    if (chosen && cells.get(chosen)) cells.get(chosen).classList.remove("chosen");
    chosen = part;
    cells.get(part).classList.add("chosen");
    await showFrame(part);
  }

  async function showFrame(number) {
    const part = cells.get(number).shown;
    byId("frame").classList.remove("d-none");
    byId("frame-title").textContent = `Frame ${part.frame}`;
    const done = part.status === "completed" && part.output;
    byId("frame-link").classList.toggle("d-none", !done || Boolean(part.piece));
    if (done) {
      byId("frame-link").href = `/jobs/${id}/frames/${part.id}`;
      picture(byId("frame-picture"), part);
      byId("frame-picture").alt = `Frame ${part.frame}`;
    }
    const facts = [part.status];
    if (part.worker_name) facts.push(`on ${part.worker_name}`);
    if (part.status === "completed") facts.push(`in ${farm.duration(part.seconds)}`);
    if (done) facts.push(`${part.width} × ${part.height}, ${farm.size(part.size)}, ${part.output}`);
    byId("frame-facts").textContent = facts.join(" · ");
    const attempts = await farm.ask(`/api/jobs/${id}/attempts?frame=${part.frame}`);
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
    const answer = await farm.ask(`/api/jobs/${id}/log?attempt=${attempt}`);
    byId("log").textContent = answer.text || "(nothing has arrived yet)";
    byId("log").scrollTop = byId("log").scrollHeight;
  }

  async function look() {
    const answer = await farm.ask(`/api/jobs/${id}?since=${change}`);
    change = answer.change;
    showJob(answer.job);
    answer.parts.forEach(showPart);
  }

  async function act(action, value) {
    byId("problem").classList.add("d-none");
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
  byId("frame-requeue").addEventListener("click", () => act("requeue", String(cells.get(chosen).shown.frame)));
  byId("priority-form").addEventListener("submit", (event) => {
    event.preventDefault();
    act("priority", Number(byId("priority").value));
  });
  byId("pictures").addEventListener("change", (event) => byId("frames").classList.toggle("pictures", event.target.checked));
  farm.keep(look, 1);
})();
