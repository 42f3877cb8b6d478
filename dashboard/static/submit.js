// Submitting: what is dropped is uploaded, what the file says fills in the form, the form is made of the job type's own declaration.
(() => {
  const byId = (id) => document.getElementById(id);
  const many = farm.several;
  const show = (id, shown) => byId(id).classList.toggle("d-none", !shown);
  const PREVIEW_SAMPLES = 16, NAMED_MOST = 20;
  let kinds = [], source = null, facts = null, together = 1, withoutMissing = false, trusted = null, reading = false, refused = "", wrong = "";
  let unchanged = new Map(); // of a job that is submitted again: what the form said of it first, and what that stands for
  let sending = false, accepted = null, edits = 0; // what was submitted, as long as the form still says the same
  const kind = () => kinds.find((each) => each.name === byId("type").value);
  const scene = () => facts?.scenes.find((each) => each.name === (byId("field-scene")?.value || facts.active_scene)) || facts?.scenes[0];
  // The things that run only if the file is trusted: scripts in it, and the script of the job.
  const needsTrust = () => facts ? [...facts.needs_trust, ...(kind()?.name === "script" ? ["the script that the job runs"] : [])] : [];
  // Why nothing can be submitted now; "" where it can.
  function hindrance() {
    if (!kind()) return "The page is still loading.";
    if (kind().needs_file) {
      if (reading) return "The file is being read.";
      if (refused) return refused;
      if (!facts) return "Drop a .blend first, or choose one.";
      if (facts.missing.length && !withoutMissing) return `${many(facts.missing.length, "file is", "files are")} missing: find ${facts.missing.length === 1 ? "it" : "them"}, or choose Render without.`;
      if (needsTrust().length && trusted === null) return "Something in the file needs Python: say whether you trust it.";
    }
    if (fields().some((input) => input.required && !input.value)) return "Fill in what is asked for above.";
    return wrong ? "Correct what is shown in red above." : "";
  }
  // The file or template that was chosen, or is on its way, and not submitted as the form says it: leaving the page would lose it.
  const unsent = () => !accepted && (reading || !byId("uploading").classList.contains("d-none") || (facts !== null && !source?.job) || Boolean(kind()?.template));
  window.addEventListener("beforeunload", (event) => { if (unsent()) event.preventDefault(); });
  const ready = () => kind() && (!kind().needs_file || facts !== null);
  function showReady() {
    const why = sending ? "" : hindrance();
    ["go", "test-frame"].forEach((each) => { byId(each).disabled = sending || why !== ""; });
    byId("go").textContent = sending ? "Submitting…" : accepted ? "Submit another" : "Submit";
    byId("go-why").replaceChildren(...(why ? [farm.prose(why)] : accepted ? [farm.link(`/jobs/${accepted.id}`, accepted.name, "name"), " is submitted"] : []));
  }
  // Have `doing` submit a job, and nothing else be submitted meanwhile.
  async function send(doing) {
    sending = true;
    showReady();
    try {
      return await doing();
    } finally {
      sending = false;
      showReady();
    }
  }

  // --- what ---
  // With `into`, the id of an upload, they are added to that, and `added` is called once its .blend was read again.
  async function upload(files, into = "", added = null) {
    const template = into ? null : [...files].find((file) => /\.(ya?ml|json)$/i.test(file.name));
    if (template && files.length === 1) { await takeTemplate(template); return; }
    await uploading.send(files, into, (answer) => {
      if (into) { together += files.length; pick(source).then(added).catch(farm.complain); return; }
      together = files.length;
      showBlends(answer.blends.map((file) => ({ upload: answer.upload, file })));
    });
  }
  const uploading = uploads(() => {
    if (!source || source.upload) { source = facts = null; refused = ""; showFile(); showFields(); }
  });
  // A template of Open Job Description is a job type of its own, whose settings are its parameters.
  async function takeTemplate(file) {
    const template = { name: file.name, text: await file.text() };
    const told = await farm.post("/template", template);
    farm.content();
    kinds = [...kinds.filter((each) => !each.template), { name: "steps", label: file.name, needs_file: false, settings: told.settings, template }];
    byId("type").querySelector("[value=steps]")?.remove();
    byId("type").append(new Option(file.name, "steps", false, true));
    if (!byId("job-name").dataset.own) byId("job-name").value = "";
    accepted = null;
    wrong = "";
    showFields();
    showFile();
    weigh();
  }
  function showBlends(found) {
    show("blends", found.length > 1);
    byId("blends").replaceChildren(...found.map((each) => {
      const line = farm.element("button", "list-group-item list-group-item-action name", each.file);
      line.type = "button";
      line.addEventListener("click", () => pick(each).catch(farm.complain));
      return line;
    }));
    if (found.length) pick(found[0]).catch(farm.complain);
  }
  async function pick(where) {
    const again = source === where;
    if (!again) sayFound("");
    source = where;
    accepted = null;
    [...byId("blends").children].forEach((line) => line.classList.toggle("active", line.textContent === where.file));
    if (!again) { facts = null; withoutMissing = false; trusted = null; }
    reading = true;
    refused = wrong = "";
    showFile();
    show("reading", true);
    try {
      const told = await farm.post("/inspect", where);
      if (source !== where) return;
      facts = told;
    } catch (error) {
      if (source === where) {
        source = facts = null;
        refused = error.message;
      }
      throw error;
    } finally {
      if (!source || source === where) {
        reading = false;
        show("reading", false);
        showFile();
      }
    }
    farm.content();
    if (!byId("job-name").dataset.own) byId("job-name").value = where.file.split("/").pop().replace(/\.blend$/, "");
    if (where.project) byId("job-project").value = where.project;
    if (!kind().needs_file) byId("type").value = kinds.find((each) => each.needs_file).name;
    if (!again) showFields();
    showFile();
    weigh();
  }
  function showFile() {
    show("file", facts !== null);
    byId("drop").classList.toggle("small-drop", facts !== null);
    showMissing();
    showTrust();
    showReady();
    if (!facts) return;
    const picture = byId("preview");
    show("preview", facts.preview);
    show("no-preview", !facts.preview);
    if (facts.preview) picture.src = `/api/v1/preview?${new URLSearchParams(source)}`;
    byId("file-name").textContent = farm.calm(source.file.split("/").pop());
    const others = source.upload && together > 1 ? ` with ${many(together - 1, "other file")}` : "";
    byId("file-line").textContent = `saved by Blender ${facts.version.join(".")} · ${farm.size(facts.size)}${others}`;
    showFacts();
  }
  function showFacts() {
    const own = scene();
    if (!own) return;
    byId("facts").replaceChildren(...blendFacts(facts, own, range(own), words));
  }
  const range = (own) => `${own.first}-${own.last}${own.step > 1 ? `x${own.step}` : ""}`;
  const words = (name, value) => kind()?.settings.find((each) => each.name === name)?.words.find(([special]) => special === value)?.[1] || value;
  function said(card, title, things, after = "") {
    const list = farm.element("ul", "small");
    list.append(...things.slice(0, NAMED_MOST), ...(things.length > NAMED_MOST ? [farm.element("li", "", `and ${things.length - NAMED_MOST} more`)] : []));
    card.replaceChildren(farm.element("strong", "", title), list, ...(after ? [farm.element("small", "", after)] : []));
  }
  function showMissing() {
    const found = facts?.missing || [];
    show("missing", found.length || !byId("find-why").classList.contains("d-none"));
    said(byId("missing").firstElementChild, `${many(found.length, "file is", "files are")} missing`, found.map((each) => {
      const line = farm.element("li");
      line.append(farm.element("em", "name", each.path), farm.element("span", "", `, used by ${each.used_by}`));
      return line;
    }));
    ["find-label", "find-folder-label"].forEach((each) => show(each, source?.upload));
    byId("without-missing").setAttribute("aria-pressed", withoutMissing);
  }
  function showTrust() {
    const found = needsTrust();
    show("needs-trust", found.length);
    said(byId("needs-trust").firstElementChild, found.length === 1 ? "Something in this file needs Python" : `${found.length} things in this file need Python`, found.map((each) => farm.element("li", "name", each)),
      "They run only if you trust the file; drivers stand still without it.");
    byId("trust").setAttribute("aria-pressed", trusted === true);
    byId("distrust").setAttribute("aria-pressed", trusted === false);
  }
  byId("without-missing").addEventListener("click", () => { withoutMissing = !withoutMissing; accepted = null; showMissing(); showReady(); });
  byId("trust").addEventListener("click", () => { trusted = trusted === true ? null : true; accepted = null; showTrust(); showReady(); });
  byId("distrust").addEventListener("click", () => { trusted = trusted === false ? null : false; accepted = null; showTrust(); showReady(); });
  // Files that are found go to where the .blend looks for them in the upload, or, beyond it, to what stands for that place there.
  const sayFound = (text) => { show("find-why", text !== ""); byId("find-why").replaceChildren(farm.prose(text)); };
  async function find(files, ofFolder) {
    sayFound("");
    const pathOf = (file) => file.webkitRelativePath || file.name;
    const named = (paths) => `${paths.slice(0, NAMED_MOST).join(", ")}${paths.length > NAMED_MOST ? ` and ${paths.length - NAMED_MOST} more` : ""}`;
    const wantedAt = new Map(facts.missing.filter((each) => each.place).map((each) => [each.place, each.path]));
    const { found, unclear, others } = findFiles(files.map(pathOf), [...wantedAt.keys()]);
    if (unclear.length) {
      throw new Error(`Nothing is uploaded: it is not clear where these belong: ${named(unclear.map(({ path, places }) => `${path} (looked for as ${places.map((each) => wantedAt.get(each)).join(" and as ")})`))}. Choose the folder that has them with Find folder…, or one file of each name`);
    }
    if (!found.size) throw new Error(`${ofFolder ? "No file in that folder has" : others.length === 1 ? `${others[0]} has` : `${named(others)} have`} ${ofFolder ? "the name of a missing file" : "the name of no missing file"}. What is looked for: ${named([...wantedAt.values()])}`);
    const wanted = files.filter((file) => found.has(pathOf(file)));
    wanted.forEach((file) => { file.path = found.get(pathOf(file)); });
    // (A folder is chosen for some of its files.)
    const note = others.length && !ofFolder ? `The .blend looks for none of these, so they are not uploaded: ${named(others)}. ` : "";
    await upload(wanted, source.upload, () => {
      const still = facts.missing.filter((each) => [...found.values()].includes(each.place)).map((each) => each.path);
      sayFound(note + (still.length ? `${named(still)}: uploaded, but no Blender on the dashboard's machine can lead the .blend to it. Make its paths relative in Blender (File, External Data, Make All Paths Relative) and drop it again` : ""));
    });
  }
  ["find-files", "find-folder"].forEach((id) => byId(id).addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    find(files, id === "find-folder").catch((error) => sayFound(error.message));
  }));
  const drop = byId("drop");
  ["dragenter", "dragover"].forEach((name) => drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); }));
  ["dragleave", "drop"].forEach((name) => drop.addEventListener(name, () => drop.classList.remove("over")));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    upload(await droppedFiles(event.dataTransfer)).catch(farm.complain);
  });
  ["files", "folder"].forEach((name) => byId(name).addEventListener("change", (event) => { if (event.target.files.length) upload(event.target.files).catch(farm.complain); }));
  browseFiles((file) => showBlends([file]));

  // --- how ---
  function field(setting) {
    const own = scene();
    const fromFile = own && { frames: range(own), resolution: `${own.percent}`, samples: own.samples && `${own.samples}`, frame: `${own.current ?? own.first}`, scene: own.name, camera: own.camera,
      engine: words("engine", own.engine_word), format: words("format", own.image_format), keep: words("keep", !own.use_overwrite), placeholders: own.use_placeholder ? "yes" : "no" }[setting.name];
    const absent = setting.from_file && fromFile ? `as the file: ${fromFile}` : setting.absent;
    const label = (value) => setting.words.find(([special]) => special === value)?.[1] || String(value);
    let choices = setting.choices.map((each) => [each, label(each)]);
    const named = facts && { scene: facts.scenes.map((each) => each.name), camera: own?.cameras || facts.cameras, view_layers: (own?.layers || []).map((each) => each.name) }[setting.name];
    if (named) choices = named.map((each) => [each, each]);
    if (setting.kind === "bool") choices = [[true, "yes"], [false, "no"]].map(([value, plain]) => [String(value), setting.words.find(([special]) => special === value)?.[1] || plain]);
    return settingField(setting, choices, absent, setting.name === "frames" && fromFile ? fromFile : absent);
  }
  const fields = () => [...byId("submit").querySelectorAll("[data-kind]")];
  function showFields() {
    const shown = (kind()?.settings || []).filter((setting) => setting.name !== "file");
    const kept = Object.fromEntries(fields().filter((input) => !input.multiple).map((input) => [input.id, input.value]));
    const isBlender = kind()?.needs_file;
    const comesFirst = (setting) => setting.required || ["frames", "frame"].includes(setting.name) || (!isBlender && setting.group === shown[0].group);
    byId("first").replaceChildren(...shown.filter(comesFirst).map(field));
    const groups = new Map();
    shown.filter((setting) => !comesFirst(setting)).forEach((setting) => groups.set(setting.group, [...(groups.get(setting.group) || []), field(setting)]));
    byId("tags-field").hidden = false;
    groups.set("Machines", [...(groups.get("Machines") || []), byId("tags-field")]);
    const open = new Set([...byId("groups").querySelectorAll("details[open]")].map((each) => each.dataset.group));
    const order = JSON.parse(byId("groups").dataset.order), place = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
    byId("groups").replaceChildren(...[...groups].sort(([one], [other]) => place(one) - place(other)).map(([name, boxes]) => {
      const details = farm.element("details"), summary = farm.element("summary", "", `${name} `), inside = farm.element("div", "fields");
      details.dataset.group = name;
      details.open = open.has(name);
      summary.append(farm.element("span"));
      inside.append(...boxes);
      details.append(summary, inside);
      return details;
    }));
    Object.entries(kept).forEach(([id, value]) => { if (byId(id) && value) byId(id).value = value; });
    show("quality-question", isBlender);
    presets.show();
    byId("job-output").placeholder = !isBlender ? "nowhere: the program knows" : source?.upload ? "kept by the farm" : "the folder that the file names";
    byId("test-frame").hidden = !isBlender;
    showFrames();
    showSet();
  }
  // The settings of each folded group that are set, or else all that are in it.
  function showSet() {
    byId("submit").querySelectorAll("details").forEach((details) => {
      const inputs = [...details.querySelectorAll("input, select")].filter((input) => !["job-name", "job-project"].includes(input.id));
      const set = inputs.filter((input) => (input.type === "checkbox" ? input.checked : input.value !== ""));
      const name = (input) => input.labels[0].textContent.replace(/ \(.*\)/, "").replace(/^(?!Blender)[A-Z](?![A-Z])/, (letter) => letter.toLowerCase());
      const shown = details.querySelector("summary span");
      shown.classList.toggle("set", set.length > 0);
      shown.textContent = set.length ? `${set.map(name).join(", ")} set` : inputs.map(name).join(", ");
    });
    const resolution = byId("field-resolution")?.value || "", samples = byId("field-samples")?.value || "";
    const half = scene() ? String(halved()) : "";
    const quality = !resolution && !samples ? "" : resolution === half && !samples ? "half" : resolution === half && samples === String(PREVIEW_SAMPLES) ? "preview" : "own";
    byId("quality").querySelectorAll("button").forEach((each) => each.setAttribute("aria-pressed", each.dataset.quality === quality));
  }
  const halved = () => Math.max(1, Math.round((scene()?.percent || 100) / 2));
  function firstFrame() {
    const wanted = byId("field-frames")?.value || byId("field-frame")?.value || "";
    return Number(wanted.match(/-?\d+/)?.[0] ?? scene()?.first ?? 1);
  }
  function showFrames() { byId("test-frame").textContent = facts ? `Test frame ${firstFrame()}` : "Test frame"; }
  function settings() {
    const found = {};
    fields().forEach((input) => {
      if (input.value === "") return;
      const value = { int: Number, float: Number, bool: (text) => text === "true", list: (text) => text.split(" ").filter(Boolean) }[input.dataset.kind] || String;
      const name = input.id.slice("field-".length), before = unchanged.get(name);
      found[name] = before?.text === input.value ? before.value : input.multiple ? [...input.selectedOptions].map((each) => each.value) : value(input.value);
    });
    return found;
  }
  function fill(preset) {
    Object.entries(preset).forEach(([key, value]) => {
      const input = byId(`field-${key === "width" ? "resolution" : key}`);
      if (!input) return;
      if (key === "width") input.value = scene() ? Math.max(1, Math.round((value / scene().width) * 100)) : "";
      else if (input.multiple) [...input.options].forEach((each) => { each.selected = value.includes(each.value); });
      else input.value = Array.isArray(value) ? value.join(" ") : value === null ? "" : String(value);
    });
    changed();
  }
  byId("quality").addEventListener("click", (event) => {
    const chosen = event.target.closest("button")?.dataset.quality;
    if (chosen === undefined) return;
    fill({ resolution: chosen ? halved() : "", samples: chosen === "preview" ? PREVIEW_SAMPLES : "" });
  });
  byId("priority").addEventListener("click", (event) => {
    const chosen = event.target.closest("button");
    if (chosen) byId("priority").querySelectorAll("button").forEach((each) => each.setAttribute("aria-pressed", each === chosen));
  });
  function job(more) {
    const limits = ["stall", "limit"].filter((name) => byId(`${name}-minutes`).value !== "").map((name) => [`${name}_minutes`, Number(byId(`${name}-minutes`).value)]);
    return {
      job_type: kind().name, settings: { ...settings(), ...more }, name: byId("job-name").value, project: byId("job-project").value,
      priority: Number(byId("priority").querySelector("[aria-pressed=true]").value), tags: byId("job-tags").value.split(/\s+/).filter(Boolean), output: byId("job-output").value, paused: byId("paused").checked,
      after: byId("job-after").value.split(",").map((each) => each.trim()).filter(Boolean).map((each) => ({ job: each, by_frame: byId("after-frames").checked })),
      start_at: byId("start-at").value.trim(), night: byId("at-night").checked,
      pool: byId("job-pool").value.trim(), rush: byId("job-rush").checked, reclaim_at_once: byId("job-reclaim").checked, licences: byId("job-licences").value.split(",").map((each) => each.trim()).filter(Boolean),
      most_workers: Number(byId("job-most-workers").value), cores: Number(byId("job-cores").value), gpu_memory: Math.round(Number(byId("job-gpu-memory").value) * 1e9),
      ...(kind().needs_file ? { allow_missing: withoutMissing, trusted } : {}), ...Object.fromEntries(limits), ...(kind().template ? { template: kind().template } : source?.job ? { again: source.job } : kind().needs_file && source ? { source } : {}),
    };
  }
  async function submit() {
    const before = edits, made = await send(() => farm.post("/jobs", job({})));
    accepted = before === edits ? made : null;
    farm.content();
    showReady();
    const done = farm.element("div", "alert alert-success mb-2");
    done.append(farm.link(`/jobs/${made.id}`, made.name, "fw-semibold name"), ` is submitted: ${made.what}`);
    byId("done").prepend(done);
  }
  byId("submit").addEventListener("submit", (event) => {
    event.preventDefault();
    submit().catch(farm.complain);
  });

  // A sentence that names options of the command line, with what they are called here.
  function onPage(text) {
    const labels = new Map((kind()?.settings || []).map((setting) => [setting.name, setting.label]));
    labels.set("output", "Send frames to").set("view_layer", labels.get("view_layers"));
    return text.replace(/`?--([a-z][a-z-]*)`?/g, (option, name) => { const label = labels.get(name.replaceAll("-", "_")); return label ? `“${label}”` : option; });
  }

  // --- what it will come to ---
  const whole = () => ready() && fields().every((input) => !input.required || input.value);
  const { look, weigh } = comesTo(() => (whole() ? job({}) : null), () => kind().needs_file, onPage, (why) => { wrong = why; showReady(); });
  function changed() {
    accepted = null;
    edits += 1;
    showSet();
    showFrames();
    showReady();
    weigh();
  }
  byId("submit").addEventListener("input", changed);

  // --- one frame to try, shown here ---
  const tryFrame = testFrame(send, weigh);
  byId("test-frame").addEventListener("click", () => {
    const frame = firstFrame();
    tryFrame(frame, job(kind().name === "blender-still" ? { frame } : { frames: String(frame) })).catch(farm.complain);
  });

  byId("job-name").addEventListener("input", () => { byId("job-name").dataset.own = "1"; });
  byId("type").addEventListener("change", () => { showFields(); showFile(); changed(); });
  byId("submit").addEventListener("change", (event) => { if (event.target.id === "field-scene") { showFields(); showFacts(); } changed(); });
  const presets = jobPresets(() => kinds, kind, settings, fill);
  // The form as the job with that id says it: what it renders stays, all else can be changed.
  async function takeUp(id) {
    const record = await farm.ask(`/jobs/${id}`);
    byId("type").value = record.job_type;
    byId("type").disabled = true;
    source = { job: record.id, file: record.settings.file || record.name };
    if (kind().needs_file) facts = await farm.ask(`/jobs/${id}/file`);
    if (needsTrust().length) ({ trusted } = record);
    showFields();
    const { settings: said, inputs } = submitAgain(record, kind());
    inputs.forEach(([input, value]) => { byId(input)[byId(input).type === "checkbox" ? "checked" : "value"] = value; });
    byId("job-name").dataset.own = "1";
    byId("preview").parentElement.hidden = true;
    byId("job-output").placeholder = record.output ? "a new folder beside the first job's" : byId("job-output").placeholder;
    const urgencies = [...byId("priority").children], own = urgencies.find((each) => Number(each.value) === record.priority) || urgencies[0].cloneNode();
    if (!own.isConnected) { own.value = own.textContent = record.priority; byId("priority").append(own); }
    own.click();
    fill(said);
    // (A list of words is one text in the form, which does not tell a word that has a space in it.)
    unchanged = new Map(fields().filter((input) => !input.multiple && input.value).map((input) => [input.id, input.value]).map(([field, text]) => [field.slice("field-".length), { text, value: said[field.slice("field-".length)] }]));
    showFile();
  }
  (async () => {
    kinds = await farm.ask("/job-types");
    drop.inert = false; // Files that come earlier, with nothing here to take them, would be lost.
    const { again } = byId("submit").dataset;
    if (again) await takeUp(again); else showFields();
    await look();
    await presets.look();
  })().catch(farm.complain);
})();
