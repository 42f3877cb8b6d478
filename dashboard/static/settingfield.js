// The field of one setting in a form: its label, its control and its line of help. `setting`: as its job type declares it;
// `choices`: pairs of a value and its words, none where it is typed; `absent`: what is so while nothing is chosen; `hint`: the same
// where it is typed.
const settingField = (setting, choices, absent, hint) => {
  const chosen = () => {
    const input = farm.element("select", "form-select form-select-sm");
    input.multiple = setting.kind === "list";
    if (!input.multiple) input.append(new Option(absent, ""));
    // (The first says what its default is.)
    choices.filter(([value]) => input.multiple || setting.default === null || value !== String(setting.default)).forEach(([value, text]) => input.append(new Option(farm.calm(text), value)));
    return input;
  };
  const typed = () => {
    const input = farm.element("input", "form-control form-control-sm");
    input.type = setting.kind === "int" || setting.kind === "float" ? "number" : "text";
    if (setting.kind === "float") input.step = "any";
    if (setting.lowest !== null) input.min = setting.lowest;
    if (setting.highest !== null) input.max = setting.highest;
    input.placeholder = hint;
    input.required = setting.required;
    return input;
  };
  const input = choices.length ? chosen() : typed();
  const box = farm.element("div"), label = farm.element("label", "", setting.unit === "%" ? `${setting.label} (%)` : setting.label);
  const help = farm.element("small", "", setting.help);
  input.id = `field-${setting.name}`;
  input.dataset.kind = setting.kind;
  label.htmlFor = input.id;
  help.id = `${input.id}-help`;
  input.setAttribute("aria-describedby", help.id);
  box.append(label, input, help);
  return box;
};
