// One manager: what it uses, and its workers.
(() => {
  const byId = (id) => document.getElementById(id);
  const id = byId("manager").dataset.id;
  farm.watch(["manager", "worker", "stats"], async () => {
    const manager = await farm.ask(`/managers/${id}`);
    const status = farm.standing(manager.status);
    byId("status").className = `badge ${status}`;
    byId("status").textContent = status;
    byId("reason").replaceChildren(farm.prose(manager.reason));
    byId("buttons").replaceChildren(farm.nodeButtons(manager, () => farm.leave("/managers/", `${manager.name} is off the list`)));
    const lines = manager.workers.map((worker) => {
      const line = farm.link(`/workers/${worker.id}`, "", "list-group-item list-group-item-action");
      line.append(farm.badge(farm.standing(worker.status)), ` ${worker.name} `, farm.prose(worker.reason));
      return line;
    });
    byId("workers").replaceChildren(...(lines.length ? lines : [farm.element("p", "text-body-secondary", "It has none")]));
    await nodePlots.show(manager);
  });
})();
