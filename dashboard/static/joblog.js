// An attempt's log as a person reads it: colored by how bad a line is, searched, followed; what Blender says all the time is folded.
const joblog = (() => {
  const box = document.getElementById("log"), find = document.getElementById("log-find"), follow = document.getElementById("log-follow");
  const noise = JSON.parse(box.dataset.noise).map((words) => new RegExp(words.replace("(?i)", ""), words.startsWith("(?i)") ? "i" : ""));
  const bad = /\b(error|traceback|exception|fatal|failed|cannot|out of memory|segmentation fault)\b/i;
  let shown = null, given = null, searched = "";

  function kind(line) {
    if (noise.some((words) => words.test(line))) return "noise";
    if (/^\[brender\b/.test(line)) return /\] ended: stopped/.test(line) ? "warning" : /\] ended: (?!completed)/.test(line) ? "error" : "ours";
    if (bad.test(line)) return "error";
    return /\bwarn(ing)?\b/i.test(line) ? "warning" : "plain";
  }
  // A line of brender's own is shown with its time before it.
  function plain(line, what) {
    const ours = ["ours", "warning", "error"].includes(what) ? /^\[brender ?([\d:]*)\] (.*)$/.exec(line) : null;
    if (!ours) return farm.element("div", what, line);
    const made = farm.element("div", what);
    made.append(farm.element("small", "", ours[1]), ` ${ours[2]}`);
    return made;
  }
  // The line with what is searched for marked in it.
  function marked(line, wanted) {
    const made = farm.element("div", kind(line));
    const low = line.toLowerCase();
    let from = 0;
    for (let place = low.indexOf(wanted); place >= 0; place = low.indexOf(wanted, from)) {
      made.append(line.slice(from, place), farm.element("mark", "", line.slice(place, place + wanted.length)));
      from = place + wanted.length;
    }
    made.append(line.slice(from));
    return made;
  }
  function folded(lines) {
    const made = farm.element("details");
    made.append(farm.element("summary", "", `${lines.length} ${lines.length === 1 ? "line" : "lines"} of Blender's own`));
    lines.forEach((line) => made.append(farm.element("div", "noise", line)));
    return made;
  }
  function render() {
    const wanted = find.value.trim().toLowerCase(), lines = (shown || "").replace(/\n$/, "").split("\n");
    const out = document.createDocumentFragment();
    if (wanted) {
      const found = lines.filter((line) => line.toLowerCase().includes(wanted));
      found.slice(0, 2000).forEach((line) => out.append(marked(line, wanted)));
      if (!found.length) out.append(farm.element("div", "", "Nothing fits"));
    } else if (!shown) out.append(farm.element("div", "", "Nothing has arrived yet"));
    else {
      let quiet = [];
      lines.forEach((line) => {
        const what = kind(line);
        if (what === "noise") { quiet.push(line); return; }
        if (quiet.some((each) => each.trim())) out.append(folded(quiet));
        quiet = [];
        out.append(plain(line, what));
      });
      if (quiet.some((each) => each.trim())) out.append(folded(quiet));
    }
    box.replaceChildren(out);
    if (follow.checked) box.scrollTop = box.scrollHeight;
    searched = wanted;
  }
  // Shows the text of a log; `null`: there is no log.
  function show(text) {
    document.getElementById("log-bar").classList.toggle("d-none", text === null);
    if (text === null) { shown = given = null; box.replaceChildren(); return; }
    if (text === given) return;
    given = text;
    shown = farm.calm(text);
    render();
  }
  // What it rendered on, in the worker's own words.
  const device = (text) => /^\[brender[^\]]*\] rendering on (.+)$/m.exec(text || "")?.[1].replace(/^the CPU$/, "CPU") || "";

  find.addEventListener("input", () => { if (find.value.trim().toLowerCase() !== searched) render(); });
  follow.addEventListener("change", () => { if (follow.checked) box.scrollTop = box.scrollHeight; });
  box.addEventListener("wheel", () => window.setTimeout(() => { follow.checked = box.scrollHeight - box.scrollTop - box.clientHeight < 24; }, 50), { passive: true });
  return { show, device };
})();
