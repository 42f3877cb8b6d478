// Submitting: what is dropped is uploaded, what the file says fills in the form, the form is made of the job type's own declaration.
(() => {
  const byId = (id) => document.getElementById(id);
  const presets = new Map([
    ["1080p", { width: 1920 }], ["720p", { width: 1280 }], ["preview", { resolution: 50, samples: 16 }],
  ]);
  let kinds = [], source = null, facts = null;
  const kind = () => kinds.find((each) => each.name === byId("type").value);
  const scene = () => facts?.scenes.find((each) => each.name === (byId("field-scene")?.value || facts.active_scene)) || facts?.scenes[0];

  // --- what ---
  async function upload(files) {
    // Asked first: an answer that comes while a large body is on its way is not always seen.
    const size = [...files].reduce((sum, file) => sum + file.size, 0);
    showUploaded((await farm.ask(`/uploads?more=${size}`)).bytes);
    const form = new FormData();
    [...files].forEach((file) => form.append("files", file, file.path || file.webkitRelativePath || file.name));
    const request = new XMLHttpRequest();
    const bar = byId("uploading");
    bar.classList.remove("d-none");
    request.upload.addEventListener("progress", (event) => {
      const share = Math.round((event.loaded / event.total) * 100);
      bar.firstElementChild.style.width = `${share}%`;
      bar.setAttribute("aria-valuenow", share);
    });
    request.addEventListener("load", () => {
      bar.classList.add("d-none");
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { answer = { error: `The dashboard answered ${request.status}` }; }
      if (request.status !== 200) { farm.complain(new Error(answer.error)); return; }
      farm.content();
      farm.ask("/uploads").then((told) => showUploaded(told.bytes)).catch(farm.complain);
      showBlends(answer.blends.map((file) => ({ upload: answer.upload, file })));
    });
    request.addEventListener("error", () => farm.complain(new TypeError()));
    request.open("POST", "/api/v1/uploads");
    request.setRequestHeader("X-CSRFToken", farm.token);
    request.send(form);
  }
  function showUploaded(bytes) {
    byId("uploaded").classList.toggle("d-none", !bytes);
    byId("uploaded-size").textContent = farm.size(bytes);
  }
  byId("remove-uploads").addEventListener("click", () => farm.remove("/uploads").then((left) => {
    farm.content();
    showUploaded(left.bytes);
    if (source?.upload) { source = facts = null; byId("blends").replaceChildren(); ["go", "test-frame"].forEach((each) => { byId(each).disabled = true; }); }
  }).catch(farm.complain));
  farm.ask("/uploads").then((told) => showUploaded(told.bytes)).catch(farm.complain);
  function showBlends(found) {
    byId("blends").replaceChildren(...found.map((each) => {
      const line = farm.element("button", "list-group-item list-group-item-action", each.file);
      line.type = "button";
      line.addEventListener("click", () => pick(each).catch(farm.complain));
      return line;
    }));
    if (found.length) pick(found[0]).catch(farm.complain);
  }
  async function pick(where) {
    source = where;
    [...byId("blends").children].forEach((line) => line.classList.toggle("active", line.textContent === where.file));
    facts = await farm.post("/inspect", where);
    farm.content();
    byId("facts").textContent = `Saved by Blender ${facts.version.join(".")}, ${farm.size(facts.size)}, ${facts.scenes.length === 1 ? "1 scene" : `${facts.scenes.length} scenes`}`;
    const missing = byId("missing");
    missing.classList.toggle("d-none", !facts.missing.length);
    missing.replaceChildren(farm.element("strong", "", `${facts.missing.length} files are missing:`), ...facts.missing.slice(0, 20).map((each) => farm.element("div", "text-break", `${each.path}, used by ${each.used_by}`)));
    const needsTrust = byId("needs-trust");
    needsTrust.classList.toggle("d-none", !facts.needs_trust.length);
    needsTrust.replaceChildren(farm.element("strong", "", "These run only if you trust the file (choose below):"), ...facts.needs_trust.slice(0, 20).map((each) => farm.element("div", "text-break", each)));
    byId("trusted").options[0].text = facts.needs_trust.length ? "choose" : "there are none";
    byId("trusted").value = "";
    if (!byId("job-name").dataset.own) byId("job-name").value = where.file.split("/").pop().replace(/\.blend$/, "");
    if (where.project) byId("job-project").value = where.project;
    ["go", "test-frame"].forEach((each) => { byId(each).disabled = false; });
    showFields();
  }
  // A folder that is dropped is walked through, so that files keep their places beside each other.
  async function walk(entry, path, found) {
    if (entry.isFile) {
      const file = await new Promise((good, bad) => entry.file(good, bad));
      file.path = path + entry.name;
      found.push(file);
    } else if (entry.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((good, bad) => reader.readEntries(good, bad));
        if (!some.length) break;
        for (const each of some) await walk(each, `${path}${entry.name}/`, found);
      }
    }
  }
  const drop = byId("drop");
  ["dragenter", "dragover"].forEach((name) => drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); }));
  ["dragleave", "drop"].forEach((name) => drop.addEventListener(name, () => drop.classList.remove("over")));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const found = [];
    for (const entry of entries) await walk(entry, "", found);
    upload(found.length ? found : event.dataTransfer.files).catch(farm.complain);
  });
  ["files", "folder"].forEach((name) => byId(name).addEventListener("change", (event) => { if (event.target.files.length) upload(event.target.files).catch(farm.complain); }));
  async function browse(folder) {
    const project = byId("browse-project").value;
    if (!project) { byId("browse").replaceChildren(); return; }
    const told = await farm.ask(`/files?project=${encodeURIComponent(project)}&folder=${encodeURIComponent(folder)}`);
    const line = (text, doing) => {
      const made = farm.element("button", "list-group-item list-group-item-action", text);
      made.type = "button";
      made.addEventListener("click", () => doing());
      return made;
    };
    const up = told.folder ? [line("..", () => browse(told.folder.split("/").slice(0, -1).join("/")).catch(farm.complain))] : [];
    byId("browse").replaceChildren(...up, ...told.files.map((each) => line(each.name + (each.is_folder ? "/" : ` (${farm.size(each.size)})`), () => (each.is_folder ? browse(each.path).catch(farm.complain) : showBlends([{ project, file: each.path }])))));
  }
  byId("browse-project")?.addEventListener("change", () => browse("").catch(farm.complain));

  // --- how ---
  function field(setting) {
    const column = farm.element("div", "col-sm-6");
    const label = farm.element("label", "form-label small mb-0", setting.name);
    const id = `field-${setting.name}`;
    label.htmlFor = id;
    let choices = setting.choices;
    if (facts && setting.name === "scene") choices = facts.scenes.map((each) => each.name);
    if (facts && setting.name === "camera") choices = scene()?.cameras || facts.cameras;
    if (facts && setting.name === "view_layers") choices = (scene()?.layers || []).map((each) => each.name);
    let input;
    if (choices.length) {
      input = farm.element("select", "form-select form-select-sm");
      input.multiple = setting.kind === "list";
      if (setting.from_file && !input.multiple) input.append(new Option("as the file says", ""));
      choices.forEach((each) => input.append(new Option(each, each, false, each === setting.default)));
    } else if (setting.kind === "bool") {
      input = farm.element("select", "form-select form-select-sm");
      if (setting.from_file) input.append(new Option("as the file says", ""));
      input.append(new Option("yes", "true", false, setting.default === true), new Option("no", "false", false, setting.default === false));
    } else {
      input = farm.element("input", "form-control form-control-sm");
      input.type = setting.kind === "int" ? "number" : "text";
      if (setting.lowest !== null) input.min = setting.lowest;
      if (setting.highest !== null) input.max = setting.highest;
      if (setting.default !== null && setting.default !== undefined && !setting.from_file) input.value = setting.kind === "list" ? setting.default.join(" ") : setting.default;
      const said = { frames: () => `${scene().first}-${scene().last}${scene().step > 1 ? `x${scene().step}` : ""}`, resolution: () => scene().percent, frame: () => scene().current ?? scene().first }[setting.name];
      if (facts && scene() && said) input.placeholder = said();
    }
    input.id = id;
    input.title = setting.help;
    input.dataset.kind = setting.kind;
    column.append(label, input);
    return column;
  }
  function showFields() {
    const shown = (kind()?.settings || []).filter((setting) => setting.name !== "file");
    const kept = Object.fromEntries([...byId("fields").querySelectorAll("[data-kind]")].filter((input) => !input.multiple).map((input) => [input.id, input.value]));
    byId("fields").replaceChildren(...shown.map(field));
    Object.entries(kept).forEach(([id, value]) => { if (byId(id) && value) byId(id).value = value; });
    byId("field-scene")?.addEventListener("change", showFields);
  }
  function settings() {
    const found = {};
    byId("fields").querySelectorAll("[data-kind]").forEach((input) => {
      if (input.value === "") return;
      const value = { int: Number, bool: (text) => text === "true", list: (text) => text.split(" ").filter(Boolean) }[input.dataset.kind] || String;
      found[input.id.slice("field-".length)] = input.multiple ? [...input.selectedOptions].map((each) => each.value) : value(input.value);
    });
    return found;
  }
  function usePreset(name) {
    const preset = presets.get(name);
    if (!preset) return;
    Object.entries(preset).forEach(([key, value]) => {
      if (key === "width") {
        const own = scene();
        if (own && byId("field-resolution")) byId("field-resolution").value = Math.max(1, Math.round((value / own.width) * 100));
      } else if (byId(`field-${key}`)) {
        byId(`field-${key}`).value = Array.isArray(value) ? value.join(" ") : String(value);
      }
    });
  }
  async function submit(more) {
    const needs = kind().engine === "blender";
    const job = {
      job_type: kind().name, settings: { ...settings(), ...more }, name: byId("job-name").value, project: byId("job-project").value,
      priority: Number(byId("job-priority").value), output: byId("job-output").value, paused: byId("paused").checked,
      allow_missing: byId("allow-missing").checked, trusted: { true: true, false: false }[byId("trusted").value] ?? null, ...(needs && source ? { source } : {}),
    };
    if (more.frames) Object.assign(job, { name: `${job.name} (test)`, priority: 90 });
    const accepted = await farm.post("/jobs", job);
    farm.content();
    const done = farm.element("div", "alert alert-success py-2 mb-2");
    done.append(farm.link(`/jobs/${accepted.id}`, accepted.name, "fw-semibold"), `: ${accepted.frames} frames`);
    byId("done").prepend(done);
  }
  byId("submit").addEventListener("submit", (event) => { event.preventDefault(); submit({}).catch(farm.complain); });
  byId("test-frame").addEventListener("click", () => {
    const first = Number((byId("field-frames")?.value || "").match(/-?\d+/)?.[0] ?? scene()?.first ?? 1);
    submit(kind().name === "blender-still" ? { frame: first } : { frames: String(first) }).catch(farm.complain);
  });
  byId("job-name").addEventListener("input", () => { byId("job-name").dataset.own = "1"; });
  byId("type").addEventListener("change", () => { showFields(); ["go", "test-frame"].forEach((each) => { byId(each).disabled = kind().engine === "blender" && !source; }); });
  byId("preset").addEventListener("change", () => usePreset(byId("preset").value));
  byId("keep-preset").addEventListener("click", async () => {
    const name = window.prompt("What is the preset called?");
    if (!name) return;
    try {
      await farm.post("/presets", { name, job_type: kind().name, settings: settings() });
      await lookForPresets();
      farm.toast(`The preset ${name} is kept`);
    } catch (error) {
      farm.complain(error);
    }
  });
  async function lookForPresets() {
    (await farm.ask("/presets")).forEach((each) => presets.set(each.name, each.settings));
    byId("preset").replaceChildren(new Option("as the file says", ""), ...[...presets.keys()].map((name) => new Option(name, name)));
  }
  (async () => {
    kinds = await farm.ask("/job-types");
    showFields();
    await lookForPresets();
  })().catch(farm.complain);
})();
