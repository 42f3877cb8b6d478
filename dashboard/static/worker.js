// One worker: what it does now, what it used lately, what it did last.
(() => {
  const byId = (id) => document.getElementById(id);
  const id = byId("worker").dataset.id;
  farm.watch(["worker"], async () => {
    const worker = await farm.ask(`/workers/${id}`);
    const status = farm.standing(worker.status);
    byId("status").className = `badge ${status.replace(" ", "-")}`;
    byId("status").textContent = status;
    byId("reason").replaceChildren(farm.explained(worker.reason));
    byId("reason").className = worker.status === "busy" && worker.reason ? "attn" : "small text-body-secondary";
    byId("buttons").replaceChildren(farm.nodeButtons(worker, () => farm.leave("/workers/", `${worker.name} is off the list`)));
    if (status === "idle") {
      farm.ask(`/workers/${id}/why`).then((told) => { if (byId("status").textContent === "idle") byId("reason").replaceChildren(farm.prose(told.why)); }).catch(() => {});
    }
    const back = byId("give-back");
    if (back) {
      back.hidden = ["offline", "asleep"].includes(status);
      byId("back-hours").hidden = Boolean(worker.paused_until);
      byId("back-go").textContent = worker.paused_until ? "Let it go on" : "Give it back to its owner";
      back.dataset.paused = worker.paused_until ? "1" : "";
    }
    byId("sleep")?.classList.toggle("d-none", ["offline", "asleep"].includes(status));
    const now = byId("now");
    now.textContent = worker.job ? `${worker.frame === null ? "" : `frame ${worker.frame}, `}${Math.round(worker.fraction * 100)} % of its task. ${farm.calm(worker.line)}` : "";
    if (worker.job) now.prepend(farm.link(`/jobs/${worker.job}`, "Renders"), ": ");
    byId("attempts").replaceChildren(...worker.attempts.map((attempt) => {
      const line = farm.link(`/jobs/${attempt.job}`, "", "list-group-item list-group-item-action");
      line.append(farm.outcome(attempt), " ", farm.element("bdi", "", attempt.job_name), " · ", farm.when(attempt.granted), attempt.outcome === "live" ? "" : ` · ${farm.span(attempt.seconds)} `, farm.prose(attempt.reason));
      return line;
    }));
    if (!worker.attempts.length) byId("attempts").replaceChildren(farm.element("p", "text-body-secondary", "Nothing yet"));
  }, id);
  byId("care").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      for (const input of byId("care").querySelectorAll("[data-care]")) {
        if (input.value !== input.defaultValue) {
          await farm.actOnNode(id, input.dataset.care, input.value);
          input.defaultValue = input.value;
        }
      }
      farm.content();
      farm.toast("Saved");
    } catch (error) {
      farm.complain(error);
    }
  });
  byId("give-back")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const hours = event.target.dataset.paused ? "0" : byId("back-hours").value;
    farm.actOnNode(id, "give-back", hours).then(() => farm.content()).catch(farm.complain);
  });
  byId("sleep")?.addEventListener("click", () => { farm.actOnNode(id, "sleep").then(() => farm.content()).catch(farm.complain); });
  async function showLog(after) {
    for (let tries = 0; tries < 20; tries += 1) {
      const told = await farm.ask(`/workers/${id}/log`);
      byId("log").textContent = farm.calm(told.text) || "(nobody has asked for it yet)";
      byId("log").scrollTop = byId("log").scrollHeight;
      if (told.wall > after) return;
      await new Promise((good) => { window.setTimeout(good, 250); });
    }
    throw new Error("The worker did not answer: what is shown is what it told before");
  }
  byId("ask-log")?.addEventListener("click", async () => {
    try {
      const before = (await farm.ask(`/workers/${id}/log`)).wall;
      await farm.actOnNode(id, "log");
      await showLog(before);
      farm.content();
    } catch (error) {
      farm.complain(error);
    }
  });
  showLog(-1).catch(farm.complain);
  farm.watch(["stats"], async () => nodePlots.show(await farm.ask(`/workers/${id}`)), id);
})();
