// Another job's frames against this one's: beside each other, as a wipe with a line that is moved, or as a blink.
const compare = (() => {
  const byId = (id) => document.getElementById(id);
  const screen = byId("screen"), line = byId("wipe"), blinkMs = 700;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let other = "", parts = [], at = 50, timer = 0, changed = () => {};

  // The frame of the other job that is nearest to a frame of that number.
  const nearest = (frame) => parts.reduce((best, part) => (!best || Math.abs(part.frame - frame) < Math.abs(best.frame - frame) ? part : best), null);
  const how = () => (other ? byId("as").value : "");

  function wipeTo(percent) {
    at = Math.max(0, Math.min(100, percent));
    screen.style.setProperty("--wipe", `${at}%`);
    line.setAttribute("aria-valuenow", Math.round(at));
    line.setAttribute("aria-valuetext", `${Math.round(at)} % this job, the rest ${name()}`);
  }
  const name = () => byId("other").selectedOptions[0]?.textContent || "";
  function flip() {
    screen.classList.toggle("second");
    sayWhich();
  }
  function sayWhich() {
    const blinks = how() === "blink", second = screen.classList.contains("second");
    byId("side-a").classList.toggle("d-none", !other || (blinks && second));
    byId("side-b").classList.toggle("d-none", !other || (blinks && !second));
    byId("side-b").textContent = `B ${name()}`;
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
  async function choose() {
    other = byId("other").value;
    parts = other ? frames.read(await farm.ask(`/jobs/${other}/strip`)).filter((part) => frames.pictured(part) && !part.piece) : [];
    arrange();
    changed();
  }
  // The jobs that can be looked at against this one: those of the same name first, then those of its project.
  async function offer() {
    if (byId("other").options.length > 1) return;
    const mine = byId("job").dataset, page = await farm.ask("/jobs?length=200&sort=submitted");
    const near = (row) => (row.name === mine.name ? 0 : row.project === mine.project ? 1 : 2);
    const rows = page.rows.filter((row) => row.id !== frames.job && row.completed_parts);
    rows.sort((a, b) => near(a) - near(b)).forEach((row) => {
      const option = farm.element("option", "", `${row.name}, ${farm.clock(row.submitted)}`);
      option.value = row.id;
      byId("other").append(option);
    });
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
  return { nearest, offer, onChange: (doing) => { changed = doing; }, get other() { return other; } };
})();
