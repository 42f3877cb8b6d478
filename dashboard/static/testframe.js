// One frame of a job to try, shown on the page Submit. `send`: runs a function that submits a job, with nothing else submitted
// meanwhile; `shown`: called once the picture is there. Answers with a function that tries `frame` of `job`, as the API takes it.
const testFrame = (send, shown) => {
  const PRIORITY = 90;
  const box = document.getElementById("test");
  const title = (frame, style = "") => farm.element("strong", style, `Test frame ${frame}`);
  let trying = 0;
  async function showEnded(told, address, frame, isLast) {
    const link = farm.link(address, "its page");
    if (told.status !== "completed") { box.replaceChildren(farm.element("strong", "text-danger", `Test frame ${frame} is ${told.status}`), " ", farm.prose(told.reason), " ", link); return; }
    const done = (await farm.ask(`${address}/parts`)).filter((each) => each.status === "completed");
    if (!isLast()) return;
    const part = done.find((each) => !each.piece) || done.pop();
    const picture = farm.element("img");
    picture.alt = `Test frame ${frame}`;
    picture.src = `${address}/pictures/${part.id}?width=1280`;
    box.replaceChildren(title(frame), ` took ${farm.span(told.render_seconds)} · `, link, picture);
    shown();
  }
  return async (frame, job) => {
    const number = trying += 1, isLast = () => number === trying;
    const wanted = { ...job, name: `${job.name} (test)`, test: true, priority: PRIORITY, paused: false, after: [], start_at: "", night: false };
    box.classList.remove("d-none");
    box.replaceChildren(title(frame), " is submitted…");
    const accepted = await send(() => farm.post("/jobs", wanted)).catch((error) => {
      if (isLast()) box.classList.add("d-none");
      throw error;
    });
    farm.content();
    const line = farm.element("span"), bar = farm.bar(0, "Test frame");
    bar.classList.remove("mini");
    box.replaceChildren(title(frame), " ", line, bar);
    const address = `/jobs/${accepted.id}`;
    while (isLast()) {
      const told = await farm.ask(address);
      if (!isLast()) return;
      const at = told.rendering[0];
      line.replaceChildren(at ? `is rendered by ${at.name}` : told.status === "queued" ? "waits for a worker" : "starts", " ", farm.link(address, "its page"));
      bar.firstElementChild.style.width = `${Math.round((at?.fraction || 0) * 100)}%`;
      if (["completed", "failed", "canceled"].includes(told.status)) { await showEnded(told, address, frame, isLast); break; }
      await new Promise((good) => window.setTimeout(good, 1000));
    }
  };
};
