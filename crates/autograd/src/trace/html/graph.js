// The graph: boxes and lines, what they show after a step, and the view on them.

const $ = id => document.getElementById(id);
const svg = $("drawing"), scene = $("scene");
const MOST_NODES = 2000, MOST_PICTURES = 300;
const size = original.nodes.length;

/** The layer of each node; of a graph that is too large, blocks of nodes that belong to none. */
const block = Math.max(50, Math.ceil(size / 400));
const groupOf = original.nodes.map((node, id) => {
  if (node.group || size <= MOST_NODES) return node.group || null;
  const k = Math.floor(id / block) * block;
  return W.block(k + 1, Math.min(size, k + block));
});
const groups = new Map();
groupOf.forEach((group, id) => { if (group !== null) groups.set(group, [...(groups.get(group) || []), id]); });
for (const [group, members] of groups) if (members.length < 2) groups.delete(group);
const closed = new Set(size > MOST_NODES ? groups.keys() : []);

let boxes = [], lines = [], boxOf = [], lineOf = new Map(), extent = { width: 1, height: 1 };
const isLeaf = node => !node.formula;
const cut = (text, most) => { const all = [...text]; return all.length > most ? `${all.slice(0, most - 1).join("")}…` : text; };
const plainFormula = node => {
  const html = written(node.formula, name => [escaped(name), ATOM]);
  return html.replace(/<sup>([^<]*)<\/sup>/g, "^$1").replace(/&#(\d+);/g, (_, c) => String.fromCharCode(c)).replace(/&gt;/g, ">").replace(/&lt;/g, "<");
};

/** What a box is called and how large it is. */
function measured(box) {
  if (box.group !== null) {
    const parameters = box.nodes.map(id => original.nodes[id]).filter(node => node.kind === "variable");
    const isShort = parameters.length <= 3;
    box.title = cut(box.group, 22);
    box.lines = [W.collapsed(box.nodes.length), ...(isShort ? parameters : []).map(p => cut(`${p.name.slice(p.name.lastIndexOf(".") + 1)} ${shapeText(p.value.shape)}`, 24))];
    box.w = Math.max(110, 44 + 8.6 * box.title.length, 20 + 6.7 * Math.max(...box.lines.map(line => line.length)));
    box.h = 30 + 16 * box.lines.length;
    return;
  }
  const node = original.nodes[box.nodes[0]];
  box.title = cut(node.name, 18);
  box.shape = shapeText(node.value.shape);
  box.formula = isLeaf(node) ? "" : cut(plainFormula(node), 24);
  box.hasGradient = node.needs_gradient;
  box.isArray = node.value.shape.length > 0;
  box.w = Math.max(box.isArray ? 130 : 126, 26 + 8.4 * [...box.title].length + 6.6 * box.shape.length, 22 + 6.7 * [...box.formula].length);
  box.top = box.formula ? 39 : 24;
  box.h = box.top + (box.isArray ? 66 : box.hasGradient ? 40 : 22);
}

/** Boxes for the nodes and the layers that are closed, and lines between them. */
function build() {
  const made = new Map();
  original.nodes.forEach((node, id) => {
    const group = groupOf[id] !== null && closed.has(groupOf[id]) ? groupOf[id] : null;
    const name = group === null ? id : group;
    if (!made.has(name)) made.set(name, { group, nodes: [], key: Infinity });
    const box = made.get(name);
    box.nodes.push(id);
    if (box.key === Infinity || (isLeaf(original.nodes[box.key]) && !isLeaf(node))) box.key = id;
  });
  original.nodes.forEach((node, id) => {
    const box = made.get(id);
    if (!box || !isLeaf(node)) return;
    for (const [user] of users[id]) box.key = Math.min(box.key, made.get(closed.has(groupOf[user]) ? groupOf[user] : user).key - 0.5);
  });
  boxes = [...made.values()].sort((a, b) => a.key - b.key || a.nodes[0] - b.nodes[0]);
  boxOf = new Array(size);
  boxes.forEach((box, b) => { measured(box); box.nodes.forEach(id => { boxOf[id] = b; }); });
  lines = []; lineOf = new Map();
  const merged = new Map();
  original.nodes.forEach((node, id) => node.inputs.forEach((x, k) => {
    const from = boxOf[x], to = boxOf[id];
    if (from === to) return;
    const isMerged = boxes[from].group !== null || boxes[to].group !== null, name = `${from} ${to}`;
    let line = isMerged ? merged.get(name) : undefined;
    if (line === undefined) {
      line = lines.length;
      lines.push({ from, to });
      if (isMerged) merged.set(name, line);
    }
    lineOf.set(`${id} ${k}`, line);
  }));
  extent = arrange(boxes, lines);
  const parts = lines.map((line, k) => `<path id="line${k}" class="line" d="${curve(line.points)}"/>`);
  boxes.forEach((box, b) => parts.push(drawn(box, b)));
  scene.innerHTML = `${parts.join("")}<g id="tags"></g>`;
  boxes.forEach((box, b) => {
    box.element = $(`box${b}`);
    box.isFilled = box.group !== null;
  });
  lines.forEach((line, k) => { line.element = $(`line${k}`); });
  svg.classList.toggle("many", boxes.length > MOST_PICTURES);
  $("fold").hidden = !groups.size || closed.size === groups.size;
  $("unfold").hidden = !closed.size;
}

function drawn(box, b) {
  const { w, h } = box, x = box.x - w / 2, y = box.y - h / 2;
  const place = `id="box${b}" data-box="${b}" transform="translate(${x.toFixed(1)} ${y.toFixed(1)})"`;
  const text = (x, y, kind, content) => `<text class="${kind}" x="${x}" y="${y}">${escaped(content)}</text>`;
  if (box.group !== null) {
    return `<g ${place} class="box group"><title>${escaped(box.group)}: ${W.expand}</title>` +
      `<rect class="shade" x="5" y="5" width="${w}" height="${h}" rx="9"/><rect class="frame" width="${w}" height="${h}" rx="9"/>` +
      text(10, 19, "name", box.title) + text(w - 18, 19, "name", "+") + box.lines.map((line, k) => text(10, 37 + 16 * k, "formula", line)).join("") + "</g>";
  }
  const node = original.nodes[box.nodes[0]], radius = node.kind === "variable" ? Math.min(24, h / 2) : node.kind === "constant" ? 0 : 8;
  const inset = node.kind === "variable" ? 14 : 10;
  let inner = text(inset, 18, "name", box.title);
  if (box.shape) inner += text(w - inset, 18, "side", box.shape);
  if (box.formula) inner += text(inset, 33, "formula", `= ${box.formula}`);
  if (box.isArray) {
    inner += text(inset, box.top + 10, "label", W.value);
    if (box.hasGradient) inner += text(w / 2 + 6, box.top + 10, "label state", W.grad);
    inner += `<image x="${inset}" y="${box.top + 15}" preserveAspectRatio="none"/>`;
    if (box.hasGradient) inner += `<image x="${w / 2 + 6}" y="${box.top + 15}" preserveAspectRatio="none"/>`;
    inner += `<text class="value left" x="${inset}" y="${box.top + 30}"></text>`;
    if (box.hasGradient) inner += `<text class="gradient left" x="${w / 2 + 6}" y="${box.top + 30}"></text>`;
  } else {
    inner += text(inset, box.top + 12, "label", W.value) + `<text class="value" x="${w - inset}" y="${box.top + 12}"></text>`;
    if (box.hasGradient) inner += text(inset, box.top + 29, "label state", W.grad) + `<text class="gradient" x="${w - inset}" y="${box.top + 29}"></text>`;
  }
  const title = isLeaf(node) ? "" : ` = ${plainFormula(node)}`;
  box.inner = inner;
  return `<g ${place} class="box ${node.kind}"><title>${escaped(node.name + title)}</title><rect class="frame" width="${w}" height="${h}" rx="${radius}"/></g>`;
}

/** Writes into the boxes in sight what stands in them: of large graphs most are never looked at. */
function fill(isAll) {
  if (view.k < FAR && !isAll) return;
  const [left, top] = [-view.x / view.k, -view.y / view.k], [w, h] = [svg.clientWidth / view.k, svg.clientHeight / view.k];
  boxes.forEach((box, b) => {
    if (box.isFilled || !isAll && (box.x + box.w < left - w || box.x - box.w > left + 2 * w || box.y + box.h < top - h || box.y - box.h > top + 2 * h)) return;
    box.isFilled = true;
    box.element.insertAdjacentHTML("beforeend", box.inner);
    box.value = box.element.querySelector(".value");
    box.grad = box.element.querySelector(".gradient");
    box.label = box.element.querySelector(".state");
    box.images = box.element.querySelectorAll("image");
    paint(b);
  });
}

/** Shows in a box what is known of it after the current step. */
function paint(b) {
  const box = boxes[b], classes = box.element.classList;
  if (box.group !== null) {
    classes.toggle("known", box.nodes.some(id => id <= at));
    return;
  }
  const id = box.nodes[0], isKnown = id <= at, gradient = gradientAt(id, at);
  const hides = hiddenNow();
  classes.toggle("known", isKnown);
  classes.toggle("partial", gradient.n > 0 && !gradient.isComplete);
  if (!box.isFilled) return;
  const write = (element, k, array, isHidden) => {
    if (!element) return;
    let text = "";
    const image = box.images[k];
    if (isHidden) text = "?";
    else if (array && !box.isArray) text = array.elements ? digits(array.elements[0], 4) : W.nothing;
    else if (array && (!array.elements || boxes.length > MOST_PICTURES)) text = `±${digits(largest(array), 3)}`;
    if (element.textContent !== text) element.textContent = text;
    if (!image) return;
    const hasPicture = array && array.elements && array.elements.length && !text;
    const map = hasPicture ? picture(array, 16) : null, url = map ? map.url : "";
    if (image.dataset.url === url) return;
    image.dataset.url = url;
    image.style.display = map ? "inline" : "none";
    if (!map) return;
    const each = Math.min((box.w / 2 - 20) / map.w, 44 / map.h, 12);
    image.setAttribute("href", url);
    image.setAttribute("width", each * map.w);
    image.setAttribute("height", each * map.h);
  };
  write(box.value, 0, isKnown ? trace.nodes[id].value : null, hides && hides.of === "value" && hides.node === id);
  write(box.grad, 1, gradient.array, hides && hides.of === "gradient" && hides.node === id);
  if (box.label) {
    const label = gradient.of > 1 && gradient.n > 0 && !gradient.isComplete ? W.of(gradient.n, gradient.of) : W.grad;
    if (box.label.textContent !== label) box.label.textContent = label;
  }
}

let marked = [], before = -1;
/** Brings the drawing to the current step: only what has changed since the last one, unless all is to be drawn anew. */
function redraw(isAnew) {
  if (isAnew || before < 0) boxes.forEach((_, b) => paint(b));
  else {
    const touched = new Set();
    for (let s = Math.min(at, before); s <= Math.max(at, before); s++) touched.add(boxOf[steps[s].node]);
    touched.forEach(paint);
  }
  before = at;
  marked.forEach(([element, name]) => element.classList.remove(name));
  marked = [];
  const mark = (element, name) => { if (element) { element.classList.add(name); marked.push([element, name]); } };
  const now = steps[at], hides = hiddenNow();
  mark(boxes[boxOf[now.node]].element, now.is === "forward" ? "current" : "receiving");
  const lineInto = (node, k) => lines[lineOf.get(`${node} ${k}`)];
  // From afar boxes are too small to be seen.
  const { x, y } = boxes[boxOf[now.node]];
  let tags = `<circle class="spot" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}"/>`;
  const tag = (line, text, kind) => {
    if (!line || !text) return;
    const p = line.element.getPointAtLength(line.element.getTotalLength() * 0.5), w = 14 + 7.3 * text.length;
    tags += `<g class="tag ${kind}" transform="translate(${p.x.toFixed(1)} ${p.y.toFixed(1)})"><rect x="${-w / 2}" y="-10" width="${w}" height="20" rx="10"/><text y="4">${text}</text></g>`;
  };
  const told = array => item(array) !== undefined ? digits(item(array), 3) : array ? shapeText(array.shape) : "0";
  if (now.is === "forward") {
    trace.nodes[now.node].inputs.forEach((x, k) => { const line = lineInto(now.node, k); mark(line && line.element, "flow"); });
  } else if (now.is === "contribution") {
    mark(boxes[boxOf[now.from]].element, "asked");
    for (const id of trace.nodes[now.from].kept) mark(boxes[boxOf[id]].element, "read");
    // What came before to the same gradient, and what comes now.
    for (const s of arrivals[now.node]) {
      if (s >= at) break;
      const line = lineInto(steps[s].from, steps[s].input);
      mark(line && line.element, "came");
      tag(line, told(edgeOf(steps[s]).contribution), "past");
    }
    const line = lineInto(now.from, now.input);
    mark(line && line.element, "back");
    tag(line, hides && hides.of === "gradient" ? "?" : told(edgeOf(now).contribution), "present");
  }
  $("tags").innerHTML = tags;
  select(shownNode(), mark);
}

// The view.
const view = { x: 0, y: 0, k: 1 }, FAR = 0.32;
function look(isSmooth) {
  scene.style.transition = isSmooth && boxes.length <= 200 ? "transform .25s ease" : "none";
  scene.style.transform = `translate(${view.x.toFixed(1)}px,${view.y.toFixed(1)}px) scale(${view.k.toFixed(4)})`;
  scene.style.setProperty("--scale", view.k);
  svg.classList.toggle("far", view.k < FAR);
  fill();
}
function fitted() {
  const { clientWidth: w, clientHeight: h } = svg;
  return Math.min(1.25, (w - 24) / extent.width, (h - 24) / extent.height);
}
function fit(isSmooth) {
  view.k = Math.max(0.004, fitted());
  view.x = (svg.clientWidth - extent.width * view.k) / 2;
  view.y = (svg.clientHeight - extent.height * view.k) / 2;
  look(isSmooth);
}
function zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
  const k = Math.min(4, Math.max(0.004, view.k * factor));
  view.x = x - (x - view.x) * k / view.k;
  view.y = y - (y - view.y) * k / view.k;
  view.k = k;
  look(false);
}
/** Moves the view so that the nodes of the current step can be seen. */
function follow(isSmooth = true) {
  const now = steps[at], seen = [boxes[boxOf[now.node]]];
  if (now.is === "contribution") seen.push(boxes[boxOf[now.from]]);
  const { clientWidth: w, clientHeight: h } = svg, margin = Math.min(40, w / 10);
  const spans = [["x", "w", w], ["y", "h", h]].map(([x, size, room]) => {
    const span = list => [Math.min(...list.map(b => view.k * (b[x] - b[size] / 2))), Math.max(...list.map(b => view.k * (b[x] + b[size] / 2)))];
    const both = span(seen), [low, high] = both[1] - both[0] > room - 2 * margin ? span([seen[0]]) : both;
    const isSeen = low + view[x] >= margin && high + view[x] <= room - margin;
    if (isSeen) return view[x];
    // No further than the ends of the graph; the legend stands below.
    const length = view.k * (x === "x" ? extent.width : extent.height), end = x === "x" ? room : room - 28;
    return length < end ? (end - length) / 2 : Math.min(8, Math.max(end - length - 8, room / 2 - (low + high) / 2));
  });
  if (spans[0] !== view.x || spans[1] !== view.y) { [view.x, view.y] = spans; look(isSmooth); }
}
/** All of it where its text can be read, else a part that can be read. */
function startView() {
  fit(false);
  if (view.k < 0.6) { zoom(0.8 / view.k); view.x = view.y = 1e6; follow(false); }
}

let drag = null;
svg.addEventListener("pointerdown", event => { drag = { x: event.clientX, y: event.clientY, moved: 0, id: event.pointerId }; });
svg.addEventListener("pointermove", event => {
  if (!drag) return;
  const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
  drag.moved += Math.abs(dx) + Math.abs(dy);
  if (drag.moved < 4) return;
  svg.setPointerCapture(drag.id);
  [drag.x, drag.y] = [event.clientX, event.clientY];
  view.x += dx; view.y += dy;
  look(false);
});
for (const end of ["pointercancel", "pointerup"]) svg.addEventListener(end, () => { const was = drag; setTimeout(() => { if (drag === was) drag = null; }); });
svg.addEventListener("click", event => {
  if (drag && drag.moved >= 4) return;
  const box = event.target.closest("[data-box]");
  if (!box) { pin(null); return; }
  const { group, nodes } = boxes[Number(box.dataset.box)];
  if (group !== null) open(group); else pin(nodes[0]);
});
svg.addEventListener("wheel", event => {
  event.preventDefault();
  const { left, top } = svg.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - left, event.clientY - top);
}, { passive: false });

/** Draws anew after layers were opened or closed. */
function rebuild() { build(); redraw(true); startView(); panes(); }
function open(group) { closed.delete(group); rebuild(); }
function close(group) { closed.add(group); rebuild(); }
