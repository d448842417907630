"""Preferences: of each step that trains, the selected candidate and one that is worse, for trainers such as DPO.

    preferences(task, trajectories, rankings, examples, rules)  # Preference(completion="Search(...)", rejected="...")

The rejected candidate of a step is, in this order,

1. the last of the reward model's ranking;
2. the likeliest of those that may not train: they do not parse, have an empty element or violate a rule;
3. the likeliest of the others, which the selector did not choose; but after a failed ranking (`fallback`) none of them
   is known to be worse.

A candidate that parses is spelled as a training target is, so that the two never differ in their spelling alone.
Samples that were cut off at their token limit, and scripted slips, are not taken. A step without a rejected candidate
of another text gives no preference.
Not here: how candidates are ranked (improve, selection.reward_model).
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from rest_react.parsed_trajectories import CUT_OFF, SLIP, ParsedStep
from rest_react.records import Example, Preference, Ranking
from rest_react.stages.improve import Rules, steps_to_rank
from rest_react.storage.jsonl import read_lines
from rest_react.tasks.protocol import Task


def preferences(
    task: Task, trajectories: Path, rankings: Path, examples: Iterable[Example], rules: Rules
) -> Iterator[Preference]:
    """The examples, in their order, whose step has a worse candidate. The files are those that the examples came from,
    `rules` those of the Improve stage that wrote them."""
    ranked = read_lines(rankings, Ranking)
    steps = steps_to_rank(task, trajectories, rules, Counter())
    rejected = {
        id_: rejected_candidate(item.step, item.usable, ranking)
        for (id_, item), ranking in zip(steps, ranked, strict=True)
    }
    for example in examples:
        if worse := rejected[example.id]:
            yield Preference(**{field.name: getattr(example, field.name) for field in fields(Example)}, rejected=worse)


def rejected_candidate(parsed: ParsedStep, usable: Sequence[int], ranking: Ranking) -> str:
    """The text to be preferred less than the step's best candidate; empty where there is none. `usable` are the
    candidates that may train."""
    step, targets = parsed.step, [action.target for action in parsed.actions]
    best = targets[ranking.best].strip()
    if ranking.order:
        return next((targets[i] for i in reversed(ranking.order) if targets[i].strip() != best), "")
    may_train = {targets[i] for i in usable}
    texts = [target or candidate.text for target, candidate in zip(targets, step.candidates, strict=True)]
    losers = [
        i
        for i, candidate in enumerate(step.candidates)
        if texts[i].strip() not in ("", best) and candidate.finish not in (CUT_OFF, SLIP)
    ]
    worse = [i for i in losers if texts[i] not in may_train]
    if not worse and ranking.status != "fallback":
        worse = losers
    likeliest = min(worse, key=lambda i: step.candidates[i].perplexity or math.inf, default=None)
    return "" if likeliest is None else texts[likeliest]
