// Settings under a name, on the page Submit. `jobType` and `settings`: give those of the form; `fill`: sets the form to a preset's.
// Answers with a function that looks which presets there are.
const jobPresets = (jobType, settings, fill) => {
  const byId = (id) => document.getElementById(id);
  const presets = new Map([["1080p", { width: 1920 }], ["720p", { width: 1280 }]]);
  async function look() {
    (await farm.ask("/presets")).forEach((each) => presets.set(each.name, each.settings));
    byId("preset").replaceChildren(new Option("or a preset…", ""), ...[...presets.keys()].map((name) => new Option(name, name)));
  }
  byId("preset").addEventListener("change", () => { fill(presets.get(byId("preset").value) || {}); byId("preset").value = ""; });
  byId("keep-preset").addEventListener("click", async () => {
    const name = window.prompt("What is the preset called?");
    if (!name) return;
    try {
      await farm.post("/presets", { name, job_type: jobType(), settings: settings() });
      await look();
      farm.toast(`The preset ${name} is kept`);
    } catch (error) {
      farm.complain(error);
    }
  });
  return look;
};
