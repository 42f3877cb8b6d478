// The list of workers.
(() => {
  const stat = (row, show) => (row.stats && row.status !== "offline" ? show(row.stats) : "");
  const job = (row) => (row.job ? farm.link(`/jobs/${row.job}`, row.job_name + (row.frame === null ? "" : ` · frame ${row.frame}`)) : "");
  const tags = (row) => [...row.tags.filter((tag) => !tag.startsWith("blender-")), ...row.extra_tags].join(", ");
  // The CPU's last values, as long as this page has seen it.
  const seen = new Map();
  function sparkline(row) {
    if (!row.stats || row.status === "offline") return "";
    const values = seen.get(row.id) || [];
    if (values.at(-1)?.at !== row.last_seen) values.push({ at: row.last_seen, cpu: row.stats.cpu_percent });
    seen.set(row.id, values.slice(-40));
    const made = farm.element("span", "text-nowrap", `${row.stats.cpu_percent.toFixed(0)} % `);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 80 20");
    svg.setAttribute("class", "spark");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("points", seen.get(row.id).map((value, place) => `${place * 2},${19 - value.cpu * 0.18}`).join(" "));
    svg.append(line);
    made.append(svg);
    return made;
  }
  farm.table("workers", "/workers", [
    { title: "Worker", field: "name", show: (row) => farm.link(`/workers/${row.id}`, row.name, "fw-semibold text-nowrap text-decoration-none") },
    { title: "Status", field: "status", show: (row) => farm.badge(farm.standing(row.status)) },
    { title: "Renders", field: "job_name", show: job },
    { title: "CPU", value: (row) => row.stats?.cpu_percent, show: sparkline },
    {
      title: "Memory",
      value: (row) => row.stats?.memory_used,
      show: (row) => stat(row, (s) => `${farm.size(s.memory_used)} of ${farm.size(s.memory_total)}`),
    },
    { title: "GPU", value: (row) => row.stats?.gpu_percent, show: (row) => stat(row, (s) => (s.gpu_memory_total ? `${s.gpu_percent.toFixed(0)} %, ${farm.size(s.gpu_memory_used)}` : "")) },
    { title: "Render uses", value: (row) => row.stats?.render_memory, show: (row) => stat(row, (s) => (s.render_processes ? farm.size(s.render_memory) : "")) },
    { title: "Disk free", value: (row) => row.stats?.disk_free, show: (row) => stat(row, (s) => farm.size(s.disk_free)) },
    {
      title: "Network",
      value: (row) => row.stats?.network_received,
      show: (row) => stat(row, (s) => `↓ ${farm.size(s.network_received)}/s ↑ ${farm.size(s.network_sent)}/s`),
    },
    { title: "Blender", value: (row) => row.blenders.map((b) => b.version).join(), show: (row) => row.blenders.map((b) => `${b.kind} ${b.version}`).join(", ") || "none" },
    { title: "Tags", value: tags, show: tags, classes: "small" },
    { title: "Note", field: "note", classes: "small" },
    { title: "Manager", field: "manager_name" },
    { title: "", show: farm.nodeButtons, value: () => "", orderable: false },
    { title: "Why", field: "reason", classes: "small text-body-secondary" },
  ], [[0, "asc"]], ["worker", "stats"]);
})();
