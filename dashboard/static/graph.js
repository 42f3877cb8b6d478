// What waits for what, as boxes from left to right with lines between: stages of a job, or jobs.
const graph = (() => {
  const space = "http://www.w3.org/2000/svg";
  const width = 216, height = 64, apart = 56, gap = 18, edge = 3;

  function part(name, attributes, text) {
    const made = document.createElementNS(space, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = farm.calm(text);
    return made;
  }
  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  // Each box stands right of all that it waits for. (What waits for itself by an error of somebody's ends the search.)
  function columns(boxes, lines) {
    const column = new Map(boxes.map((box) => [box.id, 0]));
    for (let round = 0; round < boxes.length; round += 1) {
      let moved = false;
      lines.forEach(({ from, to }) => {
        if (column.get(to) <= column.get(from)) {
          column.set(to, column.get(from) + 1);
          moved = true;
        }
      });
      if (!moved) break;
    }
    return column;
  }

  // `boxes`: {id, name, standing, status, share, url, own}; `lines`: {from, to, dashed, title}. `label` says what it shows.
  function draw(label, boxes, lines) {
    const known = new Set(boxes.map((box) => box.id)), drawn = lines.filter(({ from, to }) => known.has(from) && known.has(to));
    const column = columns(boxes, drawn), filled = [], at = new Map();
    boxes.forEach((box) => {
      const place = column.get(box.id), row = filled[place] ?? 0;
      filled[place] = row + 1;
      at.set(box.id, { x: edge + place * (width + apart), y: edge + row * (height + gap) });
    });
    const wide = filled.length * (width + apart) - apart + 2 * edge, high = Math.max(...filled) * (height + gap) - gap + 2 * edge;
    const svg = part("svg", { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, class: "graph", role: "img", "aria-label": label });
    drawn.forEach(({ from, to, dashed, title }) => {
      const start = at.get(from), end = at.get(to);
      const x = start.x + width, y = start.y + height / 2, tip = end.x - 2, last = end.y + height / 2, half = (tip - x) / 2;
      const line = part("g", { class: `graph-line${dashed ? " by-frame" : ""}` });
      line.append(part("title", {}, title), part("path", { d: `M${x} ${y}C${x + half} ${y} ${tip - half} ${last} ${tip} ${last}` }));
      line.append(part("path", { class: "graph-tip", d: `M${tip - 8} ${last - 4}L${tip} ${last}L${tip - 8} ${last + 4}` }));
      svg.append(line);
    });
    boxes.forEach((box) => {
      const { x, y } = at.get(box.id);
      const group = part("g", { class: `graph-box ${box.status}${box.own ? " own" : ""}`, transform: `translate(${x} ${y})` });
      group.append(part("title", {}, `${box.name}: ${box.standing}`));
      group.append(part("rect", { class: "graph-back", width, height, rx: 8 }));
      group.append(part("text", { class: "graph-name", x: 12, y: 23 }, cut(box.name, 28)));
      group.append(part("text", { class: "graph-standing", x: 12, y: 41 }, cut(box.standing, 34)));
      group.append(part("rect", { class: "graph-track", x: 12, y: height - 14, width: width - 24, height: 5, rx: 2.5 }));
      if (box.share > 0) group.append(part("rect", { class: "graph-share", x: 12, y: height - 14, width: (width - 24) * Math.min(1, box.share), height: 5, rx: 2.5 }));
      if (!box.url) {
        svg.append(group);
        return;
      }
      const link = part("a", { href: box.url });
      link.append(group);
      svg.append(link);
    });
    const frame = farm.element("div", "graph-scroll");
    frame.append(svg);
    return frame;
  }
  return { draw };
})();
