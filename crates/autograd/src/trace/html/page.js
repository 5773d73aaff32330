// The controls, the keys, the address, and the start.

let at = 0, timer = null;

function panes() { nowPane(); cardPane(); }
/** Shows everything anew: after a change of inputs, an answer, or of the quiz. */
function refresh() { redraw(true); panes(); listPane(); say(); }

/** The step for a screen reader. */
function say() {
  const now = steps[at], hides = hiddenNow();
  const text = `${now.is === "forward" ? W.forward : W.backward} ${at + 1}: ${words[at].title}. `;
  const lines = [words[at].formula, hides ? `${hides.name} = ?` : resultOf(at), ...words[at].notes.filter(note => note.topic === "count").map(note => note.text)];
  $("spoken").textContent = text + lines.filter(Boolean).join(". ");
}

function go(s, isFromAddress) {
  at = Math.max(0, Math.min(steps.length - 1, s));
  pinned = isFromAddress ? pinned : null;
  redraw(false);
  follow();
  panes();
  listPane();
  say();
  $("slider").value = at + 1;
  $("slider").setAttribute("aria-valuetext", `${at + 1}: ${words[at].title}`);
  $("phase").textContent = `${at + 1} / ${steps.length}`;
  $("first").disabled = $("back").disabled = at === 0;
  $("step").disabled = $("last").disabled = at === steps.length - 1;
  if (!isFromAddress) write();
  attend();
}
/** The next answer can be typed at once, where there is a keyboard. */
function attend() {
  if ($("answer") && matchMedia("(pointer: fine)").matches) $("answer").focus({ preventScroll: true });
}
// Browsers allow only so many changes of the address.
let writing = null;
function write() {
  clearTimeout(writing);
  writing = setTimeout(() => { try { history.replaceState(null, "", `#step=${at + 1}`); } catch { /* an address that may not change */ } }, 120);
}
function addressed() {
  const found = /^#step=(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) - 1 : null;
}

const ICONS = { play: $("play").querySelector("path").getAttribute("d"), pause: "M3 3h4v10H3zM9 3h4v10H9z" };
function stop() {
  clearInterval(timer);
  timer = null;
  $("play").querySelector("path").setAttribute("d", ICONS.play);
  $("play").lastChild.textContent = W.play;
}
function play() {
  if (timer) { stop(); return; }
  if (at === steps.length - 1) go(0);
  const tick = () => {
    if (at === steps.length - 1 || hiddenNow()) { stop(); return; }
    go(at + 1);
  };
  timer = setInterval(tick, Number($("speed").value));
  $("play").querySelector("path").setAttribute("d", ICONS.pause);
  $("play").lastChild.textContent = W.pause;
}
function label(element, text) { element.setAttribute("aria-label", text); element.title = text; }

function setQuiz(isOn) {
  quizOn = isOn;
  stop();
  verdict = null;
  answered.clear();
  if (isOn) for (let s = 0; s < at; s++) answered.add(s);
  $("quiz").setAttribute("aria-pressed", isOn);
  refresh();
  if (isOn && !questionOf(at)) {
    let s = at;
    while (s < steps.length - 1 && !questionOf(s)) s++;
    go(s);
  }
  attend();
}

/** All steps as a list, for paper: the list that stands there for browsers without a program. */
function paper() {
  $("paper").innerHTML = (isEdited ? `<p>${W.paper}</p>` : "") + document.querySelector("noscript").textContent;
}
let isPrinting = false;
addEventListener("beforeprint", () => {
  isPrinting = true;
  paper();
  const height = Math.min(420, Math.max(120, extent.height * 660 / extent.width));
  svg.setAttribute("viewBox", `0 0 ${extent.width} ${extent.height}`);
  svg.style.height = `${height}px`;
  scene.style.transform = "none";
  svg.classList.remove("far");
  if (boxes.length <= MOST_PICTURES) fill(true);
});
addEventListener("afterprint", () => {
  isPrinting = false;
  svg.removeAttribute("viewBox"); svg.style.height = "";
  look(false);
});

const KEYS = { ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1), Home: () => go(0), End: () => go(steps.length - 1), " ": play,
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": () => fit(true), q: () => setQuiz(!quizOn) };
const PAN = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
document.addEventListener("keydown", event => {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select, textarea, input:not([type=range])") && !(target.id === "answer" && !target.value && key.startsWith("Arrow"))) return;
  if (key === " " && target.matches("button, a, summary")) return;
  if (event.shiftKey && PAN[key]) { view.x += PAN[key][0]; view.y += PAN[key][1]; look(true); event.preventDefault(); return; }
  if (!Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  if (key !== " ") stop();
  KEYS[key]();
});

document.addEventListener("click", event => {
  const { target } = event, name = target.closest("[data-node]"), step = target.closest("[data-step]"), group = target.closest("[data-group]");
  const link = target.closest("a[href^='#step=']");
  // In a frame without an address of its own such a link would lead away.
  if (link) { event.preventDefault(); stop(); go(Number(link.hash.slice(6)) - 1); }
  else if (name && !target.closest("svg")) pin(Number(name.dataset.node));
  else if (step) { stop(); go(Number(step.dataset.step)); }
  else if (group) (closed.has(group.dataset.group) ? open : close)(group.dataset.group);
  else if (target.id === "reveal") reveal();
});
document.addEventListener("submit", event => { event.preventDefault(); answer($("answer").value); });
addEventListener("hashchange", () => { const s = addressed(); if (s !== null) { stop(); go(s, true); } });
let room = 0;
new ResizeObserver(() => { if (isPrinting) return; if (room && Math.abs(svg.clientWidth - room) > 40) startView(); room = svg.clientWidth; }).observe(svg);

const handlers = { first: () => go(0), back: () => go(at - 1), step: () => go(at + 1), last: () => go(steps.length - 1) };
for (const [id, handler] of Object.entries(handlers)) { $(id).addEventListener("click", () => { stop(); handler(); }); label($(id), W[id]); }
for (const id of ["closer", "further"]) { $(id).addEventListener("click", () => zoom(id === "closer" ? 1.25 : 0.8)); label($(id), W[id]); }
$("play").addEventListener("click", play);
$("play").lastChild.textContent = W.play;
$("fit").addEventListener("click", () => fit(true));
$("fold").addEventListener("click", () => { for (const group of groups.keys()) closed.add(group); rebuild(); });
$("unfold").addEventListener("click", () => { closed.clear(); rebuild(); });
$("slider").max = steps.length;
$("slider").addEventListener("input", () => { stop(); go(Number($("slider").value) - 1); });
$("slider").setAttribute("aria-label", W.slider);
$("speed").innerHTML = W.speeds.map(([ms, text]) => `<option value="${ms}"${ms === 1000 ? " selected" : ""}>${text}</option>`).join("");
$("speed").addEventListener("change", () => { if (timer) { stop(); play(); } });
$("quiz").addEventListener("click", () => setQuiz(!quizOn));
$("print").addEventListener("click", () => print());
$("help").addEventListener("click", () => { $("keys").hidden = !$("keys").hidden; $("help").setAttribute("aria-expanded", !$("keys").hidden); });
$("keys").innerHTML = W.keys.map(([key, text]) => `<span><kbd>${key}</kbd> ${text}</span>`).join("");
$("theme").addEventListener("click", () => {
  const isDark = (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
});
document.querySelectorAll("[data-w]").forEach(element => { element.textContent = W[element.dataset.w]; });
document.querySelectorAll("[data-label]").forEach(element => element.setAttribute("aria-label", W[element.dataset.label]));
svg.setAttribute("aria-label", W.drawing);
$("about").textContent = W.title(size, steps.length, original.element);
$("legend").innerHTML = Object.entries(W.legend).map(([kind, text]) => `<li class="${kind}">${text}</li>`).join("");
if (closed.size) { $("notice").textContent = W.folded(size.toLocaleString("en"), MOST_NODES.toLocaleString("en")); $("notice").hidden = false; }

buildLive();
build();
at = Math.max(0, Math.min(steps.length - 1, addressed() ?? 0));
panes();
redraw(true);
startView();
go(at, true);
listPane();
window.explainer = { evaluate, judge, questionOf, steps, get at() { return at; }, get trace() { return trace; }, get boxes() { return boxes; }, go, again, canEdit };
