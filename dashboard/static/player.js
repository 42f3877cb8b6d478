// The picture of the chosen frame, with an exposure and of one layer; plays those that are there, against another job's if wanted.
const player = (() => {
  const byId = (id) => document.getElementById(id);
  const width = 1280, ahead = 8, settle = 140;
  const kept = new Map(), retries = new Map();
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
  // Has `target` show the picture at `address`, and say `alt`, once it is there. What is not there is cleared away, told to `failed`
  // (with whether it is asked for again), and asked for again `tries` times: a frame's picture may come a moment after the frame.
  function put(target, address, alt, failed, tries = 0) {
    target.dataset.wanted = address;
    window.clearTimeout(retries.get(target));
    const image = load(address);
    const wanted = () => target.dataset.wanted === address;
    const good = () => {
      if (!wanted()) return;
      Object.assign(target, { src: address, alt });
      failed(false);
    };
    const bad = () => {
      kept.delete(address);
      if (!wanted()) return;
      failed(true, tries > 0);
      if (tries) retries.set(target, window.setTimeout(() => { if (wanted()) put(target, address, alt, failed, tries - 1); }, 1000));
    };
    if (image.complete) { (image.naturalWidth ? good : bad)(); return; }
    image.addEventListener("load", good, { once: true });
    image.addEventListener("error", bad, { once: true });
  }
  // Whether the file of the frame that is looked at is not a picture that can be shown, or is not there yet.
  function missing(is, waits = false) {
    byId("flip-none").textContent = is && !waits ? "This picture cannot be shown" : "No picture yet";
    byId("flip-none").classList.toggle("d-none", !is);
    byId("flip").classList.toggle("d-none", is);
  }
  // The other job's frame beside the one numbered `frame`.
  function showOther(frame, scrub) {
    const second = compare.nearest(frame), target = byId("flip-other");
    target.classList.toggle("d-none", !second);
    if (!second) {
      target.dataset.wanted = "";
      compare.say("has no pictures");
      return;
    }
    const number = `frame ${second.frame}`, which = second.frame === frame ? number : `${number}, as it has no frame ${frame}`;
    put(target, scrub ? small(second, compare.other) : large(second, compare.other), `Frame ${second.frame} of the other job`, (fails) => {
      target.classList.toggle("invisible", fails);
      compare.say(fails ? `has no picture of ${number}${layer() ? ` with the layer ${layer()}` : ""}` : which);
    });
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
    if (!seen) {
      byId("flip").dataset.wanted = "";
      missing(true, true);
    }
    if (document.activeElement !== byId("at")) byId("at").value = part.frame;
    note(part, seen);
    window.clearTimeout(timer);
    if (!seen) return;
    const whole = large(seen), name = frames.named(seen), scrubs = scrub && !kept.get(whole)?.complete;
    if (!scrubs) put(byId("flip"), whole, name, missing, 5);
    else put(byId("flip"), small(seen), name, missing);
    showOther(seen.frame, scrub);
    if (scrub) {
      timer = window.setTimeout(() => {
        if (scrubs) put(byId("flip"), whole, name, missing, 5);
        showOther(seen.frame, false);
      }, settle);
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
    if (!part || part.piece || asked === frames.pictureOf(part)) return;
    asked = frames.pictureOf(part);
    const names = await farm.ask(`/jobs/${frames.job}/parts/${asked}/layers`), before = layer();
    byId("layer").replaceChildren(new Option("as it is seen", ""), ...names.map((name) => new Option(farm.calm(name), name)));
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
