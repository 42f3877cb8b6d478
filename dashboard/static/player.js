// The picture of the chosen frame, with an exposure and of one layer; plays those that are there, against another job's if wanted.
const player = (() => {
  const byId = (id) => document.getElementById(id);
  const width = 1280, ahead = 8, settle = 140;
  const kept = new Map();
  let shown = [], at = -1, asked = 0, playing = false, last = 0, timer = 0, moved = () => {};

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
  const layer = () => byId("layer").value;
  const large = (part, of) => frames.picture(part, width, exposure(), of, layer());
  const small = (part, of) => (layer() ? frames.picture(part, 256, exposure(), of, layer()) : frames.thumbnail(part, of));
  // Has `target` show the picture at `address` once it is there; one that is not there a moment after its frame is asked for again.
  function put(target, address, tries = 5) {
    target.dataset.wanted = address;
    const image = load(address);
    const good = () => { if (target.dataset.wanted === address) target.src = address; };
    if (image.complete && image.naturalWidth) { good(); return; }
    image.addEventListener("load", good, { once: true });
    image.addEventListener("error", () => {
      kept.delete(address);
      if (target.dataset.wanted !== address) return;
      if (tries) window.setTimeout(() => { if (target.dataset.wanted === address) put(target, address, tries - 1); }, 1000);
      else if (target === byId("flip")) missing(true);
    }, { once: true });
  }
  // Whether the file of the frame that is looked at is not a picture that can be shown.
  function missing(is) {
    byId("flip-none").textContent = is ? "This picture cannot be shown" : "No picture yet";
    byId("flip-none").classList.toggle("d-none", !is);
    byId("flip").classList.toggle("d-none", is);
  }
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
    missing(false);
    byId("flip").classList.toggle("d-none", !seen);
    byId("flip-none").classList.toggle("d-none", Boolean(seen));
    if (document.activeElement !== byId("at")) byId("at").value = part.frame;
    note(part, seen);
    window.clearTimeout(timer);
    if (!seen) return;
    byId("flip").alt = frames.named(seen);
    const whole = large(seen);
    if (!scrub || kept.get(whole)?.complete) put(byId("flip"), whole);
    else {
      put(byId("flip"), small(seen), 0);
      timer = window.setTimeout(() => put(byId("flip"), whole), settle);
    }
    const second = compare.nearest(seen.frame);
    byId("flip-other").classList.toggle("d-none", !second);
    if (second) {
      byId("flip-other").alt = `Frame ${second.frame} of the other job`;
      put(byId("flip-other"), scrub ? small(second, compare.other) : large(second, compare.other));
    }
  }

  function step(now) {
    if (!playing) return;
    const fps = Math.max(1, Math.min(60, Number(byId("fps").value) || 24));
    const place = shown.findIndex((part) => part.index > at), next = shown[place < 0 ? 0 : place];
    if (next && now - last >= 1000 / fps) {
      for (let more = 0; more < Math.min(ahead, shown.length); more += 1) load(large(shown[(Math.max(0, place) + more) % shown.length]));
      // A frame that has not come yet is waited for, and not skipped.
      if (load(large(next)).complete) {
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

  // The layers that the frames have: asked of one of them.
  async function offerLayers() {
    const part = frames.nearest(Math.max(0, at));
    if (!part || part.piece || asked === part.id) return;
    asked = part.id;
    const names = await farm.ask(`/jobs/${frames.job}/parts/${part.id}/layers`), before = layer();
    byId("layer").replaceChildren(new Option("as it is seen", ""), ...names.map((name) => new Option(name, name)));
    byId("layer").value = names.includes(before) ? before : "";
    byId("layer").disabled = names.length < 2;
  }
  const again = () => { if (at >= 0) show(at); };
  function expose(stops) {
    byId("exposure").value = Math.max(-20, Math.min(20, exposure() + stops));
    again();
  }
  async function nextLayer(step) {
    await offerLayers();
    const count = byId("layer").options.length;
    if (count < 3) return;
    byId("layer").selectedIndex = (byId("layer").selectedIndex + step + count) % count;
    again();
  }
  byId("play").addEventListener("click", () => play(!playing));
  byId("exposure").addEventListener("change", again);
  byId("layer").addEventListener("change", again);
  compare.onChange(again);
  byId("view").addEventListener("toggle", () => {
    if (byId("view").open) Promise.all([compare.offer(), offerLayers()]).catch(farm.complain);
  });
  const keys = { "+": () => expose(0.5), "-": () => expose(-0.5), l: () => nextLayer(1), L: () => nextLayer(-1) };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
    Promise.resolve(keys[event.key]?.()).catch(farm.complain);
  });
  return { show, update, play, layer, toggle: () => play(!playing), onMove: (doing) => { moved = doing; }, get playing() { return playing; } };
})();
