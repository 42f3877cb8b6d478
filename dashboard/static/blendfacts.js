// What a .blend says of one of its scenes, as rows of a list. `facts`: of the file, as the API tells them; `own`: of the scene;
// `frames`: its frames in words; `words`: gives the words of a value of a setting.
const blendFacts = (facts, own, frames, words) => {
  const percent = own.percent === 100 ? "" : ` at ${own.percent} %`;
  const picture = [words("engine", own.engine_word), own.samples && farm.several(own.samples, "sample"), `${own.width}×${own.height}${percent}`, own.container ? `a film (${own.container})` : words("format", own.image_format)];
  const markers = new Set(own.camera_markers.map((each) => each.camera));
  const lines = [
    ["Scene", facts.scenes.length > 1 ? `${own.name} (one of ${facts.scenes.length})` : own.name],
    ["Camera", markers.size > 1 ? `${markers.size} cameras, by markers` : own.camera || [...markers][0] || "none"],
    ["Picture", picture.filter(Boolean).join(", ")],
    ["Frames", frames],
    own.simulations.length ? ["Simulations", String(own.simulations.length)] : null,
  ].filter(Boolean);
  return lines.flatMap(([label, text]) => [farm.element("dt", "", label), farm.element("dd", "", text)]);
};
