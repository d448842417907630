// Shows one trajectory as a conversation: thoughts, searches, results, answers, checks and revisions, with all samples of
// each step and the state that the model saw. The task decides what a step shows. Elements are created by `h` and `said`
// of browser.js, so text from models and the web cannot become markup.
"use strict";

// ── one trajectory as a conversation ────────────────────────────────────────────────────────────────────────────────

function conversation(i, trajectory, parting) {
  const states = statesOf(trajectory);
  const { usage, verdict, before } = trajectory;
  const tokens = (usage.prompt_tokens + usage.completion_tokens).toLocaleString("en");
  const facts = [`iteration ${iterationOf(i)}`, stageName(i), index.id[i], index.kind[i],
    trajectory.hops ? `${trajectory.hops} hops` : "", usage.searches ? counted(usage.searches, "search", "es") : "",
    counted(usage.calls, "call", "s"), `${tokens} tokens`];
  return h("div.trajectory",
    h("p.facts", chip(index.outcome[i]), changeChip(i),
      said("span.soft", facts.filter(Boolean).join(" · "))),
    trajectory.cut ? h("p.note", `Long texts are shortened here; the full texts are in ${index.stage[i]}.`) : null,
    h("ol.steps", trajectory.steps.map((step, n) => stepView(step, states[n], n === parting))),
    trajectory.fault ? h("p.note", said("span", `${trajectory.fault.whose === "model" ? "Model error" : "External error"}: ${trajectory.fault.message}`)) : null,
    h("section.final", h("h4", "Final answer"), said("blockquote", trajectory.answer || "(no answer)"),
      trajectory.golds.length ? h("p", "Gold: ", said("strong", trajectory.golds.join(" / "))) : null,
      verdict ? h("p", chip(verdict.verdict), " ", said("span.soft", verdict.reason)) : null,
      verdict && trajectory.draft && before.verdict !== verdict.verdict
        ? h("p", "Before the self-checks: ", chip(before.verdict), " ", said("span.soft", before.reason)) : null));
}

const counted = (n, noun, plural) => `${n} ${noun}${n === 1 ? "" : plural}`;

// The index of the first step that differs between two trajectories; the length if they are equal.
function firstDifference(one, other) {
  const words = (trajectory) => trajectory.steps.map((step) => JSON.stringify([step.kind, step.parts]));
  const [a, b] = [words(one), words(other)];
  const n = a.findIndex((text, i) => text !== b[i]);
  return n < 0 ? a.length : n;
}

function stepView(step, state, parts) {
  return h(`li.step.${step.kind}`,
    h("h4", step.title, parts ? chipOf("warm", "first difference") : null),
    step.parts.map(partView),
    step.candidates.length ? candidatesView(step) : null,
    fold("State shown to the model", () => said("pre.state", state)));
}

// One part of a step (rest_react/trajectories/step_view.py).
function partView(part) {
  switch (part.kind) {
    case "thoughts": return part.text ? said("p.thought", part.text) : null;
    case "line": return h("p.query", h("span.soft", `${part.label} `), said("q", part.text));
    case "note": return said("p.note", part.text);
    case "comments": return part.lines.length ? h("ul.remarks", part.lines.map((line) => said("li", line))) : null;
    case "quote": return said("blockquote", part.text);
    case "code": return said("pre.code", part.text);
    case "verdict": return h("p", chipOf(part.good ? "good" : "warm", part.text), part.label ? ` ${part.label}` : "");
    case "change": return difference(part.before, part.text);
    case "sources": return part.sources.length ? h("ul.hits", part.sources.map(sourceView)) : said("p.soft", part.text);
  }
}

function sourceView(source) {
  return h(source.selected ? "li.kept" : "li",
    h("p", h("span.soft", `[${source.number}] `), said("strong", source.title),
      source.selected ? h("span.chip.good", "selected") : null),
    said("p", source.text), said("p.soft.source", source.origin));
}

const chipOf = (meaning, text) => h(`span.chip.${meaning}`, text);

// The words that a revision changed (longest common subsequence); long texts are shown one after the other.
function difference(before, after) {
  const [a, b] = [visible(before).split(/(?<=\s)/), visible(after).split(/(?<=\s)/)];
  if (a.length * b.length > 250000) return [h("blockquote", h("del", a.join(""))), h("blockquote", h("ins", b.join("")))];
  const same = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      same[i][j] = a[i].trim() === b[j].trim() ? same[i + 1][j + 1] + 1 : Math.max(same[i + 1][j], same[i][j + 1]);
    }
  }
  const runs = []; // consecutive words of one kind become one element
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

// Groups equal texts, lowest perplexity first, then those without a perplexity.
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
      at.includes(step.chosen) ? chipOf("plain", "chosen in the rollout") : null,
      ranking && at.includes(ranking.best) ? chipOf("good", "training target") : null,
      candidate.problem ? chipOf("bad", "unusable") : null),
    candidate.problem ? said("p.soft", candidate.problem) : null,
    said("pre", candidate.text));
}

function rankingView(step) {
  const ranking = step.ranking;
  if (!ranking) return null;
  const words = { ranked: "chose", fallback: "gave no usable reply; fallback:", errored: "failed; the next run retries it; until then:" };
  return h("div.ranking",
    h("p", said("span", `${ranking.selector.replace("_", " ")} ${words[ranking.status]} sample ${ranking.best + 1}`)),
    ranking.reply ? [h("p.soft", "Its reply (it saw the samples in shuffled order, so its numbers differ):"), said("pre", ranking.reply)] : null,
    ranking.good_reply ? [h("p.soft", `Good enough to train on? ${ranking.good === null ? "no readable answer" : ranking.good ? "yes" : "no"}`),
      said("pre", ranking.good_reply)] : null);
}

// ── states ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// The state of each step: the lines shared with the previous state, and its own lines.
function statesOf(trajectory) {
  let lines = [""];
  return trajectory.steps.map(({ state }) => {
    lines = [...lines.slice(0, state.same), ...state.rest.split("\n")];
    return lines.join("\n");
  });
}
