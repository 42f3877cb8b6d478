// The list of workers.
(() => {
  const stat = (row, show) => (row.stats && row.status !== "offline" ? show(row.stats) : "");
  const job = (row) => (row.job ? farm.link(`/jobs/${row.job}`, row.job_name + (row.frame === null ? "" : ` · frame ${row.frame}`)) : "");
  farm.table("workers", "/workers", [
    { title: "Worker", field: "name", show: (row) => farm.link(`/workers/${row.id}`, row.name, "fw-semibold text-nowrap text-decoration-none") },
    { title: "Status", field: "status", show: (row) => farm.badge(row.status) },
    { title: "Renders", field: "job_name", show: job },
    { title: "CPU", value: (row) => row.stats?.cpu_percent, show: (row) => stat(row, (s) => `${s.cpu_percent.toFixed(0)} %`) },
    {
      title: "Memory",
      value: (row) => row.stats?.memory_used,
      show: (row) => stat(row, (s) => `${farm.size(s.memory_used)} of ${farm.size(s.memory_total)}`),
    },
    { title: "Render uses", value: (row) => row.stats?.render_memory, show: (row) => stat(row, (s) => (s.render_processes ? farm.size(s.render_memory) : "")) },
    { title: "Disk free", value: (row) => row.stats?.disk_free, show: (row) => stat(row, (s) => farm.size(s.disk_free)) },
    {
      title: "Network",
      value: (row) => row.stats?.network_received,
      show: (row) => stat(row, (s) => `↓ ${farm.size(s.network_received)}/s ↑ ${farm.size(s.network_sent)}/s`),
    },
    { title: "Blender", value: (row) => row.blenders.map((b) => b.version).join(), show: (row) => row.blenders.map((b) => `${b.kind} ${b.version}`).join(", ") || "none" },
    { title: "Tags", value: (row) => [...row.tags, ...row.extra_tags].join(), show: (row) => [...row.tags, ...row.extra_tags].join(", "), classes: "small" },
    { title: "Note", field: "note", classes: "small" },
    { title: "Manager", field: "manager_name" },
    { title: "", show: farm.nodeButtons, value: () => "", orderable: false },
    { title: "Why", field: "reason", classes: "small text-body-secondary" },
  ], [[0, "asc"]], ["worker"]);
})();
