// What a job will come to, in words. `told`: the API's answer to /estimate; `isBlender`: whether Blender renders it. Answers with
// its `title` (frames, pieces, time) and `more` (by what the time is known, and where the frames go).
const estimateWords = (told, isBlender) => {
  const many = farm.several;
  const title = () => {
    const pieces = told.frames === 1 && told.tasks > 1 ? ` in ${many(told.tasks - 1, "piece")}` : "";
    const tasks = !pieces && !told.is_elastic && told.tasks !== told.frames ? ` in ${many(told.tasks, "task")}` : "";
    return `${many(told.frames, told.unit || "frame")}${pieces}${tasks}${told.time ? `, ${told.time.words} on ${many(told.workers, "worker")}` : ""}`;
  };
  const more = () => {
    const goes = told.output ? ` Frames go to ${told.output}.` : isBlender ? " The farm keeps the frames; the job's page has them to download." : "";
    if (!told.workers) return `No worker that takes such jobs is here now.${goes}`;
    if (!told.time) return `How long it takes is not known: no earlier jobs tell.${goes}`;
    const { shots, bounds, same_file: same, one_frame: tested } = told.time;
    const wide = bounds && `, mostly ${bounds}`;
    return `By ${tested ? many(shots, "test frame") : many(shots, "earlier job")} ${same ? "of this file" : "like this one"}${wide}, once nothing else is ahead of it.${goes}`;
  };
  return { title: title(), more: more() };
};
