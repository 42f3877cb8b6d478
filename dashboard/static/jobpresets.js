// Settings under a name, on the page Submit. `kinds`: gives the job types; `kind`: that of the form; `settings`: gives the settings
// of the form; `fill`: sets the form to a preset's. A preset is offered for its own job type, and one of a render for every render.
// Answers with a function that looks which presets there are, and one that shows those of the form's job type.
const jobPresets = (kinds, kind, settings, fill) => {
  const byId = (id) => document.getElementById(id);
  const ofRenders = [["1080p", { width: 1920 }], ["720p", { width: 1280 }]];
  let kept = [], presets = new Map();
  const needsFile = (name) => kinds().find((each) => each.name === name)?.needs_file;
  function show() {
    const { name, needs_file, template } = kind() || {}; // (the page may still be loading)
    const fitting = template ? [] : kept.filter((each) => each.job_type === name || (needs_file && needsFile(each.job_type)));
    presets = new Map([...(needs_file ? ofRenders : []), ...fitting.map((each) => [each.name, each.settings])]);
    byId("preset").replaceChildren(new Option("or a preset…", ""), ...[...presets.keys()].map((name) => new Option(name, name)));
    byId("preset-question").classList.toggle("d-none", !presets.size);
  }
  async function look() {
    kept = await farm.ask("/presets");
    show();
  }
  byId("preset").addEventListener("change", () => { fill(presets.get(byId("preset").value) || {}); byId("preset").value = ""; });
  byId("keep-preset").addEventListener("click", async () => {
    if (!kind()) return;
    const name = window.prompt("What is the preset called?");
    if (!name) return;
    try {
      await farm.post("/presets", { name, job_type: kind().name, settings: settings() });
      await look();
      farm.toast(`The preset ${name} is kept`);
    } catch (error) {
      farm.complain(error);
    }
  });
  return { look, show };
};
