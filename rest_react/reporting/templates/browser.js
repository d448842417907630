// The trajectory browser of report.html. The page contains an index (a short entry for each trajectory) and blocks (the
// full data of some trajectories), both as deflated JSON. The index is inflated at the start, a block when one of its
// trajectories is opened. The address names the open trajectories (#trajectory=...&with=...), so Back, Forward and links work.
//
// Text from models and the web becomes text nodes, never markup: all elements are created by `h`.
"use strict";

const AT_ONCE = 100; // entries of the list drawn at a time
const find = (id) => document.getElementById(id);

// h("p.soft.small", "text", element, ...): an element with classes and children; strings become text.
function h(spec, ...children) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Untrusted text without characters that hide or reorder text, with its own text direction.
function said(spec, text) {
  const element = h(spec, visible(text));
  element.dir = "auto";
  return element;
}

function visible(text) {
  return text.replace(/(?![\n\t])[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd"); // as text_safety.escaping.visible does
}

function fold(summary, make) { // content is created when it is first opened
  const details = h("details", h("summary", summary));
  details.addEventListener("toggle", () => details.childElementCount === 1 && details.append(...[make()].flat()));
  return details;
}

// ── data ────────────────────────────────────────────────────────────────────────────────────────────────────────────

let index = null; // columns
let keys = []; // "iter_1/world/eval-003.0" of each entry
let places = new Map(); // key -> entry
let haystack = []; // the searchable text of each entry, lower case
let changes = []; // how the answer changed since the first iteration: "right", "wrong" or ""
const opened = new Map(); // block -> trajectories, the last few

async function inflate(element) {
  const bytes = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

async function trajectoryAt(entry) {
  const block = Math.floor(entry / index.per_block);
  if (!opened.has(block)) {
    if (opened.size > 8) opened.delete(opened.keys().next().value);
    opened.set(block, await inflate(find(`block-${block}`)));
  }
  return opened.get(block)[entry % index.per_block];
}

async function load() {
  index = await inflate(find("index"));
  keys = index.id.map((id, i) => `${index.stage[i]}/${id}`);
  places = new Map(keys.map((key, i) => [key, i]));
  haystack = keys.map((key, i) =>
    [index.question[i], index.answer[i], index.outcome[i], index.fault[i], index.id[i]].join("\n").toLowerCase());
  const firsts = new Map(); // the first iteration is last in the index, so its values remain
  keys.forEach((key, i) => graded(i) && firsts.set(`${stageName(i)}/${index.id[i]}`, graded(i)));
  changes = keys.map((key, i) => {
    const first = firsts.get(`${stageName(i)}/${index.id[i]}`);
    return graded(i) && graded(i) !== first ? graded(i) : "";
  });
}

const iterationOf = (i) => Number(index.stage[i].split("/")[0].slice("iter_".length));
const stageName = (i) => index.stage[i].slice(index.stage[i].indexOf("/") + 1);
const questionOf = (i) => `${stageName(i)}/${index.id[i].slice(0, index.id[i].lastIndexOf("."))}`;
const graded = (i) => ({ correct: "right", incorrect: "wrong", failed: stageName(i) === "grow" ? "" : "wrong" })[index.outcome[i]] || "";

// ── filters and the list ────────────────────────────────────────────────────────────────────────────────────────────

const FILTERS = {
  iteration: (i) => String(iterationOf(i)),
  stage: stageName,
  outcome: (i) => index.outcome[i],
  kind: (i) => index.kind[i],
  fault: (i) => index.fault[i],
};
const CHANGES = {
  right: (i) => changes[i] === "right",
  wrong: (i) => changes[i] === "wrong",
  revised: (i) => index.revised[i],
  helped: (i) => index.before[i] === "incorrect" && index.outcome[i] === "correct",
  hurt: (i) => index.before[i] === "correct" && ["incorrect", "failed"].includes(index.outcome[i]),
};
let matches = [];
let drawn = 0;

function fillFilters() {
  for (const [name, value] of Object.entries(FILTERS)) {
    const counts = new Map();
    for (let i = 0; i < keys.length; i++) counts.set(value(i), (counts.get(value(i)) || 0) + 1);
    counts.delete("");
    const select = find(`filter-${name}`);
    for (const [text, count] of [...counts].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))) {
      const option = h("option", `${visible(text)} (${count.toLocaleString("en")})`);
      option.value = text;
      select.append(option);
    }
    select.closest("label").hidden = counts.size < 2 && name !== "fault" || counts.size === 0;
  }
}

function filter() {
  const words = find("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = Object.entries(FILTERS).map(([name, value]) => [value, find(`filter-${name}`).value]);
  const change = CHANGES[find("filter-change").value];
  matches = [];
  for (let i = 0; i < keys.length; i++) {
    const fits = wanted.every(([value, text]) => text === "" || value(i) === text);
    if (fits && (!change || change(i)) && words.every((word) => haystack[i].includes(word))) matches.push(i);
  }
  find("count").textContent = `${matches.length.toLocaleString("en")} of ${keys.length.toLocaleString("en")}`;
  find("list").replaceChildren();
  drawn = 0;
  drawMore();
}

function drawMore() {
  const next = matches.slice(drawn, drawn + AT_ONCE);
  find("list").append(...next.map((i, n) => h("li", entryButton(i, drawn + n === 0))));
  drawn += next.length;
  const left = matches.length - drawn;
  find("more").hidden = left === 0;
  find("more").textContent = `Show ${Math.min(left, AT_ONCE)} more`;
  mark();
}

function entryButton(i, first) {
  const button = h("button",
    h("span.where", chip(index.outcome[i]), changeChip(i),
      h("span.soft", `iteration ${iterationOf(i)} · ${visible(stageName(i))} · ${visible(index.id[i])}`)),
    said("span.asked", index.question[i].slice(0, 300)),
    said("span.answered", index.answer[i] || index.fault[i] || "(no answer)"));
  button.type = "button";
  button.tabIndex = first ? 0 : -1; // one tab stop for the list; arrow keys move inside it
  button.dataset.key = keys[i];
  button.addEventListener("click", () => go(keys[i]));
  return button;
}

function mark() { // marks the open trajectory in the list
  const { key } = address();
  for (const button of find("list").querySelectorAll("button")) {
    button.setAttribute("aria-current", String(button.dataset.key === key));
  }
}

const MEANING = {
  correct: "good", incorrect: "bad", failed: "bad", outage: "warm", unscored: "warm", finished: "plain",
};
const changeChip = (i) => (changes[i] ? h(`span.chip.${changes[i] === "right" ? "good" : "bad"}`, `became ${changes[i] === "right" ? "correct" : "incorrect"}`) : null);
const chip = (outcome) => h(`span.chip.${MEANING[outcome] || "plain"}`, outcome);

// ── the address ─────────────────────────────────────────────────────────────────────────────────────────────────────

function address() {
  const parts = new URLSearchParams(location.hash.slice(1));
  // Links to pages of earlier versions say "walk".
  return { key: parts.get("trajectory") ?? parts.get("walk"), beside: parts.get("with") };
}

function go(key, beside) {
  location.hash = new URLSearchParams({ trajectory: key, ...(beside ? { with: beside } : {}) }).toString();
}

function close() {
  const { key } = address();
  history.pushState(null, "", "#trajectories");
  show(true).then(() => {
    const buttons = [...find("list").querySelectorAll("button")];
    (buttons.find((button) => button.dataset.key === key) || buttons[0] || find("words")).focus();
  });
}

async function show(event) {
  const { key, beside } = address();
  const entry = places.get(key);
  const panes = find("panes");
  panes.classList.toggle("open", entry !== undefined);
  mark();
  if (entry === undefined) {
    if (!key) find("trajectory").replaceChildren(h("p.soft.empty", "Choose a trajectory to read it step by step."));
    return;
  }
  const entries = [entry, places.get(beside)].filter((i) => i !== undefined);
  const trajectories = await Promise.all(entries.map(trajectoryAt));
  const parting = trajectories.length > 1 ? firstDifference(...trajectories) : -1;
  if (address().key !== key || address().beside !== beside) return; // the user opened another one
  find("trajectory").replaceChildren(
    h("div.bar", closeButton(), comparison(entry, places.get(beside))),
    said("h3", heading(index.question[entry])),
    index.question[entry].length > HEADING ? said("blockquote.whole", index.question[entry]) : "", // null would be shown as text here
    h(entries.length > 1 ? "div.columns" : "div", entries.map((i, n) => conversation(i, trajectories[n], parting))));
  find("trajectory").focus({ preventScroll: true });
  find("trajectory").scrollTop = 0;
  const twoPanes = event && getComputedStyle(find("entries")).display !== "none";
  panes.scrollIntoView({ block: twoPanes ? "nearest" : "start" });
}

// A text as the heading: of a long one, which is quoted below, the beginning up to the last whole word.
const HEADING = 240;
const heading = (text) => (text.length > HEADING ? `${text.slice(0, HEADING / 2).replace(/\s+\S*$/, "")} …` : text);

function closeButton() {
  const button = h("button.quiet", "← Back to the list");
  button.type = "button";
  button.addEventListener("click", close);
  return button;
}

function comparison(entry, beside) {
  const others = keys.map((_, i) => i).filter((i) => i !== entry && questionOf(i) === questionOf(entry));
  if (!others.length) return null;
  const select = h("select", h("option", "nothing"), others.map((i) => {
    const option = h("option", `iteration ${iterationOf(i)}, ${visible(index.id[i])}: ${index.outcome[i]}`);
    option.value = keys[i];
    option.selected = i === beside;
    return option;
  }));
  select.firstChild.value = "";
  select.id = "beside";
  select.addEventListener("change", () => go(keys[entry], select.value));
  return h("label.inline", "Compare with: ", select);
}

// ── keys, and the beginning ─────────────────────────────────────────────────────────────────────────────────────────

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    find("words").focus();
  } else if (event.key === "Escape" && address().key) {
    close();
  } else if (["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key) && event.target.closest("#list")) {
    event.preventDefault();
    const buttons = [...find("list").querySelectorAll("button")];
    const at = buttons.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (buttons[to]) {
      event.target.tabIndex = -1;
      buttons[to].tabIndex = 0;
      buttons[to].focus();
    }
  }
}

async function start() {
  await load();
  fillFilters();
  filter();
  let pause = 0;
  find("filters").addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(filter, 60);
  });
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("more").addEventListener("click", drawMore);
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", show);
  window.addEventListener("popstate", show);
  find("browser").hidden = false;
  if (address().key) await show();
  document.documentElement.dataset.ready = "yes";
}

if (find("index")) start();
