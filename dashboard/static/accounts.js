// Machine hours, frames and failures by user, project, worker or day: a plot of each, and a table.
(() => {
  const byId = (id) => document.getElementById(id);
  const words = JSON.parse(byId("plots").dataset.causes);
  const hours = (seconds) => (seconds / 3600).toLocaleString(undefined, { maximumFractionDigits: seconds < 36000 ? 2 : 0 });
  const count = (number) => number.toLocaleString(undefined, { maximumFractionDigits: 0 });
  const query = () => new URLSearchParams({ by: byId("by").value, since: byId("since").value });

  // All days from the first that has something to the last, so that an idle one shows.
  function daysOf(told) {
    const found = told.days.map((row) => row.day).sort();
    const days = [];
    for (let at = Date.parse(found[0]); at <= Date.parse(found.at(-1)); at += 864e5) days.push(new Date(at).toISOString().slice(0, 10));
    return days;
  }

  function draw(told) {
    const days = daysOf(told), named = (row) => (told.by === "day" ? "all" : row.name === null ? "others" : row.name || "(no name)");
    const points = (value) => told.days.map((row) => ({ x: row.day, y: value(row), group: named(row) }));
    const failures = told.failures.map((row) => ({ x: row.day, y: row.failures, group: words[row.cause] || row.cause }));
    byId("plots").replaceChildren(
      plot.bars("Machine hours a day", days, points((row) => row.machine_seconds / 3600), (y) => hours(y * 3600)),
      plot.bars("Frames a day", days, points((row) => row.frames), count),
      plot.bars("Failures a day, by cause", days, failures, count),
      ...(told.total.metered_seconds > 0 ? [plot.bars("kWh a day, where it is measured", days, points((row) => row.joules / 3.6e6), (y) => y.toPrecision(3))] : []),
    );
  }

  function list(told) {
    const cells = (name, row) => [...row].map((text, place) => farm.element(name, place && place < 6 ? "text-end" : "", text));
    const line = (name, row) => { const made = document.createElement("tr"); made.append(...cells(name, row)); return made; };
    const causes = (row) => Object.entries(words).filter(([cause]) => row.causes[cause]).map(([cause, word]) => `${count(row.causes[cause])} ${word}`).join(", ");
    const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
    const sums = (row) => [row.name || "(no name)", hours(row.machine_seconds), count(row.frames), count(row.attempts), count(row.failures), farm.energy(row) || "not known", causes(row)];
    byId("sums").tHead.replaceChildren(line("th", [capital(byId("by").selectedOptions[0].textContent.replace("by ", "")), "Machine hours", "Frames", "Attempts", "Failed", "Energy", "Why"]));
    byId("sums").tBodies[0].replaceChildren(...told.rows.map((row) => line("td", sums(row))));
  }

  async function show() {
    byId("csv").href = `/api/v1/accounts.csv?${query()}`;
    const told = await farm.ask(`/accounts?${query()}`);
    const some = told.rows.length > 0;
    byId("total").textContent = some ? `${hours(told.total.machine_seconds)} machine hours, ${farm.several(told.total.frames, "frame")}, ${count(told.total.failures)} of ${farm.several(told.total.attempts, "attempt")} failed` : "Nothing was rendered in this time.";
    byId("sums").classList.toggle("d-none", !some);
    if (some) { draw(told); list(told); } else byId("plots").replaceChildren();
  }
  for (const id of ["by", "since"]) byId(id).addEventListener("change", () => show().catch(farm.complain));
  farm.watch(["job"], show);
})();
