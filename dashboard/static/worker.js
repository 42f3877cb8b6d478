// One worker: what it does now, what it used lately, what it did last.
(() => {
  const byId = (id) => document.getElementById(id);
  const id = byId("worker").dataset.id;
  farm.watch(["worker"], async () => {
    const worker = await farm.ask(`/workers/${id}`);
    byId("status").className = `badge ${worker.status}`;
    byId("status").textContent = worker.status;
    byId("reason").textContent = worker.reason;
    byId("buttons").replaceChildren(farm.nodeButtons(worker));
    const now = byId("now");
    now.textContent = worker.job ? `frame ${worker.frame ?? "?"}, ${Math.round(worker.fraction * 100)} % of its task. ${worker.line}` : "";
    if (worker.job) now.prepend(farm.link(`/jobs/${worker.job}`, "Renders"), ": ");
    byId("attempts").replaceChildren(...worker.attempts.map((attempt) => {
      const line = farm.link(`/jobs/${attempt.job}`, "", "list-group-item list-group-item-action");
      line.append(farm.badge(attempt.outcome), ` ${attempt.job_name} · ${farm.time(attempt.granted)} · ${farm.duration(attempt.seconds)} ${attempt.reason}`);
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
  async function showLog(after) {
    for (let tries = 0; tries < 20; tries += 1) {
      const told = await farm.ask(`/workers/${id}/log`);
      byId("log").textContent = told.text || "(nobody has asked for it yet)";
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
  // A row a minute from the record, and what came while this page is open.
  const live = [];
  farm.watch(["stats"], async () => {
    const worker = await farm.ask(`/workers/${id}`);
    if (worker.stats && live.at(-1)?.wall !== worker.last_seen) live.push({ wall: worker.last_seen, stats: worker.stats });
    const kept = await farm.ask(`/nodes/${id}/history`);
    const rows = [...kept.filter((row) => !live.length || row.wall < live[0].wall), ...live];
    const points = (value, group) => rows.filter((row) => value(row.stats) !== undefined).map((row) => ({ x: row.wall, y: value(row.stats), group }));
    const clock = (wall) => new Date(wall * 1000).toLocaleTimeString();
    byId("plots").replaceChildren(
      plot.draw("CPU", points((s) => s.cpu_percent), (y) => `${y.toFixed(0)} %`, { line: true, most: 100, showX: clock }),
      plot.draw("Memory", [...points((s) => s.memory_used, "machine"), ...points((s) => s.render_memory, "render")], farm.size, { line: true, showX: clock }),
      ...(rows.some((row) => row.stats.gpu_memory_total) ? [plot.draw("GPU", points((s) => s.gpu_percent), (y) => `${y.toFixed(0)} %`, { line: true, most: 100, showX: clock }), plot.draw("GPU memory", points((s) => s.gpu_memory_used), farm.size, { line: true, showX: clock })] : []),
      plot.draw("Disk", [...points((s) => s.disk_read, "read"), ...points((s) => s.disk_written, "written")], (y) => `${farm.size(y)}/s`, { line: true, showX: clock }),
      plot.draw("Network", [...points((s) => s.network_received, "received"), ...points((s) => s.network_sent, "sent")], (y) => `${farm.size(y)}/s`, { line: true, showX: clock }),
    );
  }, id);
})();
