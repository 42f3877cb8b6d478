// Small plots, drawn as SVG: points or a line of numbers over others, in colours of their groups.
const plot = (() => {
  const space = "http://www.w3.org/2000/svg";
  // About as wide as a plot is on the page, so that its numbers can be read.
  const width = 480, height = 160, bottom = 24;
  const hues = [212, 28, 140, 340, 266, 50, 180, 300, 100, 0];
  const colour = (group, groups) => `hsl(${hues[groups.indexOf(group) % hues.length]} 70% 50%)`;

  // Where the plot begins, so that the longest of the numbers beside it is in the picture.
  const beside = (numbers) => Math.max(40, Math.max(...numbers.map((number) => number.length)) * 7.5 + 12);

  function part(name, attributes, text) {
    const made = document.createElementNS(space, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = farm.calm(text);
    return made;
  }

  // `points`: {x, y, group, title}. `show` writes a value of y. `line`: joined, and not dots.
  function draw(title, points, show, { line = false, most, showX = String } = {}) {
    const figure = document.createElement("figure");
    figure.className = "plot";
    const caption = document.createElement("figcaption");
    caption.className = "small fw-semibold";
    caption.textContent = title;
    figure.append(caption);
    if (!points.length) {
      figure.append(farm.element("p", "small text-body-secondary", "nothing yet"));
      return figure;
    }
    const xs = points.map((p) => p.x), top = most || Math.max(...points.map((p) => p.y), 1e-9);
    const left = beside([0, 0.5, 1].map((share) => show(top * share)));
    const low = Math.min(...xs), high = Math.max(...xs, low + 1e-9);
    const x = (value) => left + ((value - low) / (high - low || 1)) * (width - left - 8);
    const y = (value) => height - bottom - (value / top) * (height - bottom - 8);
    const svg = part("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: up to ${show(top)}` });
    [0, 0.5, 1].forEach((share) => {
      svg.append(part("line", { x1: left, x2: width - 8, y1: y(top * share), y2: y(top * share), class: "grid" }));
      svg.append(part("text", { x: left - 6, y: y(top * share) + 4, "text-anchor": "end", class: "tick" }, show(top * share)));
    });
    svg.append(part("text", { x: left, y: height - 6, class: "tick" }, showX(low)), part("text", { x: width - 8, y: height - 6, "text-anchor": "end", class: "tick" }, showX(high)));
    const groups = [...new Set(points.map((p) => p.group || ""))];
    if (line) {
      groups.forEach((group) => {
        const path = points.filter((p) => (p.group || "") === group).map((p) => `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join(" ");
        svg.append(part("polyline", { points: path, fill: "none", stroke: colour(group, groups), "stroke-width": 1.6 }));
      });
    } else {
      points.forEach((p) => {
        const dot = part("circle", { cx: x(p.x).toFixed(1), cy: y(p.y).toFixed(1), r: points.length > 2000 ? 1.2 : 2.5, fill: colour(p.group || "", groups) });
        if (p.title) dot.append(part("title", {}, p.title));
        svg.append(dot);
      });
    }
    figure.append(svg);
    if (groups.length > 1) {
      const legend = farm.element("div", "small d-flex flex-wrap gap-2");
      groups.slice(0, 20).forEach((group) => {
        const each = farm.element("span", "", group);
        const mark = farm.element("i", "dot me-1");
        mark.style.background = colour(group, groups);
        each.prepend(mark);
        legend.append(each);
      });
      figure.append(legend);
    }
    return figure;
  }
  // Bars, one for each of `labels`, of `points` ({x: its label, y, group}) on top of each other. A group called "all" needs no legend.
  function bars(title, labels, points, show) {
    const figure = document.createElement("figure");
    figure.className = "plot";
    figure.append(farm.element("figcaption", "small fw-semibold", title));
    if (!points.length) {
      figure.append(farm.element("p", "small text-body-secondary", "none"));
      return figure;
    }
    const groups = [...new Set(points.map((p) => p.group))], tone = (group) => `bar-${(groups.indexOf(group) % 8) + 1}`;
    const heights = new Map(labels.map((label) => [label, 0]));
    points.forEach((p) => heights.set(p.x, (heights.get(p.x) || 0) + p.y));
    const top = Math.max(...heights.values(), 1e-9), left = beside([0, 0.5, 1].map((share) => show(top * share))), step = (width - left - 8) / labels.length;
    const y = (value) => height - bottom - (value / top) * (height - bottom - 8);
    const svg = part("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: up to ${show(top)}` });
    [0, 0.5, 1].forEach((share) => {
      svg.append(part("line", { x1: left, x2: width - 8, y1: y(top * share), y2: y(top * share), class: "grid" }));
      svg.append(part("text", { x: left - 6, y: y(top * share) + 4, "text-anchor": "end", class: "tick" }, show(top * share)));
    });
    svg.append(part("text", { x: left, y: height - 6, class: "tick" }, labels[0]));
    if (labels.length > 1) svg.append(part("text", { x: width - 8, y: height - 6, "text-anchor": "end", class: "tick" }, labels.at(-1)));
    const below = new Map();
    groups.forEach((group) => points.filter((p) => p.group === group && p.y > 0).forEach((p) => {
      const from = below.get(p.x) || 0, wide = Math.min(step * 0.8, 60);
      below.set(p.x, from + p.y);
      const bar = part("rect", { x: (left + step * (labels.indexOf(p.x) + 0.5) - wide / 2).toFixed(1), y: y(from + p.y).toFixed(1), width: wide.toFixed(1), height: (y(from) - y(from + p.y)).toFixed(1), class: tone(group) });
      bar.append(part("title", {}, `${p.x}, ${group}: ${show(p.y)}`));
      svg.append(bar);
    }));
    figure.append(svg);
    if (groups.length > 1 || groups[0] !== "all") {
      const legend = farm.element("div", "small d-flex flex-wrap gap-2");
      groups.forEach((group) => {
        const each = farm.element("span", "", group);
        each.prepend(farm.element("i", `dot me-1 ${tone(group)}`));
        legend.append(each);
      });
      figure.append(legend);
    }
    return figure;
  }
  return { draw, bars };
})();
