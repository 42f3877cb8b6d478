// Projects, what they keep, and the path variables.
(() => {
  const byId = (id) => document.getElementById(id);
  const keeps = (row) => [row.keep_days ? `jobs for ${row.keep_days} days` : "", row.keep_bytes ? `${farm.size(row.keep_bytes)} of frames` : ""].filter(Boolean).join(", ") || "everything";
  const soon = farm.table("projects", "/projects", [
    { title: "Project", field: "name", show: (row) => farm.link(`/jobs/?project=${encodeURIComponent(row.name)}`, row.name, "fw-semibold text-decoration-none") },
    { title: "Jobs", field: "jobs" },
    { title: "Unfinished", field: "unfinished" },
    { title: "Left", show: (row) => row.eta_words + (row.eta_words && row.eta_unknown ? `, without ${farm.several(row.eta_unknown, "job")}` : ""), value: (row) => row.eta_seconds || row.eta_least || 0 },
    { title: "Folder", field: "root", classes: "font-monospace text-break", cell: "wide" },
    { title: "Pool", value: (row) => row.pool, show: (row) => row.pool, cell: "wide" },
    { title: "Keeps", show: keeps, value: (row) => row.keep_days },
  ], [[0, "asc"]], ["project", "job"]);
  byId("change")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const change = { name: byId("name").value };
    if (byId("root").value) change.root = byId("root").value;
    if (byId("days").value !== "") change.keep_days = Number(byId("days").value);
    if (byId("size").value !== "") change.keep_bytes = Math.round(Number(byId("size").value) * 1e9);
    farm.post("/projects", change).then(() => { farm.content(); event.target.reset(); soon(); }).catch(farm.complain);
  });
  farm.ask("/paths").then((rows) => {
    const lines = rows.map((row) => farm.element("li", "list-group-item", `{${row.name}} on ${row.platform}${row.site ? ` at ${row.site}` : ""}: ${row.path}`));
    byId("paths").replaceChildren(...(lines.length ? lines : [farm.element("li", "list-group-item text-body-secondary", "none: brender path set")]));
  }).catch(farm.complain);
})();
