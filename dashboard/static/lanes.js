// Workers' lanes: what each did in the last hour or night, a strip of tasks colored by job, drawn on one canvas a worker, and which job has which color.
const lanes = (() => {
  const height = 22, pagesMost = 50, namedMost = 8;
  const byId = (id) => document.getElementById(id);
  const style = getComputedStyle(document.documentElement);
  const jobs = new Map(); // id: { name, color }
  const rows = new Map(); // worker: { worker, spans, live, line, canvas, visible, dirty }
  let seconds = 3600, wall = 0, from = 0, wide = 0, colors = null;

  function readColors() {
    const value = (name) => style.getPropertyValue(name).trim();
    colors = { fail: value("--fail"), edge: value("--bg") };
  }
  // The color of a job follows from its id alone, so that it is the same at each visit; none is near the red of failures.
  function colorOf(id) {
    const mixed = [...id].reduce((sum, letter) => Math.imul(sum ^ letter.charCodeAt(0), 16777619), 2166136261) >>> 0;
    return `oklch(${[0.55, 0.66, 0.77][mixed % 3]} 0.13 ${65 + ((mixed >>> 4) % 12) * 24})`;
  }
  function job(id, name) {
    if (!jobs.has(id)) jobs.set(id, { id, name, color: colorOf(id) });
    return jobs.get(id);
  }

  // --- data ---
  function forget() {
    rows.forEach((row) => { row.spans.clear(); row.live = []; row.sorted = null; });
    from = 0;
  }
  // Add what the API told of.
  function add(told, isNewest) {
    const theirs = told.jobs.map(([id, name]) => job(id, name));
    if (isNewest) {
      wall = told.wall;
      told.workers.forEach((worker) => (rows.get(worker.id) || made(worker)).worker = worker);
      const there = new Set(told.workers.map((worker) => worker.id));
      rows.forEach((row, id) => { row.live = []; if (!there.has(id)) { row.line.remove(); observer.unobserve(row.canvas); rows.delete(id); } });
    }
    const owners = told.ids.map((id) => rows.get(id));
    told.rows.forEach(([worker, which, start, end, outcome]) => {
      const row = owners[worker];
      if (!row) return;
      const span = { job: theirs[which], start: told.wall - start, end: end < 0 ? Infinity : told.wall - end, outcome };
      row.sorted = null;
      if (end < 0) row.live.push(span);
      else row.spans.set(Math.round(span.start * 5), span);
    });
    from = told.older === null ? wall - seconds : told.older;
  }
  function spansOf(row) {
    if (!row.sorted) {
      row.spans.forEach((span, key) => { if (span.end < wall - seconds) row.spans.delete(key); });
      row.sorted = [...row.spans.values(), ...row.live].sort((a, b) => a.start - b.start);
    }
    return row.sorted;
  }

  // --- drawing ---
  const observer = new IntersectionObserver((entries) => entries.forEach((entry) => {
    const row = rows.get(entry.target.dataset.worker);
    if (!row) return;
    row.visible = entry.isIntersecting;
    if (row.visible) draw(row);
    else row.canvas.width = 0; // frees its memory
  }), { rootMargin: "200px" });

  function made(worker) {
    const line = farm.element("div", "lane");
    const canvas = farm.element("canvas");
    canvas.dataset.worker = worker.id;
    canvas.setAttribute("role", "img");
    const says = farm.element("button");
    says.type = "button";
    says.setAttribute("aria-expanded", "false");
    line.append(farm.link(`/workers/${worker.id}`, worker.name, ""), canvas, says);
    line.firstChild.title = worker.pool ? `${worker.name}, pool ${worker.pool}` : worker.name;
    if (worker.pool) line.firstChild.append(farm.element("small", "pool", worker.pool));
    const row = { worker, line, canvas, spans: new Map(), live: [], sorted: null, visible: false };
    rows.set(worker.id, row);
    observer.observe(canvas);
    return row;
  }
  function draw(row) {
    const { canvas } = row, scale = window.devicePixelRatio || 1;
    if (!wide) wide = canvas.clientWidth; // all are as wide; asked for each, every lane would be laid out again
    const width = Math.round(wide * scale);
    if (!width) return;
    if (!colors) readColors();
    const pen = canvas.getContext("2d"), tall = Math.round(height * scale);
    if (canvas.width === width && canvas.height === tall) {
      pen.globalAlpha = 1;
      pen.clearRect(0, 0, width, tall);
    } else {
      canvas.width = width;
      canvas.height = tall;
    }
    const edge = wall - seconds, x = (time) => Math.max(0, Math.min(width, ((time - edge) / seconds) * width));
    let failed = 0, drawn = -1;
    spansOf(row).forEach((span) => {
      const isFailed = span.outcome === "failed" || span.outcome === "lost";
      failed += isFailed ? 1 : 0;
      const start = x(span.start), end = Math.max(x(Math.min(span.end, wall)), start + 1);
      if (end <= drawn && !isFailed) return; // within a pixel that is drawn already
      drawn = end;
      pen.globalAlpha = isFailed || span.outcome === "completed" || span.outcome === "live" ? 1 : 0.4;
      pen.fillStyle = isFailed ? colors.fail : span.job.color;
      pen.fillRect(start, 0, end - start, tall);
      if (end - start > 6 * scale && end < width) {
        pen.globalAlpha = 1;
        pen.fillStyle = colors.edge;
        pen.fillRect(end - scale, 0, scale, tall);
      }
    });
    const count = row.sorted.length;
    canvas.setAttribute("aria-label", `${row.worker.name}: ${count} ${count === 1 ? "task" : "tasks"}${failed ? `, ${failed} failed` : ""}`);
  }
  function says(worker) {
    const status = farm.standing(worker.status);
    if (worker.status === "busy" && worker.reason.startsWith("seems stuck")) return `${worker.frame === null ? "" : `frame ${worker.frame} `}seems stuck`;
    if (worker.status === "busy") return worker.frame === null ? rows.get(worker.id).live[0]?.job.name || "busy" : `frame ${worker.frame}, ${Math.round(worker.fraction * 100)} %`;
    return status;
  }
  // Why it stands so, where it says that.
  const why = (worker) => (farm.standing(worker.status) === "unknown" ? "" : worker.reason);
  // Its reason stands below the lane once somebody asks for it.
  function tell(row) {
    const button = row.line.children[2], reason = why(row.worker), open = reason !== "" && row.open;
    const text = farm.calm(says(row.worker));
    if (button.textContent !== text) button.textContent = text;
    button.disabled = reason === "";
    button.title = farm.plain(reason);
    button.setAttribute("aria-expanded", String(open));
    button.setAttribute("aria-label", reason ? `${row.worker.name}: ${text}. ${open ? "Hide why" : "Say why"}` : `${row.worker.name}: ${text}`);
    row.line.classList.toggle("reasoned", reason !== "");
    if (!open) row.line.children[3]?.remove();
    else if (row.line.children[3]?.textContent !== farm.plain(reason)) {
      row.line.children[3]?.remove();
      row.line.append(farm.prose(reason, "lane-why"));
    }
  }
  function show() {
    const box = byId("lanes");
    const sorted = [...rows.values()].sort((a, b) => (a.worker.status === "offline") - (b.worker.status === "offline") || a.worker.name.localeCompare(b.worker.name, undefined, { numeric: true }));
    if (sorted.some((row, place) => box.children[place] !== row.line)) box.replaceChildren(...sorted.map((row) => row.line));
    sorted.forEach((row) => {
      tell(row);
      if (row.visible) draw(row);
    });
    legend();
    byId("alone").classList.toggle("d-none", sorted.length > 0);
    const cut = byId("cut"), shown = from > wall - seconds + 1;
    cut.classList.toggle("d-none", !shown);
    if (shown) cut.textContent = `Tasks that ended before ${farm.clock(from)} are not shown: there are too many.`;
    const marks = Array.from({ length: 5 }, (_, n) => farm.element("span", "", n === 4 ? "now" : farm.clock(wall - seconds * (1 - n / 4))));
    byId("axis").replaceChildren(...(sorted.length ? marks : []));
  }
  // The jobs that most of the time went to, each with its color.
  function legend() {
    const spent = new Map();
    let failed = false;
    rows.forEach((row) => spansOf(row).forEach((span) => {
      failed ||= span.outcome === "failed" || span.outcome === "lost";
      spent.set(span.job, (spent.get(span.job) || 0) + Math.min(span.end, wall) - span.start);
    }));
    const named = [...spent.keys()].sort((one, other) => spent.get(other) - spent.get(one)), first = named.slice(0, namedMost);
    const now = JSON.stringify([first.map((each) => each.id), named.length, failed]);
    if (byId("legend").dataset.now === now) return;
    byId("legend").dataset.now = now;
    const line = (color, made) => {
      const inside = farm.element("li"), square = farm.element("i");
      square.style.background = color;
      inside.append(...(color ? [square] : []), made);
      return inside;
    };
    byId("legend").replaceChildren(...first.map((each) => line(each.color, farm.link(`/jobs/${each.id}`, each.name, ""))),
      ...(named.length > first.length ? [line("", `and ${farm.several(named.length - first.length, "more job", "more jobs")}`)] : []), ...(failed ? [line("var(--fail)", "failed or lost")] : []));
  }
  // The share of the time, since the first task that is shown, in which the workers that are there rendered.
  function busy() {
    let there = 0, worked = 0, first = wall;
    const edge = wall - seconds;
    rows.forEach((row) => {
      if (row.worker.status !== "offline") there += 1;
      spansOf(row).forEach((span) => {
        const start = Math.max(span.start, edge);
        first = Math.min(first, start);
        worked += Math.max(0, Math.min(span.end, wall) - start);
      });
    });
    return there && first < wall ? Math.min(1, worked / (there * (wall - first))) : null;
  }

  // --- asking ---
  let running = null, wanted = 0;
  async function load(whole) {
    const span = seconds, newest = await farm.ask(`/lanes?seconds=${span}${whole || !wall ? "" : `&since=${wall - 60}`}`);
    if (span !== seconds) return;
    const before = from;
    if (whole) forget();
    add(newest, true);
    if (!whole) from = Math.max(before, wall - seconds);
    show();
    for (let page = 0, older = newest.older; whole && older && page < pagesMost; page += 1) {
      const told = await farm.ask(`/lanes?seconds=${span}&until=${older}`);
      if (span !== seconds) return;
      add(told, false);
      older = told.older;
      show();
    }
  }
  // Ask for what is new, and now and then for all: reports may come late.
  function look() {
    if (running) return running;
    const whole = Date.now() > wanted;
    if (whole) wanted = Date.now() + 300000;
    running = load(whole).finally(() => { running = null; });
    return running;
  }
  function span(length) {
    seconds = length;
    wanted = 0;
    const before = running;
    return (before || Promise.resolve()).catch(() => {}).then(look);
  }

  // --- what is under the pointer ---
  const tip = byId("tip");
  function at(event) {
    const canvas = event.target.closest("canvas");
    const row = canvas && rows.get(canvas.dataset.worker);
    if (!row) return null;
    const box = canvas.getBoundingClientRect(), time = wall - seconds + ((event.clientX - box.left) / box.width) * seconds;
    const near = (seconds / box.width) * 1.5;
    const distance = (span) => Math.max(span.start - time, time - Math.min(span.end, wall), 0);
    return spansOf(row).filter((span) => distance(span) <= near).sort((a, b) => distance(a) - distance(b))[0] || null;
  }
  function explain(event) {
    const span = at(event);
    tip.classList.toggle("d-none", !span);
    if (!span) return;
    const took = farm.span(Math.min(span.end, wall) - span.start);
    const said = span.end === Infinity ? `since ${farm.clock(span.start)}, ${took} so far` : `${farm.clock(span.start)} to ${farm.clock(span.end)}, ${took}`;
    tip.replaceChildren(farm.element("strong", "", span.job.name), said, span.outcome === "completed" || span.outcome === "live" ? "" : ` · ${span.outcome}`);
    tip.style.left = `${Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY + 18 + tip.offsetHeight > window.innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
  }
  byId("lanes").addEventListener("pointermove", explain);
  byId("lanes").addEventListener("pointerleave", () => tip.classList.add("d-none"));
  byId("lanes").addEventListener("click", (event) => {
    const button = event.target.closest("button"), asked = button && [...rows.values()].find((row) => row.line === button.parentNode);
    if (asked) {
      asked.open = !asked.open;
      tell(asked);
    }
    const span = at(event);
    if (span) window.location.assign(`/jobs/${span.job.id}`);
  });
  const again = () => { colors = null; wide = 0; rows.forEach((row) => { if (row.visible) draw(row); }); };
  window.addEventListener("resize", again);
  new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });

  return { look, span, show, busy };
})();
