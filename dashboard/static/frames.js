// The frames of the job whose page this is, in order: what each is, where its pictures are, which are selected.
const frames = (() => {
  const job = document.getElementById("job").dataset.id;
  const statuses = { q: "queued", h: "queued", a: "active", c: "completed", w: "completed", d: "completed", f: "failed", x: "canceled" };
  const byId = new Map(), selected = new Set();
  let list = [], total = 0, now = new Set();

  // What the API says as runs of [first, step, count].
  function expand(runs) {
    const values = [];
    runs.forEach(([first, step, count]) => { for (let number = 0; number < count; number += 1) values.push(first + step * number); });
    return values;
  }
  function read(answer) {
    const [ids, numbers, pieces, changes] = ["ids", "frames", "pieces", "changes"].map((name) => expand(answer[name]));
    return ids.map((id, place) => ({ id, frame: numbers[place], piece: pieces[place], change: changes[place], state: answer.states[place] }));
  }
  // A frame that is refined has a part for each of its passes, and one that is denoised after it was rendered has two: they are one
  // frame here, with the id of the first, and the picture (`shown`) and the number (`pass`) of the latest that has one.
  const refined = new Map(), keys = new Map(), ranks = new Map();
  function folded(part, passes, denoised) {
    const place = `${part.frame} ${part.piece}`;
    if (!keys.has(part.id)) {  // (each view layer may have its own)
      const rank = ranks.get(place) || 0;
      ranks.set(place, rank + 1);
      keys.set(part.id, `${part.frame} ${rank}`);
    }
    const key = keys.get(part.id), of = refined.get(key) || new Map();
    refined.set(key, of.set(part.piece || passes, part));
    const all = [...of.keys()].sort((a, b) => a - b).map((number) => of.get(number)), last = all[all.length - 1];
    const best = all.filter((each) => "cw".includes(each.state)).pop();
    const busy = all.find((each) => "ah".includes(each.state)), bad = all.find((each) => each.state === "f");
    if (denoised) {  // it is not done before the last of them is
      const state = (busy || bad || (last.piece ? { state: "q" } : last)).state, rough = Boolean(best?.piece);
      return { id: all[0].id, frame: part.frame, piece: 0, change: Math.max(...all.map((each) => each.change)), state, shown: best?.id, rough };
    }
    const state = (busy || bad || (last.piece && !best ? last : best) || last).state;
    const change = Math.max(...all.filter((each) => !best || "cwd".includes(each.state)).map((each) => each.change));
    return { id: all[0].id, frame: part.frame, piece: 0, change, state, shown: best?.id, pass: best ? best.piece || passes : 0, passes };
  }
  // Takes what has changed; returns those frames. `parts`: how many the job has, of which some may not be planned yet.
  function take(answer, parts) {
    const { denoise_after: denoised, copy_to: copied, film, pieces } = answer.job.settings || {};
    const passes = denoised ? 2 : answer.job.passes, films = film ? 1 : 0, own = parts - films - (copied && (film || pieces) ? 1 : 0);
    total = pieces ? own : (denoised || copied ? own / (1 + Boolean(denoised) + Boolean(copied)) : own / (passes || 1)) + films;
    let sorted = true;
    const changed = read(answer).map((each) => {
      const now = passes && each.piece >= 0 ? folded(each, passes, denoised) : each;
      const known = byId.get(now.id);
      if (known) return Object.assign(known, now);
      const last = list[list.length - 1];
      if (last && (last.frame > now.frame || (last.frame === now.frame && last.id > now.id))) sorted = false;
      byId.set(now.id, now);
      list.push(now);
      return now;
    });
    if (!sorted) list.sort((a, b) => a.frame - b.frame || a.id - b.id);
    list.forEach((part, index) => { part.index = index; });
    return [...new Set([...changed, ...turned(answer.job.frames_now)])];
  }
  // Of the frames of a task that a worker has begun it renders one: the others are handed out. Returns those whose turn has come or gone.
  function turned(rendered) {
    now = new Set(rendered);
    return list.filter((part) => {
      const before = part.state;
      if (before === "a" || before === "h") part.state = now.has(part.frame) ? "a" : "h";
      return part.state !== before;
    });
  }

  const status = (part) => statuses[part.state];
  // How its dot is colored: frames that a worker has, and has not begun, have a color of their own.
  const dot = (part) => ({ w: "warned", h: "next" })[part.state] || status(part);
  const isFilm = (part) => part.piece < 0;
  // Whether there is a small picture of it; only whole frames have a large one.
  const pictured = (part) => (part.state === "c" || part.state === "w" || part.shown) && !isFilm(part);
  const pictureOf = (part) => part.shown || part.id;
  const thumbnail = (part, of = job) => `/jobs/${of}/thumbnails/${pictureOf(part)}?${part.change}`;
  const picture = (part, width, exposure = 0, of = job, layer = "") => (
    part.piece > 0 || part.rough ? thumbnail(part, of) : `/jobs/${of}/pictures/${pictureOf(part)}?width=${width}&exposure=${exposure}&layer=${encodeURIComponent(layer)}&of=${part.change}`
  );
  const named = (part) => (part.piece === -2 ? "The bake" : isFilm(part) ? "The film" : part.piece > 0 ? `Frame ${part.frame}, piece ${part.piece}` : part.pass ? `Frame ${part.frame}, pass ${part.pass} of ${part.passes}` : `Frame ${part.frame}`);
  const said = (part) => (part.state === "w" ? "completed, with a warning" : part.state === "a" ? "rendering" : part.state === "h" ? "handed out" : status(part));
  // The one that was completed last.
  const latest = () => list.reduce((best, part) => (pictured(part) && (!best || part.change >= best.change) ? part : best), null);
  // The nearest that has a picture: before `index`, or else after it.
  function nearest(index) {
    for (let at = index; at >= 0; at -= 1) if (pictured(list[at])) return list[at];
    for (let at = index + 1; at < list.length; at += 1) if (pictured(list[at])) return list[at];
    return null;
  }
  // Where the frame of that number is, or the one nearest to it.
  const find = (number) => list.reduce((best, part) => (best < 0 || Math.abs(part.frame - number) < Math.abs(list[best].frame - number) ? part.index : best), -1);

  return {
    job, byId, selected, take, read, status, dot, isFilm, pictured, pictureOf, thumbnail, picture, named, said, latest, nearest, find,
    get list() { return list; },
    get unplanned() { return Math.max(0, total - list.length); },
  };
})();
