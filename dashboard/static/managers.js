// The list of managers.
farm.table("managers", "/managers", [
  { title: "Manager", field: "name", show: (row) => farm.link(`/managers/${row.id}`, row.name, "fw-semibold text-decoration-none") },
  { title: "Status", field: "status", show: (row) => farm.badge(farm.standing(row.status)) },
  { title: "Workers", field: "workers" },
  { title: "Address", field: "address", classes: "font-monospace", cell: "wide" },
  { title: "Host", field: "host", cell: "wide" },
  { title: "CPU", value: (row) => row.stats?.cpu_percent, show: (row) => (row.stats ? `${row.stats.cpu_percent.toFixed(0)} %` : "") },
  { title: "brender", field: "software", cell: "wide" },
  { title: "Last seen", field: "last_seen", show: (row) => farm.when(row.last_seen), cell: "wide" },
  { title: "Why", field: "reason", show: (row) => farm.prose(row.reason, "small text-body-secondary") },
  { title: "", show: farm.nodeButtons, value: () => "", orderable: false, cell: "wide" },
], [[0, "asc"]], ["manager"]);
