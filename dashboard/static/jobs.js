// The list of jobs: filtered, sorted and paged in the database; what is looked for stands in the address.
(() => {
  const byId = (id) => document.getElementById(id);
  const filters = ["q", "status", "project", "user", "tag"];
  const chosen = new Set();
  let twin = () => "";
  const address = new URLSearchParams(window.location.search);

  // Its name, and below it whose it is and why it waits or has failed.
  const name = (row) => {
    const made = farm.element("div", "job-name"), link = farm.link(`/jobs/${row.id}`, "", "fw-semibold text-decoration-none");
    link.append(farm.element("bdi", "long-name", row.name));
    link.title = row.name;
    const whose = farm.element("small", "whose");
    [row.project, row.user, twin(row)].filter(Boolean).forEach((text, place) => whose.append(place ? " · " : "", farm.element("bdi", "", text)));
    made.append(link, farm.element("span", `badge phone-only ${row.status}`, farm.word(row.status)), whose);
    if (row.reason && row.reason !== row.status) made.append(farm.prose(row.reason, `why ${row.status}`));
    return made;
  };
  const progress = (row) => {
    const made = farm.element("div", "job-progress");
    const left = row.eta_words && !farm.isSilent() ? `, ${row.eta_words} left` : "";
    made.append(farm.bar(row.progress, row.name), farm.element("small", "", row.done_words + left));
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

  const machineTime = (row) => {
    const made = farm.element("span", "text-nowrap", row.finished || farm.machineSeconds(row) ? farm.span(farm.machineSeconds(row)) : "");
    made.title = "What workers spent on it, failed attempts too";
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
    { title: "", show: tick, value: () => "", orderable: false, cell: "wide" },
    { title: "Job", field: "name", show: name },
    { title: "Status", field: "status", show: (row) => farm.badge(row.status), cell: "wide" },
    { title: "Frames", field: "progress", show: progress },
    { title: "Priority", field: "priority", show: priority, cell: "wide" },
    { title: "Submitted", field: "submitted", show: (row) => farm.when(row.submitted), cell: "wide" },
    { title: "Machine time", field: "machine_seconds", show: machineTime, cell: "wide" },
  ];

  async function start() {
    const choices = await farm.ask("/jobs/choices");
    const fill = (id, values) => values.forEach((value) => byId(id).append(farm.element("option", "", value)));
    fill("project", choices.projects);
    fill("user", choices.users);
    filters.forEach((each) => { if (address.has(each)) byId(each).value = address.get(each); });
    const place = (field) => columns.findIndex((column) => column.field === field);
    const sort = place(address.get("sort")) < 0 ? place("submitted") : place(address.get("sort"));
    const table = $("#jobs").DataTable({
      serverSide: true,
      searching: false,
      pageLength: 50,
      displayStart: Number(address.get("start") || 0),
      order: [[sort, address.get("descending") === "false" ? "asc" : "desc"]],
      autoWidth: false,
      language: farm.language,
      layout: farm.layout(false),
      drawCallback: farm.drawCallback,
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
          twin = farm.apart(page.rows);
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
