// The frame strip: a tick a frame, colored by its state, on a canvas. It is a slider too: clicked, dragged, moved by keys.
const strip = (() => {
  const canvas = document.getElementById("strip"), context = canvas.getContext("2d");
  const base = document.createElement("canvas");
  const top = 9, bottom = 7;
  let at = -1, colors = {}, waiting = false, stale = true, moved = () => {};

  const count = () => frames.list.length + frames.unplanned;
  function readColors() {
    const style = getComputedStyle(document.documentElement);
    ["done", "run", "fail", "wait", "next", "gone", "warn", "accent", "text", "panel"].forEach((name) => { colors[name] = style.getPropertyValue(`--${name}`).trim(); });
    colors = { ...colors, c: colors.done, w: colors.done, d: colors.done, a: colors.run, f: colors.fail, q: colors.wait, h: colors.next, x: colors.gone };
  }

  // What lies in each column of pixels where frames are narrower than a pixel: a failed or an active one is seen in any case.
  function paintColumns(brush, width, high, from) {
    const list = frames.list, all = count();
    for (let x = 0; x < width; x += 1) {
      const first = Math.floor((x * all) / width), last = Math.max(first + 1, Math.floor(((x + 1) * all) / width));
      const counts = { f: 0, a: 0, c: 0, h: 0, x: 0, q: 0 };
      for (let index = first; index < last; index += 1) {
        const state = index < list.length ? list[index].state : "q";
        counts[state === "w" || state === "d" ? "c" : state] += 1;
      }
      const most = Object.keys(counts).reduce((best, each) => (counts[each] > counts[best] ? each : best));
      brush.fillStyle = colors[counts.f ? "f" : counts.a ? "a" : most];
      brush.fillRect(x, from, 1, high);
    }
  }
  function paint() {
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    base.width = width;
    base.height = height;
    const brush = base.getContext("2d"), list = frames.list, all = count();
    const from = top * scale, high = height - (top + bottom) * scale, each = width / Math.max(1, all);
    if (each < 1) paintColumns(brush, width, high, from);
    else {
      const gap = each >= 3 * scale ? scale : 0;
      for (let index = 0; index < all; index += 1) {
        const left = Math.round(index * each);
        brush.fillStyle = colors[index < list.length ? list[index].state : "q"];
        brush.fillRect(left, from, Math.round((index + 1) * each) - left - gap, high);
      }
    }
    // Failures and warnings have a mark above, so that neither color nor size hides them.
    list.forEach((part, index) => {
      if (part.state !== "f" && part.state !== "w") return;
      brush.fillStyle = part.state === "f" ? colors.fail : colors.warn;
      brush.beginPath();
      const middle = (index + 0.5) * each;
      brush.moveTo(middle - 3.5 * scale, 2 * scale);
      brush.lineTo(middle + 3.5 * scale, 2 * scale);
      brush.lineTo(middle, 8 * scale);
      brush.fill();
    });
    brush.fillStyle = colors.warn;
    frames.selected.forEach((id) => {
      const part = frames.byId.get(id);
      if (part) brush.fillRect(Math.floor(part.index * each), height - 5 * scale, Math.max(scale, Math.ceil(each)), 3 * scale);
    });
    stale = false;
  }

  function draw() {
    waiting = false;
    if (stale) paint();
    const scale = window.devicePixelRatio || 1, width = canvas.width, height = canvas.height;
    context.clearRect(0, 0, width, height);
    if (base.width && base.height) context.drawImage(base, 0, 0);
    if (at < 0 || !count()) return;
    const each = width / count(), wide = Math.max(3 * scale, Math.round(each)), left = Math.round(at * each + each / 2 - wide / 2);
    context.lineWidth = 2 * scale;
    context.strokeStyle = colors.text;
    context.strokeRect(left - scale, (top - 3) * scale, wide + 2 * scale, height - (top + bottom - 6) * scale);
  }
  function soon() {
    if (waiting) return;
    waiting = true;
    window.requestAnimationFrame(draw);
  }
  // What it shows has changed.
  function update() {
    stale = true;
    soon();
    const list = frames.list;
    if (!list.length) return;
    canvas.setAttribute("aria-valuemin", list[0].frame);
    canvas.setAttribute("aria-valuemax", list[list.length - 1].frame);
  }
  function show(index) {
    at = index;
    soon();
    const part = frames.list[index];
    if (!part) return;
    canvas.setAttribute("aria-valuenow", part.frame);
    canvas.setAttribute("aria-valuetext", `${frames.named(part)}, ${frames.said(part)}`);
  }

  function under(event) {
    const box = canvas.getBoundingClientRect();
    return Math.max(0, Math.min(frames.list.length - 1, Math.floor(((event.clientX - box.left) / box.width) * count())));
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !frames.list.length) return;
    canvas.setPointerCapture(event.pointerId);
    moved(under(event), { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey, scrub: true });
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!frames.list.length) return;
    const index = under(event);
    if (canvas.hasPointerCapture(event.pointerId)) {
      if (index !== at && !event.ctrlKey && !event.metaKey) moved(index, { extend: event.shiftKey, scrub: true });
    } else canvas.title = `${frames.named(frames.list[index])}: ${frames.said(frames.list[index])}`;
  });
  canvas.addEventListener("pointerup", () => { if (at >= 0) moved(at, { keep: true }); });
  canvas.addEventListener("keydown", (event) => {
    const far = Math.max(1, Math.round(frames.list.length / 20));
    const to = { PageDown: at + far, PageUp: at - far, Home: 0, End: frames.list.length - 1 }[event.key];
    if (to === undefined || !frames.list.length) return;
    event.preventDefault();
    moved(Math.max(0, Math.min(frames.list.length - 1, to)), { extend: event.shiftKey });
  });
  new ResizeObserver(update).observe(canvas);
  new MutationObserver(() => { readColors(); update(); }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
  readColors();

  return { update, show, onMove: (doing) => { moved = doing; } };
})();
