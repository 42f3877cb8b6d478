// The list of jobs: filtered, sorted and paged in the database; what is looked for stands in the address.
(() => {
  const byId = (id) => document.getElementById(id);
  const filters = ["q", "status", "project", "user", "tag"];
  const chosen = new Set();
  const address = new URLSearchParams(window.location.search);

  const name = (row) => farm.link(`/jobs/${row.id}`, row.name, "fw-semibold text-decoration-none text-break");
  const progress = (row) => {
    const made = farm.element("div", "d-flex align-items-center gap-2");
    made.append(farm.bar(row.progress, row.name), farm.element("span", "small text-nowrap", `${row.completed_parts}/${row.part_count}`));
    return made;
  };
  const tick = (row) => {
    const made = farm.element("input", "form-check-input");
    made.type = "checkbox";
    made.checked = chosen.has(row.id);
    made.setAttribute("aria-label", `Select ${row.name}`);
    made.addEventListener("change", () => { chosen[made.checked ? "add" : "delete"](row.id); showChosen(); });
    return made;
  };
  const priority = (row) => {
    if (!farm.may("act priority", row.user)) return farm.element("span", "", row.priority);
    const made = farm.element("input", "form-control form-control-sm priority");
    Object.assign(made, { type: "number", min: 0, max: 100, value: row.priority });
    made.setAttribute("aria-label", `Priority of ${row.name}`);
    made.addEventListener("change", () => farm.act(row.id, "priority", Number(made.value)).then(farm.content).catch(farm.complain));
    return made;
  };

  function looked() {
    const found = {};
    filters.forEach((each) => { if (byId(each).value) found[each] = byId(each).value; });
    return found;
  }
  function showChosen() {
    byId("many").classList.toggle("d-none", !chosen.size);
    byId("selected").textContent = `${chosen.size} selected`;
  }

  const columns = [
    { title: "", show: tick, value: () => "", orderable: false },
    { title: "Job", field: "name", show: name },
    { title: "Status", field: "status", show: (row) => farm.badge(row.status) },
    { title: "Frames", field: "progress", show: progress },
    { title: "Left", value: (row) => row.eta_seconds, show: (row) => (row.eta_seconds ? `about ${farm.duration(row.eta_seconds)}` : ""), orderable: false, classes: "text-nowrap small" },
    { title: "Priority", field: "priority", show: priority },
    { title: "Project", field: "project" },
    { title: "User", field: "user" },
    { title: "Submitted", field: "submitted", show: (row) => farm.time(row.submitted) },
    { title: "Rendered for", field: "render_seconds", show: (row) => farm.duration(row.render_seconds) },
    { title: "Why", field: "reason", classes: "small text-body-secondary", orderable: false },
  ];

  async function start() {
    const choices = await farm.ask("/jobs/choices");
    const fill = (id, values) => values.forEach((value) => byId(id).append(farm.element("option", "", value)));
    fill("project", choices.projects);
    fill("user", choices.users);
    filters.forEach((each) => { if (address.has(each)) byId(each).value = address.get(each); });
    const sort = columns.findIndex((column) => column.field === (address.get("sort") || "submitted"));
    const table = $("#jobs").DataTable({
      serverSide: true,
      searching: false,
      pageLength: 50,
      displayStart: Number(address.get("start") || 0),
      order: [[sort < 0 ? 8 : sort, address.get("descending") === "false" ? "asc" : "desc"]],
      autoWidth: false,
      language: farm.language,
      columns: farm.columnsOf(columns),
      createdRow: (line) => { line.dataset.line = ""; line.tabIndex = 0; },
      ajax: async (asked, answer) => {
        const [order] = asked.order;
        const query = { ...looked(), sort: order ? columns[order.column].field : "submitted", descending: order ? order.dir === "desc" : true, start: asked.start, length: asked.length };
        const kept = new URLSearchParams(query);
        kept.delete("length");
        window.history.replaceState(null, "", `?${kept}`);
        try {
          const page = await farm.ask(`/jobs?${new URLSearchParams(query)}`);
          byId("empty").classList.toggle("d-none", page.total > 0);
          answer({ draw: asked.draw, recordsTotal: page.total, recordsFiltered: page.filtered, data: page.rows });
        } catch (error) {
          farm.complain(error);
        }
      },
    });
    filters.forEach((each) => byId(each).addEventListener("input", () => table.ajax.reload()));
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    // Not while somebody types a number into the list.
    farm.watch(["job"], async () => { if (!document.activeElement.matches("#jobs input")) table.ajax.reload(null, false); });
    document.querySelectorAll("[data-many]").forEach((button) => button.addEventListener("click", async () => {
      const action = button.dataset.many;
      if (action === "delete" && !window.confirm(`Delete ${chosen.size} jobs, their logs and the frames that they rendered?`)) return;
      try {
        const told = await farm.post("/jobs/actions", { ids: [...chosen], action, ...(action === "delete" ? { value: "both" } : {}) });
        told.done.forEach((id) => chosen.delete(id));
        const refused = Object.values(told.refused);
        if (refused.length) farm.complain(new Error(`${told.done.length} done. ${refused[0]}${refused.length > 1 ? `, and ${refused.length - 1} more` : ""}`));
        else farm.content();
      } catch (error) {
        farm.complain(error);
      }
      showChosen();
      table.ajax.reload(null, false);
    }));
  }
  start().catch(farm.complain);
})();
