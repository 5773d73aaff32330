// Numbers and formulas as text of the page.

const escaped = text => String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);

/** A number as short as it is, or with so many significant digits. */
function digits(v, most = 5) {
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v < 0 ? "−∞" : "∞";
  let text = Object.is(v, -0) ? "-0" : String(v);
  if (text.length > most + 3 || text.includes("e")) {
    const size = Math.abs(v);
    if (size >= 1e-3 && size < 1e5) {
      let decimals = 0;
      while (decimals < 8 && size * 10 ** decimals < 10 ** (most - 1) - 0.5) decimals++;
      text = v.toFixed(decimals);
      if (text.includes(".")) text = text.replace(/\.?0+$/, "");
    } else {
      text = v.toExponential(most - 1).replace(/\.?0*e\+?/, "e");
    }
  }
  return text.replace(/-/g, "−");
}

const shapeText = shape => shape.length ? `[${shape.join("×")}]` : "";

// How tightly the parts of a formula bind; an operand that binds less than its place demands gets brackets.
const [COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM] = [0, 1, 2, 3, 4, 5];
const SIGNS = { gt: "&gt;", ge: "≥", lt: "&lt;", le: "≤", eq: "=", ne: "≠" };

/** A formula as HTML with as few brackets as can be; `name` gives the HTML and the binding of a name. */
function written(parts, name) {
  const texts = [];
  parts.forEach(part => texts.push(writePart(parts, texts, part, name)));
  const [text] = texts[texts.length - 1];
  return text.length > 20000 ? "…" : text;
}

function writePart(parts, texts, part, name) {
  if ("name" in part) return name(part.name);
  if ("number" in part) { const v = real(part.number); return [digits(v), v < 0 ? SIGN : ATOM]; }
  const { function: f, operands, parameters = [], notation } = part.call;
  const at = (k, least) => {
    const [text, binding] = texts[operands[k]] || ["…", ATOM];
    return binding >= least ? text : `(${text})`;
  };
  const is = (k, c) => parts[operands[k]] && parts[operands[k]].number === c;
  if (notation) return filled(notation, at);
  const plain = digits(parameters[0] ?? NaN), parameter = plain.startsWith("−") ? `(${plain})` : plain;
  switch (f) {
    case "neg": return [`−${at(0, PRODUCT)}`, SIGN];
    case "add": return [`${at(0, SUM)} + ${at(1, PRODUCT)}`, SUM];
    case "sub": return [`${at(0, SUM)} − ${at(1, PRODUCT)}`, SUM];
    case "mul": case "masked_mul":
      if (is(0, 1)) return texts[operands[1]];
      if (is(1, 1)) return texts[operands[0]];
      if (texts[operands[0]][0] === texts[operands[1]][0]) return [`${at(0, ATOM)}²`, POWER];
      return [`${at(0, PRODUCT)}·${at(1, PRODUCT)}`, PRODUCT];
    case "div": return [`${at(0, PRODUCT)}/${at(1, POWER)}`, PRODUCT];
    case "add_lit": return [`${at(0, SUM)} + ${parameter}`, SUM];
    case "sub_lit": return [`${at(0, SUM)} − ${parameter}`, SUM];
    case "rsub_lit": return [`${plain} − ${at(0, PRODUCT)}`, SUM];
    case "mul_lit": return [`${plain}·${at(0, PRODUCT)}`, PRODUCT];
    case "div_lit": return [`${at(0, PRODUCT)}/${parameter}`, PRODUCT];
    case "rdiv_lit": return [`${plain}/${at(0, POWER)}`, PRODUCT];
    case "square": return [`${at(0, ATOM)}²`, POWER];
    case "recip": return [`1/${at(0, POWER)}`, PRODUCT];
    case "powi": case "powf": return [`${at(0, ATOM)}<sup>${plain}</sup>`, POWER];
    case "pow": return [`${at(0, ATOM)}<sup>${at(1, COMPARISON)}</sup>`, POWER];
    case "abs": return [`|${at(0, COMPARISON)}|`, ATOM];
    case "sqrt": return [`√${at(0, ATOM)}`, POWER];
    case "floor": return [`⌊${at(0, COMPARISON)}⌋`, ATOM];
    case "ceil": return [`⌈${at(0, COMPARISON)}⌉`, ATOM];
    case "step": return [`[${at(0, SUM)} &gt; 0]`, ATOM];
  }
  if (SIGNS[f]) return [`[${at(0, SUM)} ${SIGNS[f]} ${at(1, SUM)}]`, ATOM];
  const inside = [...operands.keys()].map(k => at(k, COMPARISON)).concat(parameters.map(digits));
  return [`${escaped(f)}(${inside.join(", ")})`, ATOM];
}

/** A notation such as `{0}·{1}ᵀ` with its operands. */
function filled(notation, at) {
  let text = "", depth = 0, binding = ATOM;
  for (const piece of notation.match(/\{\d+\}|[^]/gu)) {
    if (piece.length > 1 && piece.startsWith("{")) { text += at(Number(piece.slice(1, -1)), depth ? COMPARISON : ATOM); continue; }
    if ("([".includes(piece)) depth++;
    else if (")]".includes(piece)) depth = Math.max(0, depth - 1);
    else if (!depth && piece === "+") binding = SUM;
    else if (!depth && piece === "·") binding = Math.min(binding, PRODUCT);
    else if (!depth && piece === "ᵀ") binding = Math.min(binding, POWER);
    text += escaped(piece);
  }
  return [text, binding];
}
