// The files in the folder of a project, on the page Submit. `picked`: called with the .blend that is chosen there.
const browseFiles = (picked) => {
  const byId = (id) => document.getElementById(id);
  let asked = 0;
  async function browse(folder) {
    const number = asked += 1, project = byId("browse-project").value;
    if (!project) { byId("browse").replaceChildren(); return; }
    const told = await farm.ask(`/files?project=${encodeURIComponent(project)}&folder=${encodeURIComponent(folder)}`);
    if (number !== asked) return; // Another folder was chosen meanwhile.
    const line = (text, doing) => {
      const made = farm.element("button", "list-group-item list-group-item-action", text);
      made.type = "button";
      made.addEventListener("click", () => doing());
      return made;
    };
    const up = told.folder ? [line("..", () => browse(told.folder.split("/").slice(0, -1).join("/")).catch(farm.complain))] : [];
    byId("browse").replaceChildren(...up, ...told.files.map((each) => line(each.name + (each.is_folder ? "/" : ` (${farm.size(each.size)})`), () => (each.is_folder ? browse(each.path).catch(farm.complain) : picked({ project, file: each.path })))));
  }
  byId("browse-project")?.addEventListener("change", () => browse("").catch(farm.complain));
};
