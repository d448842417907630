"""Preferences for trainers such as DPO: the selected candidate of each training step, and a worse one.

    preferences(task, trajectories, rankings, examples, rules)  # Preference(completion="Search(...)", rejected="...")

The rejected candidate of a step is the first of these that exists:

1. the last candidate in the reward model's ranking;
2. the candidate with the lowest perplexity that may train in no trajectory: it does not parse, has an empty element or
   violates a rule;
3. the candidate with the lowest perplexity that the selector did not choose; not after a failed ranking (`fallback` or
   `errored`), because then no candidate is known to be worse.

A parsable candidate is written in its canonical form, so that the two completions never differ in spelling only.
Samples that were cut off at the token limit, and errors injected by the scripted policy, are not used. A step without a
different rejected candidate gives no preference.
Not here: the ranking of candidates (stages.improve.improve, selection.reward_model).
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from rest_react.records import Example, Preference, Ranking
from rest_react.stages.improve.trainable_steps import Rules, left_out, steps_to_rank
from rest_react.storage.jsonl import read_lines
from rest_react.tasks.protocol import Task
from rest_react.trajectories.parsed import CUT_OFF, SLIP, ParsedStep


def preferences(
    task: Task, trajectories: Path, rankings: Path, examples: Iterable[Example], rules: Rules
) -> Iterator[Preference]:
    """A preference for each example whose step has a worse candidate, in order. The files are those from which
    Improve made the examples, with the same `rules`."""
    ranked = read_lines(rankings, Ranking)
    steps = steps_to_rank(task, trajectories, rules, Counter(), left_out(rankings.parent, trajectories, rules))
    rejected = {
        id_: rejected_candidate(item.step, item.passing, ranking)
        for (id_, item), ranking in zip(steps, ranked, strict=True)
    }
    for example in examples:
        if worse := rejected[example.id]:
            yield Preference(**{field.name: getattr(example, field.name) for field in fields(Example)}, rejected=worse)


def rejected_candidate(parsed: ParsedStep, passing: Sequence[int], ranking: Ranking) -> str:
    """The text of the rejected candidate; empty if there is none. `passing` are the candidates that parse, have no
    empty element and violate no rule."""
    step, targets = parsed.step, [action.target for action in parsed.actions]
    best = targets[ranking.best].strip()
    if ranking.order:
        return next((targets[i] for i in reversed(ranking.order) if targets[i].strip() != best), "")
    allowed = {targets[i] for i in passing}
    texts = [target or candidate.text for target, candidate in zip(targets, step.candidates, strict=True)]
    losers = [
        i
        for i, candidate in enumerate(step.candidates)
        if texts[i].strip() not in ("", best) and candidate.finish not in (CUT_OFF, SLIP)
    ]
    worse = [i for i in losers if texts[i] not in allowed]
    if not worse and ranking.status == "ranked":
        worse = losers
    likeliest = min(worse, key=lambda i: step.candidates[i].perplexity or math.inf, default=None)
    return "" if likeliest is None else texts[likeliest]
