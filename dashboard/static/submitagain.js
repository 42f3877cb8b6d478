// What a job that is submitted again says, as the form of Submit asks for it. `record`: the job, as the API tells it; `kind`: its
// type, as that declares its settings.
const submitAgain = (record, kind) => {
  // Copies of the new job would take the place of the first's.
  const own = kind.settings.filter((setting) => !["file", "copy_to"].includes(setting.name));
  const said = own.map((setting) => [setting.name, record.settings[setting.name], setting.default]);
  const settings = said.filter(([, value, absent]) => value !== null && value !== undefined && value !== "" && String(value) !== String(absent));
  const { sharing } = record;
  const inputs = {
    "job-name": record.name, "job-project": record.project, "job-tags": record.tags.join(" "), // (Where its project has a pool by now, or it was taken out of that, it has none still.)
    "job-pool": sharing.pool || "none",
    "job-licences": (sharing.licences || []).join(", "), "job-most-workers": sharing.most_workers, "job-cores": sharing.cores,
    "job-rush": sharing.rush ? 1 : "", "job-reclaim": sharing.reclaim_at_once ? 1 : "",
    "job-gpu-memory": sharing.gpu_memory ? sharing.gpu_memory / 1e9 : "",
    "stall-minutes": record.stall_minutes === 60 ? "" : record.stall_minutes,
    "limit-minutes": record.limit_minutes === 1440 ? "" : record.limit_minutes,
  };
  return { settings: Object.fromEntries(settings.map(([name, value]) => [name, value])), inputs: Object.entries(inputs).map(([id, value]) => [id, value || value === 0 ? String(value) : ""]) };
};
