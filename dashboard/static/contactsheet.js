// Small pictures of all frames beside each other. Only those near the window are made, so that ten thousand weigh nothing.
const contactsheet = (() => {
  const sheet = document.getElementById("frames");
  const group = 120, cells = new Map();
  let boxes = [], chosen = 0, moved = () => {};
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => { if (entry.isIntersecting) fill(entry.target); }), { rootMargin: "400px" });

  function showCell(part) {
    const cell = cells.get(part.id), status = frames.status(part);
    cell.className = `cell ${status}${part.id === chosen ? " chosen" : ""}${frames.selected.has(part.id) ? " selected" : ""}`;
    cell.title = `${frames.named(part)}: ${frames.said(part)}`;
    cell.setAttribute("aria-label", cell.title);
    cell.querySelector("i").className = `dot ${frames.dot(part)}`;
    let image = cell.querySelector("img");
    if (frames.pictured(part) && cell.dataset.change !== String(part.change)) {
      if (!image) {
        image = farm.element("img");
        image.alt = "";
        image.loading = "lazy";
        cell.prepend(image);
      }
      cell.dataset.change = part.change;
      picture(image, part);
    } else if (!frames.pictured(part) && image) {
      image.remove();
      delete cell.dataset.change;
    }
  }
  // The small picture comes a moment after the frame: it is asked for a few times.
  function picture(image, part, tries = 5) {
    image.onerror = () => {
      image.removeAttribute("src");
      if (tries) window.setTimeout(() => picture(image, part, tries - 1), 1000);
    };
    image.src = frames.thumbnail(part);
  }
  function fill(box) {
    seen.unobserve(box);
    const first = boxes.indexOf(box) * group;
    box.style.minHeight = "";
    frames.list.slice(first, first + group).forEach((part) => {
      if (cells.has(part.id)) return;
      const cell = farm.element("button");
      cell.type = "button";
      cell.dataset.line = "";
      cell.append(farm.element("i"), farm.element("span", "", part.piece > 0 ? `${part.frame} · ${part.piece}` : frames.isFilm(part) ? "film" : part.frame));
      cell.addEventListener("click", (event) => moved(part.index, { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey }));
      cells.set(part.id, cell);
      showCell(part);
      box.append(cell);
    });
    box.dataset.filled = "1";
  }
  // Makes the places for all frames, as high as they will be; again where frames have come between others.
  function build() {
    const wide = sheet.clientWidth || 1000, columns = Math.max(1, Math.floor((wide + 6) / 138));
    cells.clear();
    seen.disconnect();
    boxes = [];
    for (let first = 0; first < frames.list.length; first += group) {
      const box = farm.element("div", "box");
      box.style.minHeight = `${Math.ceil(Math.min(group, frames.list.length - first) / columns) * 90 - 6}px`;
      boxes.push(box);
    }
    sheet.replaceChildren(...boxes);
    boxes.forEach((box) => seen.observe(box));
  }
  let order = "";
  function update(changed) {
    const list = frames.list, now = list.length ? `${list.length} ${list[0].id} ${list[list.length - 1].id}` : "";
    if (now !== order) { order = now; build(); }
    changed.forEach((part) => { if (cells.has(part.id)) showCell(part); });
  }
  function choose(id) {
    const before = chosen;
    chosen = id;
    [before, id].forEach((each) => { if (cells.has(each)) showCell(frames.byId.get(each)); });
  }
  const select = () => cells.forEach((cell, id) => cell.classList.toggle("selected", frames.selected.has(id)));
  return { update, choose, select, onMove: (doing) => { moved = doing; } };
})();
