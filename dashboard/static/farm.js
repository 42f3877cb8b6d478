// What every page needs: asking the API, saying what went wrong, writing times and sizes, tables that stay true.
const farm = (() => {
  const problem = document.getElementById("problem");

  async function ask(path, options) {
    const response = await fetch(path, options);
    const answer = await response.json().catch(() => ({ error: `The dashboard answered ${response.status}` }));
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }

  function post(path, value) {
    const body = JSON.stringify(value === undefined ? {} : { value });
    const headers = { "Content-Type": "application/json", "X-Brender": "1" };
    return ask(path, { method: "POST", headers, body });
  }

  const act = (job, action, value) => post(`/api/jobs/${encodeURIComponent(job)}/${action}`, value);
  const actOnNode = (node, action) => post(`/api/nodes/${encodeURIComponent(node)}/${action}`);

  function complain(error) {
    problem.textContent = error instanceof TypeError ? "The dashboard does not answer. Is it still running?" : error.message;
    problem.classList.remove("d-none");
  }

  // Run `look` now and every so often; what goes wrong is shown, and gone once it goes well again.
  function keep(look, seconds) {
    let shown = false;
    const round = async () => {
      try {
        if (!document.hidden) {
          await look();
          if (shown) problem.classList.add("d-none");
          shown = false;
        }
      } catch (error) {
        shown = true;
        complain(error);
      }
      window.setTimeout(round, seconds * 1000);
    };
    round();
  }

  function element(name, classes, text) {
    const made = document.createElement(name);
    if (classes) made.className = classes;
    if (text !== undefined && text !== null) made.textContent = text;
    return made;
  }

  const badge = (status) => element("span", `badge ${status}`, status);

  function bar(share) {
    const outer = element("div", "progress mini");
    const inner = element("div", "progress-bar");
    inner.style.width = `${Math.round(share * 100)}%`;
    outer.append(inner);
    return outer;
  }

  const time = (wall) => (wall ? new Date(wall * 1000).toLocaleString() : "");

  function duration(seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
  }

  function size(bytes) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
    return `${bytes.toFixed(unit ? 1 : 0)} ${units[unit]}`;
  }

  // A DataTable in #name that shows what the API says at `path`, again every two seconds. A column's `show` makes a text or
  // an element from a row; its `value` (what is sorted and searched) is the row's own field unless given.
  function table(name, path, columns, order, link) {
    const made = $(`#${name}`).DataTable({
      pageLength: 50,
      order,
      autoWidth: false,
      language: { emptyTable: " ", search: "", searchPlaceholder: "Search" },
      columns: columns.map((column) => ({
        title: column.title,
        data: null,
        render: (row, type) => {
          if (type !== "display") return (column.value || ((r) => r[column.field]))(row) ?? "";
          const shown = column.show ? column.show(row) : row[column.field] ?? "";
          return shown instanceof Node ? shown : element("span", column.classes || "", String(shown));
        },
      })),
      createdRow: (line, row) => {
        if (!link) return;
        line.classList.add("link");
        line.addEventListener("click", () => { window.location.href = link(row); });
      },
    });
    keep(async () => {
      const rows = await ask(path);
      document.getElementById("empty").classList.toggle("d-none", rows.length > 0);
      made.clear().rows.add(rows).draw(false);
    }, 2);
  }

  // A small button that asks for something, and says what went wrong.
  function button(label, title, ask) {
    const made = element("button", "btn btn-sm btn-outline-secondary py-0 me-1", label);
    made.type = "button";
    made.title = title;
    made.addEventListener("click", () => {
      made.disabled = true;
      ask().catch(complain);
    });
    return made;
  }

  // What may be asked of a worker or manager that stands like this one.
  function nodeButtons(row) {
    const made = element("span", "text-nowrap");
    const on = (label, title, action) => made.append(button(label, title, () => actOnNode(row.id, action)));
    if (row.wanted) on("Enable", "Give it tasks again", "enable");
    else on("Disable", "Let it finish its task and give it no other", "disable");
    if (!["offline", "draining"].includes(row.status)) on("Drain", "Let it finish its task and leave", "drain");
    return made;
  }

  const trouble = document.getElementById("trouble");
  keep(async () => {
    const about = await ask("/api/about");
    trouble.textContent = about.trouble;
    trouble.classList.toggle("d-none", !about.trouble);
  }, 3);

  return { ask, act, button, nodeButtons, complain, keep, element, badge, bar, time, duration, size, table };
})();
