// Another job's frames against this one's: beside each other, as a wipe with a line that is moved, or as a blink.
const compare = (() => {
  const byId = (id) => document.getElementById(id);
  const screen = byId("screen"), line = byId("wipe"), blinkMs = 700;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const listed = 100;
  let other = "", name = "", said = "", parts = [], at = 50, timer = 0, asked = 0, offered = null, changed = () => {};

  // The frame of the other job that is nearest to a frame of that number.
  const nearest = (frame) => parts.reduce((best, part) => (!best || Math.abs(part.frame - frame) < Math.abs(best.frame - frame) ? part : best), null);
  const how = () => (other ? byId("as").value : "");

  function wipeTo(percent) {
    at = Math.max(0, Math.min(100, percent));
    screen.style.setProperty("--wipe", `${at}%`);
    line.setAttribute("aria-valuenow", Math.round(at));
    line.setAttribute("aria-valuetext", `${Math.round(at)} % this job, the rest ${name}`);
  }
  // Has the other side say what is seen there.
  function say(what) {
    said = what;
    sayWhich();
  }
  function flip() {
    screen.classList.toggle("second");
    sayWhich();
  }
  function sayWhich() {
    const blinks = how() === "blink", second = screen.classList.contains("second");
    byId("side-a").classList.toggle("d-none", !other || (blinks && second));
    byId("side-b").classList.toggle("d-none", !other || (blinks && !second));
    byId("side-b").textContent = byId("side-b").title = farm.calm(`B ${said} · ${name}`);
  }
  function arrange() {
    window.clearInterval(timer);
    ["beside", "wipe", "blink"].forEach((each) => screen.classList.toggle(each, how() === each));
    screen.classList.remove("second");
    line.classList.toggle("d-none", how() !== "wipe");
    // The key b turns it by hand, for those who want nothing to move.
    if (how() === "blink" && !still.matches) timer = window.setInterval(() => { if (!document.hidden) flip(); }, blinkMs);
    byId("as").disabled = !other;
    sayWhich();
  }
  // (Of two quick choices the first one's answer may come last.)
  async function choose() {
    const number = asked += 1, wanted = byId("other").value, label = byId("other").selectedOptions[0].textContent;
    try {
      const found = wanted ? frames.read(await farm.ask(`/jobs/${wanted}/strip`)).filter((part) => frames.pictured(part) && !part.piece) : [];
      if (number !== asked) return;
      [other, name, said, parts] = [wanted, label, "", found];
    } catch (error) {
      if (number !== asked) return;
      byId("other").value = other;
      throw error;
    }
    arrange();
    wipeTo(at);
    changed();
  }
  // The jobs that can be looked at against this one: those of the same name first, then those of its project, then others.
  async function offerJobs() {
    const mine = byId("job").dataset, query = (more) => farm.ask(`/jobs?${new URLSearchParams({ length: listed, sort: "submitted", ...more })}`);
    const pages = await Promise.all([query({ q: mine.name.slice(0, 200) }), query({ project: mine.project }), query({})]);
    const near = (row) => (row.name === mine.name ? 0 : row.project === mine.project ? 1 : 2);
    const found = new Map(pages.flatMap((page) => page.rows).map((row) => [row.id, row]));
    const rows = [...found.values()].filter((row) => row.id !== frames.job && row.completed_parts);
    rows.sort((a, b) => near(a) - near(b) || b.submitted - a.submitted).forEach((row) => {
      byId("other").append(new Option(`${farm.calm(row.name)}, ${farm.clock(row.submitted)}`, row.id));
    });
    const left = pages[2].total - found.size;
    if (left > 0) {
      const more = new Option(`${farm.several(left, "other job is", "other jobs are")} not listed`, "");
      more.disabled = true;
      byId("other").append(more);
    }
  }
  function offer() {
    offered ||= offerJobs().catch((error) => { offered = null; throw error; });
    return offered;
  }
  function as(wanted) {
    if (!other) return;
    byId("as").value = byId("as").value === wanted ? "beside" : wanted;
    arrange();
  }

  const share = (event) => { const box = screen.getBoundingClientRect(); wipeTo(((event.clientX - box.left) / box.width) * 100); };
  line.addEventListener("pointerdown", (event) => { line.setPointerCapture(event.pointerId); event.preventDefault(); line.focus(); });
  line.addEventListener("pointermove", (event) => { if (line.hasPointerCapture(event.pointerId)) share(event); });
  line.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 2, ArrowRight: at + 2, Home: 0, End: 100 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    wipeTo(to);
  });
  byId("other").addEventListener("change", () => choose().catch(farm.complain));
  byId("as").addEventListener("change", arrange);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
    if (event.key === "w") as("wipe");
    if (event.key === "b" && how() === "blink" && still.matches) flip();
    else if (event.key === "b") as("blink");
  });
  wipeTo(50);
  arrange();
  return { nearest, offer, say, onChange: (doing) => { changed = doing; }, get other() { return other; } };
})();
