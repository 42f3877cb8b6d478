// What every page needs: asking the API, hearing what happens, saying what went wrong, times and sizes, keys.
const farm = (() => {
  const base = "/api/v1";
  const problem = document.getElementById("problem");
  const token = document.querySelector("meta[name=csrf-token]").content;
  const rights = JSON.parse(document.body.dataset.rights);
  const user = document.body.dataset.user;
  // Whether to show what does this to a thing of that owner. (Whether it is done, the server decides, by the same table.)
  const may = (action, owner) => rights[action] === "all" || (rights[action] === "own" && user !== "" && owner === user);

  class Unanswered extends Error {}
  async function ask(path, options) {
    const response = await fetch(base + path, options).catch(() => { throw new Unanswered("The dashboard does not answer. Is it still running?"); });
    if (response.status === 401) { window.location.reload(); throw new Error("Sign in again"); }
    const answer = await response.json().catch(() => ({ error: `The dashboard answered ${response.status}` }));
    if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
    return answer;
  }

  function send(method, path, body) {
    const headers = { "X-CSRFToken": token };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    return ask(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  }
  const post = (path, body) => send("POST", path, body);
  const remove = (path) => send("DELETE", path);
  const act = (job, action, value) => post(`/jobs/${encodeURIComponent(job)}/actions/${action}`, value === undefined ? {} : { value });
  const actOnNode = (node, action, value) => post(`/nodes/${encodeURIComponent(node)}/actions/${action}`, value === undefined ? {} : { value });

  function complain(error) {
    // (That nobody answers, the banner of `checkServer` says.)
    if (error instanceof Unanswered && user) { checkServer(); return; }
    problem.replaceChildren(prose(error.message));
    problem.classList.remove("d-none");
  }
  const content = () => problem.classList.add("d-none");

  // Whether the server is silent: then nothing that is shown of workers is sure.
  let silent = false, checking = 0, heard = Date.now() / 1000;
  const isSilent = () => silent, hushed = [];
  // `doing` is called when nothing is heard any more, or something is again: what is shown of now is not sure then.
  const onSilence = (doing) => hushed.push(doing);
  const asOf = () => `as of ${clock(heard)}`;

  // Sections of the page Troubleshooting, each with the pattern of the messages that it is about (brender/model/symptoms.py).
  const symptoms = Object.entries(JSON.parse(document.body.dataset.symptoms || "{}")).map(([name, pattern]) => [name, new RegExp(pattern)]);

  // Whether a warning says that a file of the job is missing (brender/model/job.py).
  const isMissing = (warning) => warning.startsWith(document.body.dataset.missingFile);

  // --- what happens: one stream for the page ---
  const watchers = [];
  let source = null;
  function listen() {
    source = new EventSource(`${base}/events`);
    source.addEventListener("open", () => watchers.forEach((each) => each.soon()));
    source.addEventListener("changed", (event) => {
      const changed = JSON.parse(event.data);
      watchers.forEach((each) => { if (each.concerns(changed)) each.soon(); });
    });
    source.addEventListener("server", () => checkServer());
    window.addEventListener("pagehide", () => source.close());
  }

  // Run `look` now, whenever something of `kinds` happens (and, with a `key`, to that thing), and now and then in any case. What
  // goes wrong is shown, and gone once it goes well again.
  function watch(kinds, look, key) {
    let running = false, again = false, shown = false, timer = 0;
    async function round() {
      if (running) { again = true; return; }
      running = true;
      try {
        if (!document.hidden) {
          await look();
          if (shown) content();
          shown = false;
        }
      } catch (error) {
        shown = true;
        complain(error);
      }
      running = false;
      if (again) { again = false; soon(); }
    }
    function soon() {
      if (!timer) timer = window.setTimeout(() => { timer = 0; round(); }, 250);
    }
    const concerns = (changed) => kinds.some((kind) => kind in changed && (!key || changed[kind].includes(key) || changed[kind].includes("*")));
    watchers.push({ soon, concerns });
    if (!source) listen();
    document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
    window.setInterval(soon, 15000);
    round();
    return soon;
  }

  // --- making things ---
  // Without the marks of names that would turn around the letters of the sentence after them.
  const calm = (text) => String(text).replace(/[\u202a-\u202e\u2066-\u2069]/g, "");
  function element(name, classes, text) {
    const made = document.createElement(name);
    if (classes) made.className = classes;
    if (text !== undefined && text !== null) made.textContent = calm(text);
    return made;
  }
  function link(href, text, classes = "text-decoration-none") {
    const made = element("a", classes, text);
    made.href = href;
    return made;
  }
  // What people call a status: one word for one thing on every page. (The API keeps its own.)
  const words = { active: "rendering", live: "rendering" };
  const word = (status) => words[status] || status;
  const badge = (status) => element("span", `badge ${status.replace(" ", "-")}`, word(status));
  // How an attempt stands: what its worker has not begun is only handed out.
  const outcome = (attempt) => badge(attempt.outcome === "live" && !attempt.started ? "handed out" : attempt.outcome);
  const several = (count, one, many = `${one}s`) => `${count.toLocaleString()} ${count === 1 ? one : many}`;
  // What tells jobs of `rows` apart that are called the same: the start of the id of each; "" for others.
  function apart(rows) {
    const counts = new Map();
    rows.forEach((row) => counts.set(row.name, new Map(counts.get(row.name)).set(row.id, row)));
    return (row) => (counts.get(row.name)?.size > 1 ? row.id.slice(0, 8) : "");
  }
  // A sentence in which commands stand between backticks.
  function prose(text, classes = "") {
    const made = element("span", classes);
    calm(text).split("`").forEach((piece, place) => made.append(place % 2 ? element("code", "", piece) : piece));
    return made;
  }
  // A sentence that says what is wrong, and a link to what the documentation says to do about it, where it is here and says so.
  function explained(text, classes = "") {
    const made = prose(text, classes);
    const found = symptoms.find(([, pattern]) => pattern.test(text));
    if (found) made.append(" ", link(`/docs/howto/troubleshooting.html#${found[0]}`, "What to do"));
    return made;
  }
  // A text, or several of texts and elements, one after the other.
  function phrase(pieces, classes = "") {
    const made = element("span", classes);
    made.append(...[pieces].flat().map((each) => (each instanceof Node ? each : calm(each))));
    return made;
  }
  // A sentence with commands, where only text can stand, as in a title.
  const plain = (text) => calm(text).replaceAll("`", "");
  // How a worker or manager stands, as far as is known.
  const standing = (status) => (silent && ["idle", "online"].includes(status) ? "unknown" : status);
  function bar(share, label = "Progress") {
    const outer = element("div", "progress mini");
    outer.setAttribute("role", "progressbar");
    outer.setAttribute("aria-label", label);
    outer.setAttribute("aria-valuenow", Math.round(share * 100));
    const inner = element("div", "progress-bar");
    inner.style.width = `${Math.round(share * 100)}%`;
    outer.append(inner);
    return outer;
  }
  const time = (wall) => (wall ? new Date(wall * 1000).toLocaleString() : "");
  // Below a second with hundredths: frames of a preview take no longer.
  const short = (seconds) => (seconds ? `${seconds.toFixed(seconds < 0.995 ? 2 : 1)} s` : "0 s");
  function duration(seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 60) return short(seconds);
    const whole = Math.round(seconds);
    const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
  }
  // How long, as people say it: "41 s", "38 min", "1 h 10 min", "2 d 3 h".
  function span(seconds) {
    if (seconds < 9.95) return short(seconds);
    if (seconds < 59.5) return `${Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    if (minutes < 1440) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
    const hours = Math.round(minutes / 60);
    return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
  }
  // What workers spent on a job: its attempts that ended, or its frames where one is still at more of them.
  const machineSeconds = (job) => Math.max(job.machine_seconds, job.render_seconds);
  // Energy in kWh, as far as it was measured; "" where nothing was (brender.model.energy).
  function energy({ joules, metered_seconds: measured, machine_seconds: all }) {
    if (!(measured > 0)) return "";
    const kwh = joules / 3.6e6, said = kwh >= 1 ? `${kwh.toFixed(2)} kWh` : `${Number((kwh * 1000).toPrecision(3))} Wh`;
    return measured >= 0.95 * all ? said : `${said} in ${Math.round((100 * measured) / all)} % of the time`;
  }
  // When: "04:20", "yesterday 21:40", "tomorrow 04:20", else with the date.
  function clock(wall) {
    const date = new Date(wall * 1000), today = new Date();
    const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const days = Math.round((new Date(date).setHours(0, 0, 0, 0) - today.setHours(0, 0, 0, 0)) / 86400000);
    const day = { "-1": "yesterday ", 0: "", 1: "tomorrow " }[days];
    return (day ?? `${date.toLocaleDateString([], { day: "numeric", month: "short" })} `) + time;
  }
  // When something is expected, as precisely as that is known: "about 04:20", "tomorrow", "not before 04:20"; "" if nobody knows.
  // `name`: what its fields in `row` begin with.
  function expected(row, name = "eta") {
    const [seconds, least, precision] = ["seconds", "least", "precision"].map((field) => row[`${name}_${field}`]), now = Date.now() / 1000;
    if (seconds === null) return least === null ? "" : `not before ${clock(now + least)}`;
    const date = new Date((now + seconds) * 1000), step = Math.max(1, precision / 60);
    if (step > 60) return clock(date / 1000).replace(/ ?\d\d:\d\d$/, "") || "today";
    date.setMinutes(Math.round((date.getMinutes() + date.getSeconds() / 60) / step) * step, 0, 0);
    return `about ${clock(date / 1000)}`;
  }
  // A moment that was, with the exact time for those who point at it.
  function when(wall) {
    const made = element("time", "text-nowrap", wall ? clock(wall) : "");
    made.title = time(wall);
    return made;
  }
  function size(bytes) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
    return `${bytes.toFixed(unit ? 1 : 0)} ${units[unit]}`;
  }
  // A small button that asks for something, and says what went wrong.
  function button(label, title, doing, classes = "btn-outline-secondary") {
    const made = element("button", `btn btn-sm ${classes} py-0 me-1`, label);
    made.type = "button";
    made.title = title;
    made.addEventListener("click", (event) => {
      event.stopPropagation();
      made.disabled = true;
      content();
      doing().catch(complain).finally(() => { made.disabled = false; });
    });
    return made;
  }
  // What may be asked of a worker or manager that stands like this one.
  // (`left` is done once it is forgotten.)
  function nodeButtons(row, left = () => {}) {
    const made = element("span", "d-inline-flex flex-wrap gap-1");
    const on = (label, title, action) => may(`act ${action}`) && made.append(button(label, title, () => actOnNode(row.id, action)));
    if (row.wanted || row.drained) on("Enable", "Give it tasks again", "enable");
    if (!row.wanted) on("Disable", "Let it finish its task and give it no other", "disable");
    if (!["offline", "asleep", "draining"].includes(row.status)) {
      on("Drain", "Let it finish its task and leave", "drain");
      on("Restart", "Let it finish its task and start again", "restart");
    }
    if (row.status === "asleep") on("Wake", "Wake its machine", "wake");
    if (["offline", "asleep"].includes(row.status) && !row.wanted.startsWith("forgotten") && may("act forget")) {
      made.append(button("Forget", "Take it off the lists", async () => {
        if (!window.confirm(`Take ${row.name} off the lists? If it starts again, it is listed again.`)) return;
        await actOnNode(row.id, "forget");
        left();
      }));
    }
    return made;
  }

  function columnsOf(columns) {
    return columns.map((column) => ({
      title: column.title,
      data: null,
      orderable: column.orderable !== false,
      name: column.field,
      className: column.cell || "",
      render: (row, type) => {
        if (type !== "display") return (column.value || ((r) => r[column.field]))(row) ?? "";
        const shown = column.show ? column.show(row) : row[column.field] ?? "";
        return shown instanceof Node ? shown : element("span", column.classes || "", String(shown));
      },
    }));
  }
  const language = { emptyTable: " ", zeroRecords: "Nothing fits", search: "", searchPlaceholder: "Search" };
  // Where all lines fit on one page, nothing but the search stands around a table.
  const layout = (search) => ({ topStart: null, topEnd: search ? "search" : null, bottomStart: "info", bottomEnd: "paging" });
  function drawCallback() {
    const info = this.api().page.info();
    this.api().table().container().classList.toggle("one-page", info.pages < 2);
  }

  // Says in `box` that its list stops, where its `rows` are as many as one answer of the API may have.
  function tellEnd(box, rows, most = 10000) {
    box.querySelector(":scope > .list-end")?.remove();
    if (rows.length >= most) box.append(element("p", "list-end small text-body-secondary", `The first ${most.toLocaleString()} are shown: there may be more`));
  }
  // A DataTable in #name that shows the rows that the API has at `path`, and shows them again when something of `kinds` happens.
  // `most`: how many rows one answer has at most.
  function table(name, path, columns, order, kinds, most) {
    const made = $(`#${name}`).DataTable({ pageLength: 50, order, autoWidth: false, language, layout: layout(true), drawCallback, columns: columnsOf(columns) });
    return watch(kinds, async () => {
      const rows = await ask(path);
      document.getElementById("empty").classList.toggle("d-none", rows.length > 0);
      made.clear().rows.add(rows).draw(false);
      tellEnd(made.table().container(), rows, most);
    });
  }

  function toast(text, href) {
    const made = element("div", "toast show");
    made.setAttribute("role", "status");
    const body = element("div", "toast-body d-flex gap-2");
    body.append(href ? link(href, text) : prose(text));
    const close = element("button", "btn-close ms-auto");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => made.remove());
    body.append(close);
    made.append(body);
    document.getElementById("toasts").append(made);
    window.setTimeout(() => made.remove(), 12000);
  }
  // Open the page at `path` in place of this one, whose thing is gone, and say `text` there.
  function leave(path, text) {
    try { window.sessionStorage.setItem("brender-said", text); } catch { /* then it is not said */ }
    window.location.replace(path);
  }
  function saidBefore() {
    try {
      const text = window.sessionStorage.getItem("brender-said");
      window.sessionStorage.removeItem("brender-said");
      if (text) toast(text);
    } catch { /* then nothing was said */ }
  }

  // --- keys: / and ? everywhere, j k x Enter on lists ---
  const typing = (event) => event.target.closest("input, textarea, select, [contenteditable]") || event.ctrlKey || event.metaKey || event.altKey;
  document.addEventListener("keydown", (event) => {
    if (typing(event)) return;
    if (event.key === "/") { event.preventDefault(); (document.getElementById("q") || document.getElementById("find"))?.focus(); }
    if (event.key === "?") document.getElementById("help").showModal();
    if (event.key === "j" || event.key === "k") {
      const lines = [...document.querySelectorAll("[data-line]")];
      const at = lines.indexOf(document.activeElement.closest("[data-line]"));
      lines[Math.max(0, Math.min(lines.length - 1, event.key === "j" ? at + 1 : at - 1))]?.focus();
    }
    if (event.key === "x") document.activeElement.closest("[data-line]")?.querySelector("input[type=checkbox]")?.click();
    if (event.key === "Enter" && document.activeElement.matches("tr[data-line]")) document.activeElement.querySelector("a")?.click();
  });
  document.addEventListener("click", (event) => {
    const copied = event.target.closest(".copy");
    if (copied && navigator.clipboard) navigator.clipboard.writeText(copied.textContent).then(() => toast("Copied"));
  });

  // --- what somebody signed in sees on every page ---
  if (user) {
    document.addEventListener("visibilitychange", checkServer);
    checkServer();
    tellOfJobs();
    saidBefore();
  }

  // How the server is, in a banner: looked at every few seconds, and at once when the stream says that it fell silent or is back.
  async function checkServer() {
    window.clearTimeout(checking);
    checking = window.setTimeout(checkServer, silent ? 2000 : 5000);
    if (document.hidden) return;
    const was = silent;
    let text = "";
    try {
      const about = await ask("/about");
      silent = about.silent_seconds !== null;
      text = about.trouble;
      heard = Date.now() / 1000 - (about.silent_seconds || 0);
      const count = (name, said) => { const place = document.getElementById(`count-${name}`); if (place) place.textContent = said; };
      count("jobs", about.unfinished_jobs || "");
      count("workers", silent || !about.workers ? "" : `${about.busy_workers} / ${about.workers}`);
    } catch (error) {
      if (!(error instanceof Unanswered)) return;
      silent = true;
      text = `${error.message} What is shown is ${asOf()}`;
      content();
      document.getElementById("count-workers")?.replaceChildren();
    }
    const trouble = document.getElementById("trouble");
    if (trouble.textContent !== plain(text)) trouble.replaceChildren(prose(text));
    trouble.classList.toggle("d-none", !text);
    if (was === silent) return;
    document.body.classList.toggle("unheard", silent);
    hushed.forEach((each) => each());
    watchers.forEach((each) => each.soon());
  }

  // Jobs that end while a page is open, in the page, and with the bell on also by the system.
  function tellOfJobs() {
    const bell = document.getElementById("bell");
    const wanted = () => { try { return window.localStorage.getItem("brender-bell") === "1"; } catch { return false; } };
    const show = () => { bell.setAttribute("aria-pressed", wanted()); bell.classList.toggle("active", wanted()); };
    bell.addEventListener("click", async () => {
      const on = !wanted();
      if (on && window.Notification && Notification.permission === "default") await Notification.requestPermission();
      try { window.localStorage.setItem("brender-bell", on ? "1" : "0"); } catch { /* not for long, then */ }
      show();
    });
    show();
    let since = Date.now() / 1000;
    watch(["job"], async () => {
      if (!wanted()) { since = Date.now() / 1000; return; }
      const page = await ask("/jobs?sort=finished&status=completed,failed&length=10");
      page.rows.filter((row) => row.finished > since).forEach((row) => {
        const text = `${row.name} is ${row.status}`;
        toast(text, `/jobs/${row.id}`);
        if (window.Notification && Notification.permission === "granted") new Notification(text, { body: plain(row.reason) });
      });
      since = Math.max(since, ...page.rows.map((row) => row.finished || 0));
    });
  }

  return { Unanswered, isMissing, ask, post, remove, act, actOnNode, button, nodeButtons, complain, content, watch, element, link, badge, outcome, apart, standing, isSilent, onSilence, asOf, bar, time, when, duration, span, machineSeconds, energy, clock, expected, size, several, word, prose, phrase, explained, plain, calm, leave, tellEnd, table, columnsOf, language, layout, drawCallback, toast, may, user, token };
})();
