// Who gets the farm now, and who should: each project, and its users below it.
(() => {
  const byId = (id) => document.getElementById(id);
  const part = (share) => (share === null ? "" : `${Math.round(share * 100)} %`);
  const hours = (seconds) => (seconds / 3600).toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

  // What one had, as a bar, and what is due to it, as a mark on that.
  function bar(row) {
    const made = farm.element("div");
    if (row.due === null) return made;
    made.className = "sharebar";
    made.title = `due ${part(row.due)}, had ${part(row.had)}`;
    const had = farm.element("div", "had"), due = farm.element("div", "due");
    had.style.width = `${row.had * 100}%`;
    due.style.left = `${row.due * 100}%`;
    made.append(had, due);
    return made;
  }
  function line(name, row, classes) {
    const made = farm.element("tr", classes), cell = (content, kind) => { const one = farm.element("td", kind); one.append(content); made.append(one); };
    cell(farm.element("bdi", "", name), "name");
    for (const text of [row.weight.toLocaleString(), part(row.due), part(row.had)]) cell(text, "text-end text-nowrap");
    cell(bar(row), "wide w-25");
    cell(hours(row.seconds), "text-end wide");
    for (const count of [row.running, row.waiting]) cell(count.toLocaleString(), "text-end");
    return made;
  }
  async function show() {
    const told = await farm.ask("/shares");
    byId("shares").classList.toggle("d-none", !told.projects.length);
    byId("half-life").textContent = `Older work counts less: half after ${farm.span(told.half_life)}.`;
    byId("sharing").tBodies[0].replaceChildren(...told.projects.flatMap((project) => [
      line(project.project, project, "of-project"),
      ...told.users.filter((user) => user.project === project.project).map((user) => line(user.user || "(no name)", user, "of-user")),
    ]));
  }
  farm.watch(["job"], show);
})();
