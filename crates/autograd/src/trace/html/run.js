// The run that is shown: the trace, its steps, what is known after each of them, and the same run with other inputs.

const data = JSON.parse(document.getElementById("data").textContent);

/** An array that is a number; in the data, that number. */
const scalar = v => ({ shape: [], elements: [v], min: v, mean: v, max: v });
/** The numbers of an array of the data, NaN and infinities included. */
function restored(array) {
  if (array === undefined || array === null) return null;
  if (typeof array !== "object") return scalar(real(array));
  for (const key of ["min", "mean", "max"]) array[key] = real(array[key]);
  if (array.elements) array.elements = array.elements.map(real);
  return array;
}
const item = array => array && array.shape.length === 0 && array.elements ? array.elements[0] : undefined;

const original = data.trace;
for (const node of original.nodes) { node.value = restored(node.value); node.gradient = restored(node.gradient); }
for (const visit of original.visits) {
  visit.upstream.forEach(pair => { pair[1] = restored(pair[1]); });
  for (const edge of visit.edges) {
    for (const key of ["local", "contribution", "sum"]) edge[key] = restored(edge[key]);
    if (edge.entry) {
      for (const key of ["omitted_sum", "total"]) edge.entry[key] = real(edge.entry[key]);
      for (const term of edge.entry.terms) { term.upstream = real(term.upstream); term.local = real(term.local); }
    }
  }
}
let trace = original, isEdited = false;

const names = new Map(original.nodes.map((node, id) => [node.name, id]));
const gradientNames = new Map(original.nodes.map((node, id) => [node.gradient_name, id]));
const root = original.nodes.length - 1;
const users = original.nodes.map(() => []);
original.nodes.forEach((node, id) => node.inputs.forEach((x, k) => users[x].push([id, k])));

/** All steps in their order; those of the backward pass know what they give to whom. */
const steps = original.nodes.map((node, id) => ({ is: "forward", node: id }));
steps.push({ is: "seed", node: root });
/** By node: the steps that add to its gradient. */
const arrivals = original.nodes.map(() => []);
original.visits.forEach((visit, v) => visit.edges.forEach((edge, e) => {
  if (edge.contribution) arrivals[edge.into].push(steps.length);
  steps.push({ is: "contribution", visit: v, edge: e, node: edge.into, from: visit.node, input: edge.input, isFirst: e === 0 });
}));
const seedAt = root + 1;
const edgeOf = step => trace.visits[step.visit].edges[step.edge];

/** How many contributions have come to the gradient of a node after step `s`. */
const come = (id, s) => { let n = 0; while (n < arrivals[id].length && arrivals[id][n] <= s) n++; return n; };

/** What is known of a gradient after step `s`: the sum so far, and whether that is all. */
function gradientAt(id, s) {
  if (id === root && s >= seedAt) return { array: trace.nodes[id].gradient || scalar(1), n: 1, of: 1, isComplete: true };
  const of = arrivals[id].length, n = come(id, s);
  if (!n) return { array: null, n, of, isComplete: false };
  const isComplete = n === of;
  const sum = edgeOf(steps[arrivals[id][n - 1]]).sum;
  return { array: isComplete ? trace.nodes[id].gradient || sum : sum, n, of, isComplete };
}

/** The run with other inputs: the formulas of the trace, computed again; nothing where one of them cannot be. */
function again(inputs) {
  const value = [], gradient = original.nodes.map(() => undefined);
  const ofName = name => value[names.get(name)];
  for (const [id, node] of original.nodes.entries()) {
    const isLeaf = !node.formula;
    value.push(isLeaf ? inputs[id] : evaluate(node.formula, ofName));
    if (value[id] === undefined) return null;
  }
  gradient[root] = 1;
  const counts = original.nodes.map(() => 0), visits = [];
  for (const visit of original.visits) {
    const g = gradient[visit.node];
    if (visit.upstream.length !== 1 || g === undefined) return null;
    const edges = [];
    for (const edge of visit.edges) {
      let local, contribution;
      if (!edge.contribution) { edges.push(edge); continue; }
      if (edge.local_formula) {
        local = evaluate(edge.local_formula, ofName);
        if (local !== undefined) contribution = masked(g, local);
      } else if (edge.rule) {
        contribution = evaluate(edge.rule, name => name === original.nodes[visit.node].gradient_name ? g : ofName(name));
      }
      if (contribution === undefined) return null;
      const sum = counts[edge.into]++ ? gradient[edge.into] + contribution : contribution;
      gradient[edge.into] = sum;
      const choice = edge.choice && { passed: local === 0 ? 0 : 1, of: 1, ties: 0 };
      edges.push({ ...edge, local: local === undefined ? null : scalar(local), contribution: scalar(contribution), sum: scalar(sum), choice, entry: null });
    }
    visits.push({ ...visit, upstream: [[visit.node, scalar(g)]], edges });
  }
  const nodes = original.nodes.map((node, id) =>
    ({ ...node, value: scalar(value[id]), gradient: gradient[id] === undefined ? null : scalar(gradient[id]) }));
  return { ...original, nodes, visits };
}

/** Whether two numbers are the same but for rounding. */
const near = (a, b, tolerance) => Object.is(a, b) || a === b || Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));

const inputsOf = () => original.nodes.map(node => node.formula ? undefined : item(node.value));
const isScalar = original.nodes.every(node => node.value.shape.length === 0 && node.value.elements);
/** Inputs can be changed where the page computes the run that it was given. */
const canEdit = isScalar && !original.nodes.some(node => node.is_hooked) && (() => {
  const same = again(inputsOf()), tolerance = original.element === "f32" ? 1e-4 : 1e-9;
  const fits = (a, b) => a === undefined || b === undefined ? a === b : near(a, b, tolerance) || Math.abs(a - b) < tolerance;
  return !!same && same.nodes.every((node, id) => fits(item(node.value), item(original.nodes[id].value)) &&
    fits(item(node.gradient), item(original.nodes[id].gradient)));
})();
