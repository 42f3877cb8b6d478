// The picture of the chosen frame; plays those that are there, beside another job's if wanted.
const player = (() => {
  const byId = (id) => document.getElementById(id);
  const width = 1280, ahead = 8, settle = 140;
  const kept = new Map();
  let shown = [], others = [], other = "", at = -1, playing = false, last = 0, timer = 0, moved = () => {};

  // The picture at an address, loaded once.
  function load(address) {
    if (!kept.has(address)) {
      const image = new Image();
      image.src = address;
      kept.set(address, image);
      if (kept.size > 400) kept.delete(kept.keys().next().value);
    }
    return kept.get(address);
  }
  const exposure = () => Number(byId("exposure").value) || 0;
  // Has `target` show the picture at `address` once it is there; one that is not there a moment after its frame is asked for again.
  function put(target, address, tries = 5) {
    target.dataset.wanted = address;
    const image = load(address);
    const good = () => { if (target.dataset.wanted === address) target.src = address; };
    if (image.complete && image.naturalWidth) { good(); return; }
    image.addEventListener("load", good, { once: true });
    image.addEventListener("error", () => {
      kept.delete(address);
      if (tries && target.dataset.wanted === address) window.setTimeout(() => { if (target.dataset.wanted === address) put(target, address, tries - 1); }, 1000);
    }, { once: true });
  }
  const beside = (frame) => others.reduce((best, part) => (!best || Math.abs(part.frame - frame) < Math.abs(best.frame - frame) ? part : best), null);

  function note(part, seen) {
    const text = seen === part ? "" : `${frames.named(part)} is ${frames.said(part)}${seen ? `; this is ${frames.named(seen).toLowerCase()}` : ""}`;
    byId("flip-note").textContent = text;
    byId("flip-note").classList.toggle("d-none", !text || !seen);
    byId("flip").classList.toggle("stale", Boolean(text));
  }
  // Shows the frame at `index`: the small picture at once while scrubbing, the large one as soon as that ends.
  function show(index, scrub = false) {
    at = index;
    const part = frames.list[index], seen = frames.nearest(index);
    byId("player").classList.toggle("bare", !seen);
    byId("flip").classList.toggle("d-none", !seen);
    byId("flip-none").classList.toggle("d-none", Boolean(seen));
    if (document.activeElement !== byId("at")) byId("at").value = part.frame;
    note(part, seen);
    window.clearTimeout(timer);
    if (!seen) return;
    byId("flip").alt = frames.named(seen);
    const large = frames.picture(seen, width, exposure());
    if (!scrub || kept.get(large)?.complete) put(byId("flip"), large);
    else {
      put(byId("flip"), frames.thumbnail(seen), 0);
      timer = window.setTimeout(() => put(byId("flip"), large), settle);
    }
    const second = beside(seen.frame);
    byId("flip-other").classList.toggle("d-none", !second);
    if (second) {
      byId("flip-other").alt = `Frame ${second.frame} of the other job`;
      put(byId("flip-other"), scrub ? frames.thumbnail(second, other) : frames.picture(second, width, exposure(), other));
    }
  }

  function step(now) {
    if (!playing) return;
    const fps = Math.max(1, Math.min(60, Number(byId("fps").value) || 24));
    const place = shown.findIndex((part) => part.index > at), next = shown[place < 0 ? 0 : place];
    if (next && now - last >= 1000 / fps) {
      for (let more = 0; more < Math.min(ahead, shown.length); more += 1) load(frames.picture(shown[(Math.max(0, place) + more) % shown.length], width, exposure()));
      // A frame that has not come yet is waited for, and not skipped.
      if (load(frames.picture(next, width, exposure())).complete) {
        last = now;
        if (place < 0 && !byId("loop").checked) { play(false); return; }
        moved(next.index, { play: true });
      }
    }
    window.requestAnimationFrame(step);
  }
  function play(on) {
    playing = on && shown.length > 1;
    byId("play").textContent = playing ? "Stop" : "Play";
    byId("play").setAttribute("aria-pressed", playing);
    if (playing) window.requestAnimationFrame(step);
    else if (at >= 0) moved(at, { keep: true });
  }
  function update() {
    shown = frames.list.filter((part) => frames.pictured(part) && part.piece === 0);
    byId("play").disabled = shown.length < 2;
    if (at >= 0 && at < frames.list.length && !playing) show(at);
  }

  async function compare() {
    other = byId("other").value;
    others = other ? frames.read(await farm.ask(`/jobs/${other}/strip`)).filter((part) => frames.pictured(part) && !part.piece) : [];
    if (at >= 0) show(at);
  }
  byId("play").addEventListener("click", () => play(!playing));
  byId("exposure").addEventListener("change", () => { if (at >= 0) show(at); });
  byId("other").addEventListener("change", () => compare().catch(farm.complain));
  byId("view").addEventListener("toggle", async () => {
    if (!byId("view").open || byId("other").options.length > 1) return;
    const page = await farm.ask("/jobs?length=100&sort=submitted");
    page.rows.filter((row) => row.id !== frames.job && row.completed_parts).forEach((row) => {
      const option = farm.element("option", "", row.name);
      option.value = row.id;
      byId("other").append(option);
    });
  });
  return { show, update, play, toggle: () => play(!playing), onMove: (doing) => { moved = doing; }, get playing() { return playing; } };
})();
