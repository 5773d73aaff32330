// Arrays as pictures and tables: blue for negative numbers, orange for positive ones, and nothing for 0.

/** An array as rows and columns: leading axes one below the other. */
function plane(array) {
  const columns = array.shape.length ? array.shape[array.shape.length - 1] : 1;
  return { columns, rows: columns ? array.elements.length / columns : 0 };
}
const largest = array => Math.max(Math.abs(array.min), Math.abs(array.max)) || 0;

/** The colour of a number among numbers up to `most`: the same strength for the same size, whatever the sign. */
function tint(v, most) {
  if (!Number.isFinite(v)) return [200, 0, 200, 1];
  const t = most > 0 && Number.isFinite(most) ? Math.min(1, Math.abs(v) / most) ** 0.7 : 0;
  return v < 0 ? [38, 110, 214, 0.9 * t] : [226, 116, 0, 0.9 * t];
}
const css = ([r, g, b, a]) => `rgb(${r} ${g} ${b} / ${a.toFixed(2)})`;

const MOST_CELLS = 4096;
const pictures = new WeakMap();
/** A heat map as an image, in which one cell may stand for several elements; `most` is the most cells of an edge. */
function picture(array, most) {
  const known = pictures.get(array);
  if (known && known.most === most) return known;
  const { rows, columns } = plane(array);
  const down = Math.max(1, Math.ceil(rows / most)), across = Math.max(1, Math.ceil(columns / most));
  const h = Math.ceil(rows / down), w = Math.ceil(columns / across), scale = largest(array);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d"), image = context.createImageData(w, h);
  for (let i = 0; i < h; i++) for (let j = 0; j < w; j++) {
    let v = 0;
    for (let r = i * down; r < Math.min(rows, (i + 1) * down); r++) {
      for (let c = j * across; c < Math.min(columns, (j + 1) * across); c++) {
        const u = array.elements[r * columns + c];
        if (!(Math.abs(u) <= Math.abs(v))) v = u;
      }
    }
    const [r, g, b, a] = tint(v, scale);
    image.data.set([r, g, b, Math.round(255 * a)], 4 * (i * w + j));
  }
  context.putImageData(image, 0, 0);
  const made = { url: canvas.toDataURL(), w, h, each: down * across, most };
  pictures.set(array, made);
  return made;
}

const summary = array => array.min === array.max ? W.all(digits(array.min)) : W.array(digits(array.min, 4), digits(array.mean, 4), digits(array.max, 4));

/** An array in a pane: a number, a table of numbers, a heat map, or extremes alone. */
function shown(array, kind, hiddenAt = -1) {
  if (!array) return W.nothing;
  if (array.shape.length === 0 && array.elements) return `<b class="${kind} number">${hiddenAt === 0 ? "?" : digits(array.elements[0])}</b>`;
  const n = array.shape.reduce((a, b) => a * b, 1), head = `<span class="shape">${shapeText(array.shape)}</span>`;
  if (!n) return `${head} ${W.empty}`;
  if (!array.elements) return `<div class="array">${head} <span class="${kind}">${summary(array)}</span><br><small>${W.left(n)}</small></div>`;
  const { rows, columns } = plane(array), most = largest(array);
  let body;
  if (rows <= 12 && columns <= 10) {
    const cell = k => `<td style="background:${css(tint(array.elements[k], most))}"${k === hiddenAt ? ' class="asked"' : ""}>` +
      `${k === hiddenAt ? "?" : digits(array.elements[k], 4)}</td>`;
    const row = (_, i) => `<tr>${Array.from({ length: columns }, (_, j) => cell(i * columns + j)).join("")}</tr>`;
    body = `<table class="heat ${kind}">${Array.from({ length: rows }, row).join("")}</table>`;
  } else {
    const map = picture(array, Math.floor(Math.sqrt(MOST_CELLS)));
    const each = Math.min(280 / map.w, 170 / map.h, 14);
    body = `<img class="heat" alt="" src="${map.url}" style="width:${each * map.w}px;height:${each * map.h}px">` +
      `<small>${W.scale(digits(most, 4))}${map.each > 1 ? ` · ${W.coarse(map.each)}` : ""}</small>`;
  }
  return `<div class="array">${head}<div class="scroll">${body}</div>${hiddenAt < 0 ? `<small>${summary(array)}</small>` : ""}</div>`;
}
