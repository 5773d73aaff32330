// The functions of the table of derivatives on numbers, and formulas computed with them.

const decided = (is, a, b) => Number.isNaN(a) || Number.isNaN(b) ? NaN : is ? 1 : 0;
const masked = (a, b) => a === 0 || b === 0 ? 0 : a * b;
const sigmoid = x => { const e = Math.exp(-Math.abs(x)); return (x < 0 ? e : 1) / (1 + e); };
const softplus = x => (Number.isNaN(x) ? NaN : Math.max(x, 0)) + Math.log1p(Math.exp(-Math.abs(x)));
const step = x => x > 0 ? 1 : x <= 0 ? 0 : NaN;
const even = x => { const r = Math.round(x); return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r; };

// erf by its series of positive terms, erfc by its continued fraction where the series would cancel.
const erfSeries = x => {
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) sum += term *= 2 * x * x / (2 * n + 1);
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
};
const erfcFraction = x => {
  let tail = x;
  for (let n = 240; n > 0; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
};
const erfc = x => x < 1.5 ? (x < -6 ? 2 : 1 - erfSeries(x)) : x > 28 ? 0 : Number.isNaN(x) ? x : erfcFraction(x);
const normal_cdf = x => 0.5 * erfc(-Math.SQRT1_2 * x);
const erf = x => x === 0 || Number.isNaN(x) ? x : Math.abs(x) < 1.5 ? erfSeries(x) : x > 0 ? 1 - erfc(x) : erfc(-x) - 1;
const elu = (x, alpha) => x > 0 ? x : Math.expm1(x) * alpha;
const power = (a, b) => a === 1 || b === 0 ? 1 : a === -1 && !Number.isFinite(b) && !Number.isNaN(b) ? 1 : Math.pow(a, b);

// Operands come first, then the fixed numbers.
const F = {
  neg: x => -x, add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b,
  add_lit: (x, c) => x + c, sub_lit: (x, c) => x - c, rsub_lit: (x, c) => c - x, mul_lit: (x, c) => c * x, div_lit: (x, c) => x / c,
  rdiv_lit: (x, c) => c / x, masked_mul: masked, abs: Math.abs, sign: x => x > 0 ? 1 : x < 0 ? -1 : x * 0, step, square: x => x * x,
  recip: x => 1 / x, sqrt: Math.sqrt, rsqrt: x => 1 / Math.sqrt(x), powi: power, powf: power, pow: power,
  exp: Math.exp, exp2: x => Math.pow(2, x), expm1: Math.expm1, ln: Math.log, log2: Math.log2, log10: Math.log10, ln_1p: Math.log1p,
  sin: Math.sin, cos: Math.cos, tan: Math.tan, asin: Math.asin, acos: Math.acos, atan: Math.atan, atan2: Math.atan2,
  sinh: Math.sinh, cosh: Math.cosh, tanh: Math.tanh, asinh: Math.asinh, acosh: Math.acosh, atanh: Math.atanh, hypot: Math.hypot,
  logaddexp: (a, b) => a === b ? a + Math.LN2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))),
  xlogy: (a, b) => a === 0 && !Number.isNaN(b) ? 0 : a * Math.log(b),
  sigmoid, softplus, log_sigmoid: x => -softplus(-x), softsign: x => Math.abs(x) === Infinity ? Math.sign(x) : x / (1 + Math.abs(x)),
  erf, erfc, normal_cdf, normal_pdf: x => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI),
  relu: x => x <= 0 ? 0 : x, leaky_relu: (x, slope) => x > 0 || Number.isNaN(x) ? x : masked(x, slope), elu,
  selu: x => 1.0507009873554805 * elu(x, 1.6732632423543772), gelu: x => masked(x, normal_cdf(x)),
  gelu_tanh: x => masked(x, sigmoid(Math.sqrt(8 / Math.PI) * (x * (1 + 0.044715 * (x * x))))),
  silu: x => masked(x, sigmoid(x)), mish: x => masked(x, Math.tanh(softplus(x))),
  clamp: (x, low, high) => x < low ? low : x > high ? high : x, hardtanh: (x, low, high) => x < low ? low : x > high ? high : x,
  floor: Math.floor, ceil: Math.ceil, trunc: Math.trunc, round: even, max: Math.max, min: Math.min,
  lerp: (a, b, w) => w < 0.5 ? a + w * (b - a) : b - (b - a) * (1 - w),
  gt: (a, b) => decided(a > b, a, b), ge: (a, b) => decided(a >= b, a, b), lt: (a, b) => decided(a < b, a, b),
  le: (a, b) => decided(a <= b, a, b), eq: (a, b) => decided(a === b, a, b), ne: (a, b) => decided(a !== b, a, b),
  logical_not: x => decided(x === 0, x, x), logical_and: (a, b) => decided(a !== 0 && b !== 0, a, b),
  logical_or: (a, b) => decided(a !== 0 || b !== 0, a, b), logical_xor: (a, b) => decided((a !== 0) !== (b !== 0), a, b),
  select: (c, a, b) => Number.isNaN(c) ? NaN : c !== 0 ? a : b, where_: (a, c, b) => Number.isNaN(c) ? NaN : c !== 0 ? a : b,
  masked_fill: (x, mask, v) => Number.isNaN(mask) ? NaN : mask !== 0 ? v : x,
};
// Of a single number, these are that number.
for (const name of ["sum", "mean", "prod", "reshape", "broadcast", "broadcast_to", "detach"]) F[name] = x => x;

/** The value of a formula; `undefined` where it has a name or a function that is not known. */
function evaluate(parts, of) {
  const values = [];
  for (const part of parts) {
    let v;
    if ("number" in part) v = real(part.number);
    else if ("name" in part) v = of(part.name);
    else {
      const { function: name, operands, parameters = [] } = part.call;
      const x = operands.map(k => values[k]);
      if (Object.hasOwn(F, name) && !x.includes(undefined)) v = F[name](...x, ...parameters);
    }
    values.push(v);
  }
  return values[values.length - 1];
}

/** A number of the data, where those that are not finite are texts. */
function real(v) {
  return typeof v === "number" ? v : v === "inf" ? Infinity : v === "-inf" ? -Infinity : NaN;
}
