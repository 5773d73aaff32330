// The panes beside the graph: the step in formulas and numbers, the node, the list of steps, the inputs.

const words = data.words;
let pinned = null;
const shownNode = () => pinned ?? steps[at].node;

/** A name in a formula; a click shows its node. */
const nameHtml = (id, text) => `<i class="name" data-node="${id}">${escaped(text)}</i>`;
const named = name => {
  if (names.has(name)) return [nameHtml(names.get(name), name), ATOM];
  return gradientNames.has(name) ? [gradientHtml(gradientNames.get(name)), ATOM] : [escaped(name), ATOM];
};
const gradientHtml = id => `<i class="name gradient" data-node="${id}">${escaped(trace.nodes[id].gradient_name)}</i>`;
/** A name as its number, or with its shape where it is an array. */
const numbered = name => {
  const id = names.get(name), g = id === undefined ? gradientNames.get(name) : undefined;
  const array = id !== undefined ? trace.nodes[id].value : g !== undefined ? trace.nodes[g].gradient : null, v = item(array);
  if (!array) return [escaped(name), ATOM];
  if (v === undefined) return [`${named(name)[0]}<sub>${shapeText(array.shape)}</sub>`, ATOM];
  return [`<b class="${id !== undefined ? "value" : "gradient"}">${digits(v)}</b>`, v < 0 ? SIGN : ATOM];
};
const bare = parts => parts.length === 1;
const bracketed = v => v < 0 ? `(${digits(v)})` : digits(v);
const fraction = (y, x) => `<span class="fraction"><span>∂${nameHtml(y, trace.nodes[y].name)}</span><span>∂${nameHtml(x, trace.nodes[x].name)}</span></span>`;
const row = (left, right) => `<tr><td>${left}</td><td>${right}</td></tr>`;
const equations = rows => `<table class="equations">${rows.join("")}</table>`;
const factor = (kind, name, value, caption) =>
  `<div class="factor ${kind}"><span class="of">${name}</span><output>${value}</output><small>${caption}</small></div>`;
const between = sign => `<span class="sign">${sign}</span>`;

/** What is said about a step; numbers that a change of the inputs would make wrong are left out. */
const NUMBERS = ["choice", "entry", "not_finite", "cap", "count"];
/** Text with names in backquotes. */
const prose = text => escaped(text).replace(/`([^`]*)`/g, "<code>$1</code>");
const remark = note => `<li class="${note.topic}">${prose(note.text)}.${note.formula ? ` <span class="formula">${escaped(note.formula)}</span>` : ""}</li>`;
function remarks(s, left = []) {
  const notes = words[s].notes.filter(note => !left.includes(note.topic) && !(isEdited && NUMBERS.includes(note.topic)));
  if (!notes.length) return "";
  return `<ul class="remarks">${notes.map(remark).join("")}</ul>`;
}

function forwardPane(s, hides) {
  const id = steps[s].node, node = trace.nodes[id], name = nameHtml(id, node.name), index = hides ? hides.index : -1;
  const value = shown(node.value, "value", index);
  const isArray = item(node.value) === undefined;
  if (!node.formula) return isArray ? [equations([row(name, `<sub>${shapeText(node.value.shape)}</sub>`)]), value] : [equations([row(name, `= ${value}`)])];
  const rows = [row(name, `= ${written(node.formula, named)}`)];
  if (!bare(node.formula)) rows.push(row("", `= ${written(node.formula, numbered)}`));
  if (!isArray) rows.push(row("", `= ${value}`));
  return isArray ? [equations(rows), `<div class="product arrays">${factor("result known", name, value, W.value)}</div>`] : [equations(rows)];
}

function backwardPane(s, hides) {
  const step = steps[s], visit = trace.visits[step.visit], edge = edgeOf(step), [from, into] = [step.from, step.node];
  if (!edge.contribution) return ["", ""];
  const name = trace.nodes[into].gradient_name, isNumber = item(edge.contribution) !== undefined, isSumHidden = hides && edge.nth > 1;
  const upstream = visit.upstream.length === 1 ? visit.upstream[0][1] : null;
  const own = hides && !isSumHidden ? hides.index : -1;
  let top, html = "";
  if (edge.local_formula && isNumber && item(edge.local) !== undefined && upstream) {
    const g = item(upstream), local = item(edge.local);
    top = equations([row(gradientHtml(into), `+= ${gradientHtml(from)} · ${fraction(from, into)}`),
      row(fraction(from, into), `= ${[written(edge.local_formula, named), ...(bare(edge.local_formula) ? [] : [written(edge.local_formula, numbered)]),
        `<b>${digits(local)}</b>`].filter((text, k, all) => k === 0 || text.replace(/<\/?b[^>]*>/g, "") !== all[k - 1]).join(" = ")}`)]);
    html += `<div class="product">${factor("gradient", gradientHtml(from), digits(g), W.upstream)}${between("×")}` +
      `${factor("local", fraction(from, into), bracketed(local), W.local)}${between("=")}` +
      `${factor("gradient result", `+= ${escaped(name)}`, own === 0 ? "?" : digits(item(edge.contribution)), W.contribution)}</div>`;
  } else {
    const shape = shapeText(edge.contribution.shape);
    const rows = [];
    if (edge.local_formula) {
      rows.push(row(gradientHtml(into), `+= ${gradientHtml(from)} ⊙ ${fraction(from, into)}`));
      rows.push(row(fraction(from, into), `= ${written(edge.local_formula, named)}${edge.local ? ` <sub>${shapeText(edge.local.shape)}</sub>` : ""}`));
    } else if (edge.rule) {
      rows.push(row(gradientHtml(into), `+= ${written(edge.rule, named)}`));
      if (!bare(edge.rule)) rows.push(row(shape ? `<sub>${shape}</sub>` : "", `= ${written(edge.rule, numbered)}`));
    }
    top = equations(rows);
    const arrays = [], constant = edge.local_formula && bare(edge.local_formula) && "number" in edge.local_formula[0];
    if (upstream) arrays.push(factor("gradient", gradientHtml(from), shown(upstream, "gradient"), W.upstream));
    if (edge.local && !constant) arrays.push(between("⊙"), factor("local", fraction(from, into), shown(edge.local, ""), W.local));
    if (arrays.length) arrays.push(between(edge.local && !constant ? "=" : "→"));
    arrays.push(factor("gradient result", `+= ${escaped(name)}`, shown(edge.contribution, "gradient", own), W.contribution));
    html += `<div class="product arrays">${arrays.join("")}</div>`;
  }
  const isDone = edge.nth === edge.of, count = W.came(edge.nth, edge.of);
  let sum = "";
  if (edge.nth > 1 && isNumber) {
    const now = item(edge.sum), old = item(edgeOf(steps[arrivals[into][edge.nth - 2]]).sum);
    sum = `${gradientHtml(into)} = ${digits(old)} + ${bracketed(item(edge.contribution))} = <b class="gradient">${isSumHidden ? "?" : digits(now)}</b> · `;
  }
  const dots = edge.of > 1 && edge.of <= 24 ? `<span class="dots" aria-hidden="true">${"●".repeat(edge.nth)}${"○".repeat(edge.of - edge.nth)}</span> ` : "";
  html += `<p class="sum ${isDone ? "done" : ""}">${dots}${sum}${count}</p>`;
  if (edge.nth > 1 && !isNumber) html += `<div class="product arrays">${factor("gradient", gradientHtml(into), shown(edge.sum, "gradient", isSumHidden ? hides.index : -1), W.total)}</div>`;
  return [top, html];
}

/** The step in formulas, numbers and words. */
function nowPane() {
  const step = steps[at], hides = hiddenNow();
  const phase = step.is === "forward" ? W.forward : W.backward;
  let body;
  if (step.is === "forward") body = forwardPane(at, hides);
  else if (step.is === "seed") body = [equations([row(gradientHtml(root), `= ${fraction(root, root)} = <b class="gradient">1</b>`)])];
  else body = backwardPane(at, hides);
  // What the page shows itself, and what would give the answer away.
  const left = ["count", "shapes", "entry", ...(hides ? ["not_finite"] : [])];
  const entry = hides || isEdited ? "" : words[at].notes.filter(note => note.topic === "entry").map(remark).join("");
  const said = verdict && verdict.at === at && !hides ? `<p class="verdict ${verdict.isRight ? "right" : ""}">${verdict.text} <small>${W.score(score.right, score.asked)}</small></p>` : "";
  $("now").innerHTML = `<div class="top"><h2>${escaped(words[at].title)}</h2><p class="phase">${W.phase(phase, at + 1, steps.length)}${isEdited ? ` · <em>${W.edited}</em>` : ""}</p></div>` +
    `${hides ? quizPane(hides) : said}<div class="split">${body[0]}${remarks(at, left)}</div>${body[1] || ""}${entry ? `<ul class="remarks">${entry}</ul>` : ""}`;
  $("now").className = step.is;
}

/** All about a node: what it is, its value, and every contribution to its gradient. */
function cardPane() {
  const id = shownNode(), node = trace.nodes[id], hides = hiddenNow(), g = gradientAt(id, at);
  const hiddenHere = kind => hides && hides.node === id && hides.of === kind ? hides.index : -1;
  const rows = [];
  const line = (name, value) => {
    const wide = value.includes('class="array"') ? ' class="wide"' : "";
    rows.push(`<dt${wide}>${name}</dt><dd${wide}>${value}</dd>`);
  };
  const list = ids => ids.map(x => nameHtml(x, trace.nodes[x].name)).join(", ");
  if (node.formula) line(W.op, `${escaped(node.op)}: ${written(node.formula, named)}`);
  line(W.shape, shapeText(node.value.shape) || W.number);
  line(W.value, id <= at ? shown(node.value, "value", hiddenHere("value")) : W.notYet);
  if (node.needs_gradient) line(W.gradient, g.array ? shown(g.array, "gradient", hiddenHere("gradient")) + (g.isComplete ? "" : ` <small>${W.pending(g.n, g.of)}</small>`) : W.notYet);
  else line(W.gradient, W.noGradient);
  if (arrivals[id].length) {
    const told = array => item(array) !== undefined ? digits(item(array)) : shapeText(array.shape);
    const one = s => {
      const edge = edgeOf(steps[s]), isThere = s <= at, isHidden = hides && s === at && hides.of === "gradient" && edge.nth === 1;
      return `<tr class="${s === at ? "present" : isThere ? "" : "future"}"><td><a href="#step=${s + 1}">${s + 1}</a></td><td>${W.from} ${nameHtml(steps[s].from, trace.nodes[steps[s].from].name)}` +
        `</td><td class="gradient">${isHidden ? "?" : isThere ? told(edge.contribution) : W.nothing}</td></tr>`;
    };
    const total = g.isComplete ? `<tr class="total"><td></td><td>${W.total}</td><td class="gradient">${hiddenHere("gradient") >= 0 ? "?" : told(g.array)}</td></tr>` : "";
    const few = arrivals[id].slice(0, 40), more = arrivals[id].length - few.length;
    rows.push(`<dt class="wide">${W.contributions}</dt><dd class="wide"><table class="contributions">${few.map(one).join("")}${more ? `<tr><td colspan="3">… ${more}</td></tr>` : ""}${total}</table></dd>`);
  }
  if (node.inputs.length) line(W.inputs, list(node.inputs));
  if (users[id].length) line(W.uses, list([...new Set(users[id].map(([user]) => user))].slice(0, 30)) + (users[id].length > 30 ? " …" : ""));
  if (node.doc) line(W.doc, prose(node.doc));
  if (node.is_recomputed) line("", W.recomputed);
  if (node.is_hooked) line("", W.hooked);
  if (node.location) line(W.source, `<code>${escaped(node.location)}</code>`);
  const group = groupOf[id];
  if (groups.has(group)) line(W.layer, `${escaped(group)} <button data-group="${escaped(group)}">${closed.has(group) ? W.expand : W.collapse("")}</button>`);
  $("card").innerHTML = `<h2>${nameHtml(id, node.name)} <small>${W.kinds[node.kind]}</small></h2><dl>${rows.join("")}</dl>`;
}

/** The node that the card shows is marked in the graph. */
function select(id, mark) { mark(boxes[boxOf[id]].element, "selected"); }
function pin(id) {
  pinned = id === pinned ? null : id;
  redraw(false);
  cardPane();
}

// The list of steps, of which only those in sight are there.
const ROW = 28;
function stepText(s) {
  const step = steps[s];
  if (step.is === "forward") {
    const node = original.nodes[step.node];
    return `<i>${escaped(node.name)}</i>${node.formula ? ` = ${escaped(cut(plainFormula(node), 30))}` : ""}`;
  }
  return escaped(words[s].formula || `${original.nodes[step.node].gradient_name} += …`);
}
function resultOf(s) {
  const step = steps[s];
  const array = step.is === "forward" ? trace.nodes[step.node].value : step.is === "seed" ? scalar(1) : edgeOf(step).contribution;
  return item(array) !== undefined ? digits(item(array)) : array ? shapeText(array.shape) : "0";
}
let rowsAre = null;
/** Writes the rows in sight, unless they stand there already. */
function rows() {
  const list = $("list"), hides = hiddenNow(), focused = document.activeElement?.dataset.step;
  const low = Math.max(0, Math.floor(list.scrollTop / ROW / 10) * 10 - 10), high = Math.min(steps.length, low + 40 + Math.ceil(list.clientHeight / ROW));
  const are = [low, high, at, !!hides, trace];
  if (rowsAre && are.every((v, k) => v === rowsAre[k])) return;
  rowsAre = are;
  let html = `<li class="all" style="height:${steps.length * ROW}px" aria-hidden="true"></li>`;
  for (let s = low; s < high; s++) {
    const result = s > at ? "" : s === at && hides ? "?" : resultOf(s), kind = steps[s].is === "forward" ? "f" : "b";
    html += `<li style="top:${s * ROW}px" aria-posinset="${s + 1}" aria-setsize="${steps.length}"><button data-step="${s}" class="${kind}${s > at ? " future" : ""}"` +
      `${s === at ? ' aria-current="step"' : ""}><span class="n">${s + 1}</span><span class="t">${stepText(s)}</span><span class="v">${result}</span></button></li>`;
  }
  list.innerHTML = html;
  if (focused) list.querySelector(`[data-step="${focused}"]`)?.focus({ preventScroll: true });
}
function listPane() {
  const list = $("list"), y = at * ROW - list.scrollTop;
  if (y < ROW || y > list.clientHeight - 2 * ROW) list.scrollTop = at * ROW - list.clientHeight / 2;
  rows();
}
$("list").addEventListener("scroll", () => requestAnimationFrame(rows), { passive: true });

// The inputs, where they can be changed.
function buildLive() {
  if (!canEdit) {
    if (isScalar) { $("live").innerHTML = `<summary>${W.live}</summary>${W.frozen}`; $("live").hidden = false; }
    return;
  }
  const leaves = original.nodes.map((node, id) => [node, id]).filter(([node]) => !node.formula);
  $("live").innerHTML = `<summary>${W.live}</summary><div class="inputs">${leaves.map(([node, id]) =>
    `<label><i>${escaped(node.name)}</i><input type="number" step="any" data-input="${id}" value="${item(node.value)}"></label>`).join("")}</div><p><small>${W.liveHint}</small> <button id="reset" disabled>${W.reset}</button></p>`;
  $("live").open = leaves.length <= 6;
  $("live").hidden = false;
  $("live").addEventListener("input", event => { if (event.target.dataset.input) edited(); });
  $("reset").addEventListener("click", () => {
    $("live").querySelectorAll("input").forEach(input => { input.value = item(original.nodes[input.dataset.input].value); input.setCustomValidity(""); });
    edited();
  });
}
function edited() {
  const inputs = inputsOf();
  let isBad = false;
  $("live").querySelectorAll("input").forEach(input => {
    const v = input.valueAsNumber, isWrong = Number.isNaN(v);
    input.setCustomValidity(isWrong ? W.liveBad : "");
    input.classList.toggle("wrong", isWrong);
    isBad ||= isWrong;
    inputs[input.dataset.input] = v;
  });
  if (isBad) return;
  isEdited = inputs.some((v, id) => v !== undefined && v !== item(original.nodes[id].value));
  trace = isEdited ? again(inputs) : original;
  $("reset").disabled = !isEdited;
  refresh();
}
