// One trajectory as a conversation: what the agent thought, asked, was shown, kept, wrote and changed, with all samples
// of every step, and the state that the model saw, rendered anew from the steps before it. Its elements are made by `h`
// and `said` of browser.js, so that nothing a model or the web wrote can become markup.
"use strict";

// ── one trajectory as a conversation ────────────────────────────────────────────────────────────────────────────────

function conversation(i, walk, parting) {
  const states = statesOf(index.question[i], walk);
  const { usage, verdict, before } = walk;
  const tokens = (usage.prompt_tokens + usage.completion_tokens).toLocaleString("en");
  const facts = [`iteration ${iterationOf(i)}`, stageName(i), index.id[i], index.kind[i],
    walk.hops ? `${walk.hops} hops` : "", `${usage.searches} searches`, `${usage.calls} calls`, `${tokens} tokens`];
  return h("div.walk",
    h("p.facts", chip(index.outcome[i]), changeChip(i),
      said("span.soft", facts.filter(Boolean).join(" · "))),
    walk.cut ? h("p.note", `Long texts are cut here; they are whole in ${index.stage[i]}.`) : null,
    h("ol.steps", walk.steps.map((step, n) => stepView(step, walk, states[n], n === parting))),
    walk.fault ? h("p.note", said("span", `Ended by a fault of the ${walk.fault.whose}: ${walk.fault.message}`)) : null,
    h("section.final", h("h4", "Final answer"), said("blockquote", walk.answer || "(no answer)"),
      walk.golds.length ? h("p", "Gold: ", said("strong", walk.golds.join(" / "))) : null,
      verdict ? h("p", chip(verdict.verdict), " ", said("span.soft", verdict.reason)) : null,
      verdict && walk.draft && before.verdict !== verdict.verdict
        ? h("p", "Before the self-checks: ", chip(before.verdict), " ", said("span.soft", before.reason)) : null));
}

const TITLES = {
  decide: "Decide", summarise: "Read the results", answer: "Answer",
  relevance: "Check: does it answer the question?", grounding: "Check: do the links say so?",
};

// The first step that two walks do not share; past the end of both where they are the same.
function firstDifference(one, other) {
  const words = (walk) => walk.steps.map((step) => JSON.stringify([step.kind, step.hits, step.action]));
  const [a, b] = [words(one), words(other)];
  const n = a.findIndex((text, i) => text !== b[i]);
  return n < 0 ? a.length : n;
}

function stepView(step, walk, state, parts) {
  const body = { Search: asks, Terminate: stops, LinkSelection: reads, Answer: answers, CheckAnswer: checks,
    ReviseAnswer: checks }[step.action?.name];
  return h(`li.step.${step.kind}`,
    h("h4", TITLES[step.kind], parts ? chipOf("warm", "they part here") : null),
    step.action ? body(step.action, step, state) : h("p.note", step.forced
      ? "No searches remain: the agent had to stop here." : "No sample could be used."),
    step.action ? null : hitList(step, []),
    step.candidates.length ? candidatesView(step) : null,
    fold("What the model was shown", () => shownView(step, state, walk)));
}

const thought = (text) => (text ? said("p.thought", text) : null);
const remarks = (lines) => (lines.length ? h("ul.remarks", lines.map((line) => said("li", line))) : null);

function asks(action) {
  return [thought(action.thoughts), h("p.query", h("span.soft", "searches for "), said("q", action.query))];
}

function stops(action) {
  return [thought(action.thoughts), h("p", "Stops searching.")];
}

function reads(action, step) {
  const kept = action.selected_link_ids;
  return [hitList(step, kept), remarks(action.comments), thought(action.thoughts),
    kept.length ? said("blockquote", action.grounded_summarization) : h("p", "Nothing is selected.")];
}

function hitList(step, kept) {
  if (step.kind !== "summarise") return null;
  if (!step.hits.length) return h("p.soft", "The search found nothing.");
  return h("ul.hits", step.hits.map((hit, n) => {
    const chosen = kept.includes(step.first + n);
    return h(chosen ? "li.kept" : "li",
      h("p", h("span.soft", `[${step.first + n}] `), said("strong", hit.title),
        chosen ? h("span.chip.good", "selected") : null),
      said("p", hit.snippet), said("p.soft.source", hit.source));
  }));
}

function answers(action) {
  return [thought(action.thoughts), said("blockquote", action.answer)];
}

function checks(action, step, state) {
  const passed = action.name === "CheckAnswer" && action.passed;
  const verdict = passed ? chipOf("good", "passed") : chipOf("warm", action.name === "CheckAnswer" ? "failed" : "revised");
  const revised = action.name === "ReviseAnswer" ? action.revised_answer : null;
  return [h("p", verdict, passed ? " the answer stands" : ""), remarks(action.comments),
    revised === null ? null : !state.applied ? h("p.soft", "It searched again instead of revising.")
      : revised === state.answer ? h("p.soft", "The revision is the same text.") : difference(state.answer, revised)];
}

const chipOf = (meaning, text) => h(`span.chip.${meaning}`, text);

// What a revision changed, word by word (the longest common subsequence); long texts are shown one after the other.
function difference(before, after) {
  const [a, b] = [visible(before).split(/(?<=\s)/), visible(after).split(/(?<=\s)/)];
  if (a.length * b.length > 250000) return [h("blockquote", h("del", a.join(""))), h("blockquote", h("ins", b.join("")))];
  const same = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      same[i][j] = a[i].trim() === b[j].trim() ? same[i + 1][j + 1] + 1 : Math.max(same[i + 1][j], same[i][j + 1]);
    }
  }
  const runs = []; // neighbours of one kind as one element
  const add = (kind, word) => (runs.at(-1)?.kind === kind ? runs.at(-1).words.push(word) : runs.push({ kind, words: [word] }));
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && a[i].trim() === b[j].trim()) { add("span", b[j++]); i++; }
    else if (j === b.length || (i < a.length && same[i + 1][j] >= same[i][j + 1])) add("del", a[i++]);
    else add("ins", b[j++]);
  }
  const quote = h("blockquote", runs.map(({ kind, words }) => [h(kind, words.join("").trim()), " "]));
  quote.dir = "auto";
  return quote;
}

// ── candidates ──────────────────────────────────────────────────────────────────────────────────────────────────────

const perplexityOf = (c) => {
  const [logprob, tokens] = c.action_tokens ? [c.action_logprob, c.action_tokens] : [c.logprob, c.tokens];
  return logprob === null || !tokens ? null : Math.exp(Math.min(-logprob / tokens, 700));
};

function candidatesView(step) {
  const groups = grouped(step);
  const all = step.samples === step.candidates.length;
  const label = !all ? `1 of ${step.samples} samples kept` : step.samples === 1 ? "1 sample"
    : groups.length === 1 ? `${step.samples} samples, all the same` : `${step.samples} samples, ${groups.length} different`;
  return fold(label, () => [h("ol.candidates", groups.map((group) => candidateView(group, step, groups.length === 1))), rankingView(step)]);
}

// Equal texts together, the likeliest first, then those without a perplexity.
function grouped(step) {
  const groups = new Map();
  step.candidates.forEach((candidate, i) => {
    if (!groups.has(candidate.text)) groups.set(candidate.text, { candidate, at: [], perplexity: perplexityOf(candidate) });
    groups.get(candidate.text).at.push(i);
  });
  const order = (group) => (group.candidate.problem ? Infinity : group.perplexity ?? 1e308);
  return [...groups.values()].sort((a, b) => order(a) - order(b));
}

function candidateView({ candidate, at, perplexity }, step, alone) {
  const ranking = step.ranking;
  const usable = step.candidates.filter((c) => !c.problem).map(perplexityOf).filter((p) => p !== null);
  const place = usable.filter((p) => p < perplexity).length + 1;
  const given = ranking ? ranking.order.findIndex((i) => at.includes(i)) + 1 : 0;
  const facts = [`sample ${at.map((i) => i + 1).join(", ")}`,
    perplexity === null ? "no perplexity" : `perplexity ${perplexity.toFixed(3)}`,
    perplexity !== null && !candidate.problem && !alone ? `rank ${place}` : "",
    given ? `reward model's rank ${given}` : "", `${candidate.tokens} tokens`,
    candidate.finish === "stop" ? "" : candidate.finish];
  return h("li",
    h("p", said("span.soft", facts.filter(Boolean).join(" · ")),
      at.includes(step.chosen) ? chipOf("plain", "moved on") : null,
      ranking && at.includes(ranking.best) ? chipOf("good", "training target") : null,
      candidate.problem ? chipOf("bad", "unusable") : null),
    candidate.problem ? said("p.soft", candidate.problem) : null,
    said("pre", candidate.text));
}

function rankingView(step) {
  const ranking = step.ranking;
  if (!ranking) return null;
  const words = { ranked: "chose", fallback: "gave no usable reply, so this stands:", errored: "could not be asked; owed:" };
  return h("div.ranking",
    h("p", said("span", `${ranking.selector.replace("_", " ")} ${words[ranking.status]} sample ${ranking.best + 1}`)),
    ranking.reply ? [h("p.soft", "Its words (it saw the samples shuffled, so its numbers are others):"), said("pre", ranking.reply)] : null,
    ranking.good_reply ? [h("p.soft", `Good enough to learn from? ${ranking.good === null ? "unreadable" : ranking.good ? "yes" : "no"}`),
      said("pre", ranking.good_reply)] : null);
}

// ── states, rendered anew as rest_react/prompting.py does ───────────────────────────────────────────────────────────

const CONTROL = "<(?=[|\\uff5c]|/?s>|start_of_turn>|end_of_turn>|/?think>|[eb]os>|</?SYS>)|\\[(?=END\\]|/?INST\\])";
const STEP_NAMES = {
  decide: "decision", summarise: "summary", answer: "answer", relevance: "relevance check", grounding: "grounding check",
};

function quoted(text) {
  const left = new RegExp(`[\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]|${CONTROL}`, "giu");
  return JSON.stringify(text).replace(left, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const item = (hit, id) => `ResultItem(link_id=${id}, link_text=${quoted(hit.title)}, snippet=${quoted(hit.snippet)})`;

// For each step: its state, the answer it was about, and whether its revision was applied.
function statesOf(question, walk) {
  const asked = `ORIGINAL_QUESTION = ${quoted(question.replace(new RegExp(CONTROL, "giu"), "$& "))}\n`;
  const past = [];
  let [remaining, answer] = [walk.searches, ""];
  return walk.steps.map((step, n) => {
    const { action, hits, first, kind } = step;
    let text = asked + (past.length ? `PAST_ACTIONS = [\n${past.map((line) => `    ${line},\n`).join("")}]\n` : "PAST_ACTIONS = []\n");
    if (kind === "decide") text += `REMAINING_SEARCHES = ${remaining}\n`;
    if (kind === "summarise") {
      const items = hits.map((hit, i) => `    ${item(hit, first + i)},\n`).join("");
      text += `CURRENT_SEARCH_RESULTS = SearchResult(links=${hits.length ? `[\n${items}]` : "[]"})\n`;
    }
    text += asked;
    const check = kind === "relevance" || kind === "grounding";
    if (check) text += `ANSWER = ${quoted(answer)}\n`;
    const state = { text: `${text}\n# step: ${STEP_NAMES[kind]}\n`, answer, applied: walk.steps[n + 1]?.kind !== "decide" };
    if (step.forced) past.push(`Terminate(thoughts=${quoted("No searches remain, so I answer with what I have.")})`);
    if (action?.name === "Search") {
      past.push(`Search(query=${quoted(action.query)}, thoughts=${quoted(action.thoughts)})`);
      remaining--;
    }
    if (action?.name === "Terminate") past.push(`Terminate(thoughts=${quoted(action.thoughts)})`);
    if (action?.name === "LinkSelection") past.push(selection(action, hits, first));
    if (action?.name === "Answer") {
      past.push(`Answer(thoughts=${quoted(action.thoughts)}, answer=${quoted(action.answer)})`);
      answer = action.answer;
    }
    if (action?.name === "ReviseAnswer" && state.applied) answer = action.revised_answer;
    return state;
  });
}

function selection(action, hits, first) {
  const ids = hits.map((_, i) => first + i).filter((id) => action.selected_link_ids.includes(id));
  const summary = ids.length ? action.grounded_summarization : "Nothing is selected.";
  return `SelectLink(selected_links=[${ids.map((id) => item(hits[id - first], id)).join(", ")}], ` +
    `grounded_summarization=${quoted(summary)}, thoughts=${quoted(action.thoughts)})`;
}

function shownView(step, state, walk) {
  if (checksum(state.text) === step.shown) return said("pre.state", state.text);
  return h("p.soft", walk.cut ? "A text in it was cut for this page; it is whole in the run's folder."
    : "Another version of the program wrote this state; it is in the run's folder.");
}

function checksum(text) { // CRC-32 of the text in UTF-8
  let crc = ~0;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
