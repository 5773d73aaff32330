// The quiz: the number of a step is hidden, and an answer is judged.

let quizOn = false;
const answered = new Set(), score = { right: 0, asked: 0 };
let verdict = null;

const biggest = array => array.elements.reduce((best, v, k) => Math.abs(v) > Math.abs(array.elements[best]) ? k : best, 0);
const placeOf = (array, k) => {
  const at = [];
  for (let axis = array.shape.length - 1; axis >= 0; axis--) { at.unshift(k % array.shape[axis]); k = Math.floor(k / array.shape[axis]); }
  return at;
};
const indexOf = (array, at) => at.reduce((k, i, axis) => k * array.shape[axis] + i, 0);

/** What a step asks for: which number is hidden, what it is called, and what wrong answers would mean. */
function questionOf(s) {
  const now = steps[s];
  const numbers = array => array && array.elements && array.elements.length;
  if (now.is === "forward") {
    const node = trace.nodes[now.node];
    if (!node.formula || !numbers(node.value)) return null;
    const k = biggest(node.value), name = node.name + (node.value.shape.length ? `[${placeOf(node.value, k)}]` : "");
    return { of: "value", node: now.node, index: k, name, answer: node.value.elements[k], parts: {} };
  }
  if (now.is === "seed") return null;
  const edge = edgeOf(now), node = trace.nodes[now.node];
  if (!numbers(edge.contribution)) return null;
  const k = edge.entry ? indexOf(edge.contribution, edge.entry.position) : biggest(edge.contribution);
  const own = edge.contribution.elements[k], isSum = edge.nth > 1 && numbers(edge.sum);
  const name = node.gradient_name + (edge.contribution.shape.length ? `[${placeOf(edge.contribution, k)}]` : "");
  const upstream = trace.visits[now.visit].upstream[0]?.[1];
  const term = edge.entry && edge.entry.terms.length === 1 ? edge.entry.terms[0] : null;
  const parts = { local: item(edge.local) ?? (term && term.local), upstream: item(upstream) ?? (term && term.upstream) };
  if (isSum) Object.assign(parts, { one: own, rest: edge.sum.elements[k] - own, nth: edge.nth });
  return { of: "gradient", node: now.node, index: k, name, answer: isSum ? edge.sum.elements[k] : own, parts };
}
/** The question of the current step as long as it has no answer. */
function hiddenNow() {
  return quizOn && !answered.has(at) ? questionOf(at) : null;
}

/** A number that was typed: a decimal, a fraction, or one with a power of ten. */
function typed(text) {
  const clean = text.trim().replace(/[−–]/g, "-").replace(/\s+/g, "").replace(/^(-?\d*),(\d+)$/, "$1.$2");
  const one = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, sides = clean.split("/");
  if (sides.length > 2 || !sides.every(side => one.test(side))) return NaN;
  return sides.length === 2 ? Number(sides[0]) / Number(sides[1]) : Number(clean);
}
/** Whether the digits that were typed are the number, rounded. */
function isRounded(text, v) {
  const found = /^[+-]?(\d*)\.?(\d*)$/.exec(text.trim().replace(/[−–]/g, "-").replace(",", "."));
  if (!found || (found[1] + found[2]).replace(/^0+/, "").length < 2) return false;
  return Math.abs(typed(text) - v) <= 0.5 * 10 ** -found[2].length * (1 + 1e-9);
}

const sizes = [...new Set(original.nodes.flatMap(node => [...node.value.shape, node.value.shape.reduce((a, b) => a * b, 1)]))].filter(n => n > 2).slice(0, 50);

/** What an answer is: right, or in which way wrong. */
function judge(text, question) {
  const given = typed(text), { answer, parts } = question;
  if (Number.isNaN(given)) return { isRight: false, text: W.unread };
  const same = (a, b) => a !== undefined && a !== null && (a === b || Math.abs(a - b) <= 0.01 * Math.abs(b));
  if (same(given, answer) || isRounded(text, answer)) return { isRight: true, text: W.right(digits(answer)) };
  const w = W.wrong, said = text => ({ isRight: false, text });
  if (same(-given, answer)) return said(w.sign);
  if (parts.one !== undefined && same(given, parts.one)) return said(w.one(1, parts.nth));
  if (parts.one !== undefined && same(given, parts.rest)) return said(w.one(parts.nth - 1, parts.nth));
  if (same(given, parts.local)) return said(w.local);
  if (same(given, parts.upstream)) return said(w.upstream);
  if (parts.local != null && parts.upstream != null && same(given, parts.local + parts.upstream)) return said(w.added);
  if (same(given, 2 * answer)) return said(w.double);
  if (same(2 * given, answer)) return said(w.half);
  for (const m of sizes) {
    if (same(given, m * answer)) return said(w.batch(m));
    if (same(given * m, answer)) return said(w.unbatch(m));
  }
  for (const k of [-3, -2, -1, 1, 2, 3]) if (same(given * 10 ** k, answer)) return said(w.power);
  return said(w.other);
}

function quizPane(question) {
  return `<form class="quiz"><label>${W.question(`<i>${escaped(question.name)}</i>`)} <input id="answer" autocomplete="off" inputmode="text" size="12" aria-label="${W.askLabel}"></label>` +
    `<button>${W.ask}</button> <button type="button" id="reveal">${W.reveal}</button>` +
    `<p id="verdict" role="status">${verdict && verdict.at === at ? verdict.text : ""}</p><small>${W.tolerance}</small></form>`;
}
function answer(text) {
  const question = hiddenNow();
  if (!question) return;
  const found = judge(text, question);
  if (found.isRight) {
    if (!verdict || verdict.at !== at || !verdict.wasWrong) score.right++;
    score.asked++;
    answered.add(at);
  }
  verdict = { at, text: found.text, wasWrong: !found.isRight || (verdict && verdict.at === at && verdict.wasWrong), isRight: found.isRight };
  if (found.isRight) refresh(); else $("verdict").textContent = found.text;
}
function reveal() {
  const question = hiddenNow();
  if (!question) return;
  score.asked++;
  answered.add(at);
  verdict = { at, text: W.revealed(digits(question.answer)), isRight: false };
  refresh();
}
