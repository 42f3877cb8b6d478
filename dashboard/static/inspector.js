// All about the chosen frame: how it stands, what it took, its attempts and the log of one.
const inspector = (() => {
  const byId = (id) => document.getElementById(id);
  const settle = 120;
  let part = null, attempt = "", chosen = "", mean = null, timer = 0, asked = 0, live = false, rendering = [];

  const facts = [];
  function fact(label, value, classes = "", title = "") {
    if (value === "" || value === null || value === undefined) return;
    const shown = farm.element("dd", classes);
    shown.append(value instanceof Node ? value : farm.calm(value));
    shown.title = title;
    facts.push(farm.element("dt", "", label), shown);
  }
  function against(seconds) {
    if (!mean || !seconds) return farm.duration(seconds);
    const share = Math.round((seconds / mean - 1) * 100);
    const made = farm.element("span", "", `${farm.duration(seconds)} `);
    if (Math.abs(share) < 1000) made.append(farm.element("small", "", share ? `${share > 0 ? "+" : "−"}${Math.abs(share)} % of the mean` : "as the mean"));
    return made;
  }
  function showFacts(told) {
    facts.length = 0;
    const now = frames.status(part);
    const at = rendering.find((worker) => worker.frame === part.frame && now === "active");
    fact("Status", frames.said(part), now);
    fact("Why", now !== "completed" && told.why && farm.prose(`It ${told.why}`));
    if (at) {
      fact("Progress", `${Math.round(at.fraction * 100)} % of its task`);
      fact("At", at.line);
    }
    const worker = told.worker || at?.id || (now === "active" ? told.attempts[0]?.worker : "");
    const name = told.worker_name || at?.name || told.attempts[0]?.worker_name;
    if (worker && name) fact("Worker", farm.link(`/workers/${worker}`, name, "text-break"));
    fact("Device", told.device);
    if (told.revision) fact("Revision", String(told.revision));
    if (now === "completed") {
      fact("Time", against(told.seconds), "", mean ? `The mean of this job's frames: ${farm.duration(mean)}` : "");
      if (told.width) fact("Picture", `${told.width}×${told.height} ${(/\.(\w+)$/.exec(told.output)?.[1] || "").toUpperCase()}`.trim());
      if (told.size) fact("Size", farm.size(told.size));
    }
    if (told.memory) fact("Memory", farm.size(told.memory));
    if (told.finished && now === "completed") fact("Finished", farm.when(told.finished));
    if (told.output) fact("File", told.output);
    byId("frame-facts").replaceChildren(...facts);
  }
  // When an attempt began, and why it ended as it did.
  function said(each) {
    const made = farm.element("small");
    made.append(farm.when(each.granted));
    if (each.reason) made.append(": ", farm.prose(each.reason));
    return made;
  }
  // An attempt at several frames may have been stopped, or have failed, after it had completed this one.
  const ofFrame = (told) => told.attempts.map((each) => (frames.status(part) === "completed" && each.id === told.attempt ? { ...each, outcome: "completed", reason: "" } : each));
  function showAttempts(attempts) {
    byId("attempts").replaceChildren(...(attempts.length > 1 || attempts.some((each) => each.reason) ? attempts : []).map((each) => {
      const line = farm.element("button");
      line.type = "button";
      line.setAttribute("aria-pressed", each.id === attempt);
      line.append(farm.outcome(each), ` ${farm.calm(each.worker_name)} `, said(each));
      line.addEventListener("click", () => { chosen = each.id; refresh().catch(farm.complain); });
      return line;
    }));
  }

  async function refresh() {
    if (!part) return;
    const now = part, number = asked += 1;
    const told = await farm.ask(`/jobs/${frames.job}/parts/${frames.pictureOf(now)}`);
    if (told.called) byId("frame-title").textContent = told.called;
    byId("frame-requeue")?.classList.toggle("invisible", !told.of_frames);
    attempt = (told.attempts.find((each) => each.id === chosen) || told.attempts[0])?.id || "";
    live = told.attempts.some((each) => each.outcome === "live");
    mean = told.mean_seconds;
    const text = attempt ? (await farm.ask(`/jobs/${frames.job}/log?attempt=${attempt}`)).text : null;
    if (part !== now || number !== asked) return; // another was chosen meanwhile
    told.device = joblog.device(text);
    const done = now.piece <= 0 && (now.shown || frames.status(now) === "completed") && told.output;
    byId("frame-file").classList.toggle("d-none", !done);
    if (done) byId("frame-file").href = `/jobs/${frames.job}/frames/${frames.pictureOf(now)}`;
    byId("frame-requeue")?.classList.toggle("d-none", !["completed", "failed", "canceled"].includes(frames.status(now)));
    byId("frame-warnings").replaceChildren(...(told.warnings.length ? [farm.explained(told.warnings.join(" "))] : []));
    showFacts(told);
    showAttempts(ofFrame(told));
    joblog.show(text);
  }
  // Shows that frame: its name at once, the rest as soon as nobody scrubs any more.
  function show(wanted) {
    const waits = timer && wanted === part; // (what changes again and again must not put it off for ever)
    if (wanted !== part) chosen = "";
    part = wanted;
    byId("frame-title").textContent = frames.named(part);
    byId("frame-title").dataset.status = frames.status(part);
    if (waits) return;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => { timer = 0; refresh().catch(farm.complain); }, settle);
  }
  function update(changed, job) {
    rendering = job.rendering;
    if (part && (live || changed.includes(part))) show(part);
  }
  window.setInterval(() => { if (part && live && !document.hidden) refresh().catch(farm.complain); }, 2000);
  return { show, update };
})();
