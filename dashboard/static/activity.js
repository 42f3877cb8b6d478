// Who did what, when.
(() => {
  // A job that was deleted has no page.
  const job = (row) => {
    const id = (row.job || "").slice(0, 8);
    if (!row.is_job_there) return farm.element("span", "font-monospace text-body-secondary", id);
    return farm.link(`/jobs/${row.job}`, id, "font-monospace text-decoration-none");
  };
  // The network address, and the key by which it came; nothing for what the farm did by itself.
  const from = (row) => {
    const made = farm.element("span", "text-nowrap", row.origin);
    if (row.principal) made.title = `by the key ${row.principal}`;
    return made;
  };
  farm.table("activity", "/activity", [
    { title: "When", field: "id", show: (row) => farm.when(row.wall) },
    { title: "Who", field: "user" },
    { title: "From", field: "origin", show: from, cell: "wide" },
    { title: "What", field: "text", show: (row) => farm.prose(row.text), cell: "said" },
    { title: "Job", field: "job", show: job, cell: "wide" },
  ], [[0, "desc"]], ["activity", "job"], 500);
})();
