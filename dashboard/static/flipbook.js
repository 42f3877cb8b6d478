// Plays the frames that are there: scrubbed, looped, at so many a second, beside another job's.
const flipbook = (() => {
  const byId = (id) => document.getElementById(id);
  const job = byId("job").dataset.id;
  const width = 1280, ahead = 8;
  const kept = new Map();
  let parts = [], others = [], at = 0, playing = false, last = 0;

  const address = (id, part, exposure) => `/jobs/${id}/pictures/${part.id}?width=${width}&exposure=${exposure}&of=${part.change || 0}`;
  function picture(id, part) {
    const source = address(id, part, Number(byId("exposure").value) || 0);
    if (!kept.has(source)) {
      const image = new Image();
      image.src = source;
      kept.set(source, image);
      if (kept.size > 400) kept.delete(kept.keys().next().value);
    }
    return kept.get(source);
  }
  const nearest = (frame) => others.reduce((best, part) => (!best || Math.abs(part.frame - frame) < Math.abs(best.frame - frame) ? part : best), null);

  function show() {
    byId("flip-none").classList.toggle("d-none", parts.length > 0);
    byId("flip").classList.toggle("d-none", !parts.length);
    if (!parts.length) return;
    at = Math.max(0, Math.min(at, parts.length - 1));
    const part = parts[at];
    byId("scrub").value = at;
    byId("at").textContent = `frame ${part.frame}, ${at + 1} of ${parts.length}`;
    byId("flip").src = picture(job, part).src;
    byId("flip").alt = `Frame ${part.frame}`;
    const beside = nearest(part.frame);
    byId("flip-other").classList.toggle("d-none", !beside);
    if (beside) {
      byId("flip-other").src = picture(byId("other").value, beside).src;
      byId("flip-other").alt = `Frame ${beside.frame} of the other job`;
    }
    for (let next = 1; next <= ahead; next += 1) picture(job, parts[(at + next) % parts.length]);
  }

  function step(now) {
    if (!playing) return;
    const fps = Math.max(1, Math.min(60, Number(byId("fps").value) || 24));
    const next = parts[(at + 1) % parts.length];
    // A frame that has not come yet is waited for, and not skipped.
    if (now - last >= 1000 / fps && parts.length && picture(job, next).complete) {
      last = now;
      if (at + 1 >= parts.length && !byId("loop").checked) { play(false); return; }
      at = (at + 1) % parts.length;
      show();
    }
    window.requestAnimationFrame(step);
  }
  function play(on) {
    playing = on && parts.length > 0;
    byId("play").textContent = playing ? "Stop" : "Play";
    byId("play").setAttribute("aria-pressed", playing);
    if (playing) window.requestAnimationFrame(step);
  }

  function take(found) {
    parts = found.filter((part) => part.status === "completed" && part.output && !part.piece);
    byId("scrub").max = Math.max(0, parts.length - 1);
    if (byId("pane-flipbook").classList.contains("active")) show();
  }
  async function beside() {
    others = [];
    if (byId("other").value) {
      const told = await farm.ask(`/jobs/${byId("other").value}/cells`);
      others = told.rows.map((row) => ({ id: row[0], frame: row[1], piece: row[2], status: row[3], output: row[9], change: row[8] })).filter((p) => p.status === "completed" && p.output && !p.piece);
    }
    show();
  }

  byId("play").addEventListener("click", () => play(!playing));
  byId("scrub").addEventListener("input", () => { at = Number(byId("scrub").value); show(); });
  byId("exposure").addEventListener("change", show);
  byId("other").addEventListener("change", () => beside().catch(farm.complain));
  byId("tab-flipbook").addEventListener("shown.bs.tab", async () => {
    show();
    if (byId("other").options.length > 1) return;
    const page = await farm.ask("/jobs?length=100&sort=submitted");
    page.rows.filter((row) => row.id !== job && row.completed_parts).forEach((row) => {
      const option = farm.element("option", "", row.name);
      option.value = row.id;
      byId("other").append(option);
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === " " && byId("pane-flipbook").classList.contains("active") && !event.target.closest("input, select, button, a")) {
      event.preventDefault();
      play(!playing);
    }
  });
  return { take };
})();
