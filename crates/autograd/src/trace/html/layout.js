// Where boxes stand: in columns from left to right, with few crossings (K. Sugiyama, S. Tagawa and M. Toda 1981).

const GAP = { x: 68, y: 16 };

/** Gives `x`, `y` (middles) to boxes with `w`, `h`, `key`, and points to edges between them; boxes come in the order of their keys. */
function arrange(boxes, edges) {
  // Edges against the order, which collapsed boxes may have, count the other way round.
  const links = edges.map(edge => edge.from < edge.to ? [edge.from, edge.to] : [edge.to, edge.from]);
  const into = boxes.map(() => []), out = boxes.map(() => []);
  links.forEach(([a, b]) => { into[b].push(a); out[a].push(b); });
  const column = boxes.map(() => 0);
  boxes.forEach((_, b) => { for (const a of into[b]) column[b] = Math.max(column[b], column[a] + 1); });
  // What is computed from nothing stands just before its first use.
  boxes.forEach((_, b) => { if (!into[b].length && out[b].length) column[b] = Math.min(...out[b].map(c => column[c])) - 1; });
  const lowest = Math.min(0, ...column);
  if (lowest) column.forEach((_, b) => { column[b] -= lowest; });

  const columns = Array.from({ length: 1 + Math.max(0, ...column) }, () => []);
  const places = boxes.map((box, b) => { columns[column[b]].push(b); return { h: box.h, left: [], right: [], y: 0, column: column[b] }; });
  // An edge past columns takes a place in each of them, unless that would be too many.
  const span = links.reduce((n, [a, b]) => n + Math.max(0, column[b] - column[a] - 1), 0);
  const longest = span > 6000 ? 3 : 40;
  const ways = links.map(([a, b]) => {
    const way = [a];
    if (column[b] - column[a] - 1 <= longest) {
      for (let c = column[a] + 1; c < column[b]; c++) {
        columns[c].push(places.length); way.push(places.length);
        places.push({ h: 10, left: [], right: [], y: 0, column: c });
      }
    }
    way.push(b);
    for (let k = 1; k < way.length; k++) { places[way[k - 1]].right.push(way[k]); places[way[k]].left.push(way[k - 1]); }
    return way;
  });

  const rank = new Float64Array(places.length);
  const number = list => list.forEach((p, k) => { rank[p] = k; });
  columns.forEach(number);
  const rounds = places.length > 3000 ? 4 : 12;
  for (let round = 0; round < rounds; round++) {
    const side = round % 2 ? "right" : "left", order = round % 2 ? [...columns].reverse() : columns;
    for (const list of order) {
      const mean = new Map(list.map(p => {
        const next = places[p][side];
        return [p, next.length ? next.reduce((sum, q) => sum + rank[q], 0) / next.length : rank[p]];
      }));
      list.sort((a, b) => mean.get(a) - mean.get(b) || rank[a] - rank[b]);
      number(list);
    }
  }

  // Heights: what neighbours draw to, as far as the order allows.
  for (const list of columns) {
    let y = 0;
    for (const p of list) { places[p].y = y + places[p].h / 2; y += places[p].h + GAP.y; }
    for (const p of list) places[p].y -= y / 2;
  }
  for (let round = 0; round < rounds * 2; round++) {
    const order = round % 2 ? [...columns].reverse() : columns;
    for (const list of order) {
      settle(list.map(p => {
        const next = round > 3 ? places[p].left.concat(places[p].right) : round % 2 ? places[p].right : places[p].left;
        return next.length ? next.reduce((sum, q) => sum + places[q].y, 0) / next.length : places[p].y;
      }), list.map(p => places[p].h), list.map(p => p < boxes.length ? 1 : 2)).forEach((y, k) => { places[list[k]].y = y; });
    }
  }

  const top = places.reduce((least, p) => Math.min(least, p.y - p.h / 2), Infinity);
  const bottom = places.reduce((most, p) => Math.max(most, p.y + p.h / 2), -Infinity);
  const middle = [], half = [];
  let x = 16;
  columns.forEach((list, c) => {
    const w = list.reduce((most, p) => p < boxes.length ? Math.max(most, boxes[p].w) : most, 0);
    const lines = list.reduce((n, p) => n + places[p].right.length, 0);
    middle[c] = x + w / 2; half[c] = w / 2;
    x += w + GAP.x + Math.min(60, 2 * lines);
  });
  boxes.forEach((box, b) => { box.x = middle[column[b]]; box.y = places[b].y - top + 16; });

  // Edges end on the left side of a box in the order of its inputs.
  const arriving = boxes.map(() => 0), port = boxes.map(() => 0);
  edges.forEach(edge => arriving[edge.to]++);
  edges.forEach((edge, k) => {
    const a = boxes[edge.from], b = boxes[edge.to], n = arriving[edge.to];
    const share = n < 2 ? 0 : (port[edge.to]++ / (n - 1) - 0.5) * Math.min(b.h - 20, 18 * (n - 1));
    const inner = ways[k].slice(1, -1).map(p => [middle[places[p].column], places[p].y - top + 16, half[places[p].column]]);
    if (edge.from > edge.to) inner.reverse();
    const points = [[a.x + a.w / 2, a.y]];
    for (const [px, py, w] of inner) points.push(...(edge.from > edge.to ? [[px + w, py], [px - w, py]] : [[px - w, py], [px + w, py]]));
    points.push([b.x - b.w / 2, b.y + share]);
    edge.points = points;
  });
  return { width: x, height: bottom - top + 32 };
}

/** Heights as near as can be to those wanted, in the same order and without overlap: blocks that touch move as one. */
function settle(wanted, h, weight) {
  const blocks = [];
  let offset = 0;
  wanted.forEach((y, k) => {
    if (k) offset += (h[k - 1] + h[k]) / 2 + (weight[k] > 1 && weight[k - 1] > 1 ? 2 : GAP.y);
    blocks.push({ sum: (y - offset) * weight[k], weight: weight[k], at: [k], offsets: [offset] });
    while (blocks.length > 1) {
      const last = blocks[blocks.length - 1], before = blocks[blocks.length - 2];
      if (before.sum / before.weight <= last.sum / last.weight) break;
      before.sum += last.sum; before.weight += last.weight;
      before.at.push(...last.at); before.offsets.push(...last.offsets);
      blocks.pop();
    }
  });
  const y = [];
  for (const block of blocks) block.at.forEach((k, i) => { y[k] = block.sum / block.weight + block.offsets[i]; });
  return y;
}

/** A line through points, straight past boxes and bent between columns. */
function curve(points) {
  let d = `M${points[0].map(Math.round)}`;
  for (let k = 1; k < points.length; k++) {
    const [x0, y0] = points[k - 1], [x, y] = points[k];
    const bend = Math.max(14, Math.abs(x - x0) / 2);
    d += k % 2 ? `C${[x0 + bend, y0, x - bend, y, x, y].map(v => v.toFixed(1))}` : `L${x.toFixed(1)},${y.toFixed(1)}`;
  }
  return d;
}
