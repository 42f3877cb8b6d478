// The list of workers.
(() => {
  const stat = (row, show) => (row.stats && !["offline", "asleep"].includes(row.status) ? show(row.stats) : "");
  const job = (row) => (row.job ? farm.link(`/jobs/${row.job}`, row.job_name + (row.frame === null ? "" : ` · frame ${row.frame}`)) : "");
  const tags = (row) => [...row.tags.filter((tag) => !tag.startsWith("blender-")), ...row.extra_tags].join(", ");
  // The CPU's last values, as long as this page has seen it.
  const seen = new Map();
  function sparkline(row) {
    if (!row.stats || ["offline", "asleep"].includes(row.status)) return "";
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
  const name = (row) => {
    const made = farm.element("div", "job-name"), link = farm.link(`/workers/${row.id}`, "", "fw-semibold text-decoration-none");
    link.append(farm.element("bdi", "", row.name));
    made.append(link, farm.element("span", `badge phone-only ${farm.standing(row.status).replace(" ", "-")}`, farm.standing(row.status)));
    if (tags(row)) made.append(farm.element("small", "whose", tags(row)));
    if (row.pool) made.append(farm.element("small", "whose", `pool ${row.pool}`));
    if (row.note) made.append(farm.element("small", "whose", row.note));
    if (row.reason) made.append(farm.prose(row.reason, "why"));
    return made;
  };
  const blenders = (row) => {
    const made = farm.element("div");
    made.append(...row.blenders.map((each) => farm.element("div", "text-nowrap", `${each.kind === "bpy" ? "bpy" : "Blender"} ${each.version}`)));
    return row.blenders.length ? made : "none";
  };
  farm.table("workers", "/workers", [
    { title: "Worker", value: (row) => `${row.name} ${row.pool} ${tags(row)} ${row.note}`, show: name },
    { title: "Status", field: "status", show: (row) => farm.badge(farm.standing(row.status)), cell: "wide" },
    { title: "Renders", field: "job_name", show: job },
    { title: "CPU", value: (row) => row.stats?.cpu_percent, show: sparkline, cell: "wide" },
    {
      title: "Memory",
      value: (row) => row.stats?.memory_used,
      show: (row) => stat(row, (s) => `${(s.memory_used / 1e9).toFixed(1)} of ${farm.size(s.memory_total)}`),
      classes: "text-nowrap", cell: "wide",
    },
    { title: "GPU", value: (row) => row.stats?.gpu_percent, show: (row) => stat(row, (s) => (s.gpu_memory_total ? `${s.gpu_percent.toFixed(0)} %, ${farm.size(s.gpu_memory_used)}` : "")), classes: "text-nowrap", cell: "wide" },
    { title: "Disk free", value: (row) => row.stats?.disk_free, show: (row) => stat(row, (s) => farm.size(s.disk_free)), classes: "text-nowrap", cell: "wide" },
    { title: "Blender", value: (row) => row.blenders.map((b) => b.version).join(), show: blenders, cell: "wide" },
    { title: "", show: farm.nodeButtons, value: () => "", orderable: false, cell: "wide" },
  ], [[0, "asc"]], ["worker", "stats"]);
})();
