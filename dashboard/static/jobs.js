// The list of jobs.
(() => {
  const link = (row) => `/jobs/${row.id}`;
  const name = (row) => {
    const made = farm.element("a", "fw-semibold text-decoration-none", row.name);
    made.href = link(row);
    return made;
  };
  const progress = (row) => {
    const made = farm.element("div", "d-flex align-items-center gap-2");
    made.append(farm.bar(row.progress), farm.element("span", "small", `${row.completed_parts}/${row.part_count}`));
    return made;
  };
  farm.table("jobs", "/api/jobs", [
    { title: "Job", field: "name", show: name },
    { title: "Status", field: "status", show: (row) => farm.badge(row.status) },
    { title: "Frames", field: "progress", show: progress },
    { title: "Priority", field: "priority" },
    { title: "User", field: "user" },
    { title: "Submitted", field: "submitted", show: (row) => farm.time(row.submitted) },
    { title: "Rendered for", field: "render_seconds", show: (row) => farm.duration(row.render_seconds) },
    { title: "Why", field: "reason", classes: "small text-body-secondary" },
  ], [[5, "desc"]], link);
})();
