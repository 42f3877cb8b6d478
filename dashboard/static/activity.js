// Who did what, when.
(() => {
  const job = (row) => {
    if (!row.job) return "";
    const made = farm.element("a", "font-monospace text-decoration-none", row.job.slice(0, 8));
    made.href = `/jobs/${row.job}`;
    return made;
  };
  // The network address, and the key by which it came; nothing for what the farm did by itself.
  const from = (row) => {
    const made = farm.element("span", "text-nowrap", row.origin);
    if (row.principal) made.title = `by the key ${row.principal}`;
    return made;
  };
  farm.table("activity", "/api/activity", [
    { title: "When", field: "id", show: (row) => farm.time(row.wall) },
    { title: "Who", field: "user" },
    { title: "From", field: "origin", show: from },
    { title: "What", field: "text" },
    { title: "Job", field: "job", show: job },
  ], [[0, "desc"]]);
})();
