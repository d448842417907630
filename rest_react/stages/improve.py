"""Improve: which sample of each step becomes its training target, and which steps train (paper section 3.5).

    await improve(grown / "trajectories.jsonl", folder.stage(1, "improve"), rules=Rules("perplexity"), seed=7, ...)

leaves rankings.jsonl, examples.jsonl and summary.json. Off-policy, as in the paper: the chosen sample replaces the
target of its own step alone; later states keep the sample that the rollout went on with. Labels cannot reach this
module: it reads trajectories, which have none.

A step trains if its trajectory finished, it was not forced, and at least one sample is whole, parses and has no empty
element. What trains is the action in its one spelling, comments kept (actions.canonical_text): no code fence, nothing
said around it. Samples of one spelling are one candidate.
With `keep="verified"` neither the sample nor the final answer of its trajectory may violate a rule
(tasks.search_qa.verifier); the selector `verified` prefers samples without violations.
A verdict that could not be had for an outside fault is `errored`, owed again on the next run, and filters nothing.
Not here: how a reward model is asked (judges.reward).
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

from rest_react.console import say
from rest_react.errors import ModelFault, OutsideFault, short_reason
from rest_react.metrics.costs import Price, bill
from rest_react.records import Completion, Example, Ranking, Step, Trajectory
from rest_react.remote.refusals import ACCEPTED, LOST
from rest_react.seeds import derive_seed
from rest_react.selection.reward_model import RewardModel
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary, reopen, write_summary
from rest_react.tasks.search_qa.actions import (
    Answer,
    CheckAnswer,
    LinkSelection,
    PastAction,
    ResultItem,
    ReviseAnswer,
    Search,
    SelectLink,
    Terminate,
    canonical_text,
    empty_elements,
)
from rest_react.tasks.search_qa.agent import CUT_OFF, NOTHING_SELECTED, actions_of, choose
from rest_react.tasks.search_qa.verifier import violations
from rest_react.text_safety import escape_control_tokens

Selector = Literal["reward_model", "verified", "perplexity", "majority", "random"]
EXAMPLES, RANKINGS = "examples.jsonl", "rankings.jsonl"
SLIP = "slip"
TOLD_FROM = 0.1
_REFUSED = "model fault: "


@dataclass(frozen=True, slots=True)
class Rules:
    """What Improve was told to do."""

    selector: Selector
    keep: Literal["all", "verified", "judged_good"] = "all"
    only_grounded: bool = False
    max_searches: int | None = None
    max_examples: int | None = None
    tolerated: float = 0.0


async def improve(
    trajectories: Path,
    stage: Path,
    *,
    rules: Rules,
    reward_model: RewardModel | None,
    seed: int,
    in_flight: int,
    prices: Mapping[str, Price],
    title: str = "improve",
) -> None:
    """Brings the stage to one ranking per trainable step and the examples they choose. A complete stage is left as
    it is. Raises StageIncomplete when more than `rules.tolerated` of the rankings are owed again."""
    if read_summary(stage) is not None:
        return
    started = time.monotonic()

    def items() -> Iterator[tuple[str, tuple[Step, tuple[int, ...]]]]:
        return ((id_, (step, usable)) for id_, step, usable in trainable_steps(trajectories, rules))

    async def rank(id_: str, item: tuple[Step, tuple[int, ...]]) -> Ranking:
        return await rank_step(id_, *item, rules, reward_model, derive_seed(seed, id_))

    await run_owed(_RECORDS, stage / RANKINGS, items, rank, in_flight=in_flight, title=title, tolerated=rules.tolerated)
    chosen = chosen_examples(trajectories, stage / RANKINGS, rules)
    written = replace_lines(stage / EXAMPLES, _drawn(chosen, rules.max_examples, seed))
    tally = count(trajectories, stage / RANKINGS, rules) | {"examples": written}
    cost = bill(prices, reward_model=(tally["prompt_tokens"], tally["completion_tokens"]))
    write_summary(stage, {**tally, **cost, "seconds": round(time.monotonic() - started, 1)})
    if note := fallback_note(tally):
        say(f"note: {title}: {note}")
    if tally["candidates_cut_off"] > TOLD_FROM * tally["candidates"]:
        say(
            f"note: {title}: {tally['candidates_cut_off']} of {tally['candidates']} samples were cut off at their "
            "token limit and do not train; raise agent.max_tokens"
        )


def _is_decided(ranking: Ranking) -> bool:
    """Whether there is no reason to ask again: neither an external fault nor a refusal."""
    replies = (ranking.reply, ranking.good_reply)
    return ranking.status != "errored" and not any(reply.startswith(_REFUSED) for reply in replies)


def reopen_refused(stage: Path) -> None:
    """Has the refused rankings of a complete Improve done again by the next command, unless a training used them."""
    used = any((stage.parent / "finetune").glob("*"))
    if (
        not used
        and read_summary(stage) is not None
        and not all(map(_is_decided, read_lines(stage / RANKINGS, Ranking)))
    ):
        reopen(stage)


def fallback_note(summary: Mapping[str, Any]) -> str:
    """A warning where more than a tenth of the steps with a choice were decided by no ranking."""
    fallback, choices = summary["fallback"], summary["steps_with_a_choice"]
    if fallback <= TOLD_FROM * choices:
        return ""
    reason = summary.get("fallback_reason") or "not recorded"
    return (
        f"the reward model decided {choices - fallback} of {choices} steps with a choice; for the other {fallback} the "
        f"rollout's own choice is the training target (fallback). Most frequent reason: {reason}"
    )


def _reward_model_answers(ranking: Ranking) -> Iterator[str | None]:
    """What the reward model said to each request for this ranking: for refusals_watched."""
    if ranking.status == "errored":
        yield LOST
    elif ranking.status == "fallback" or ranking.order:
        yield ranking.reply if ranking.reply.startswith(_REFUSED) else ACCEPTED
    if ranking.good_reply:
        yield ranking.good_reply if ranking.good_reply.startswith(_REFUSED) else ACCEPTED


_RECORDS = StageRecords(
    Ranking,
    noun="rankings",
    role="reward_model",
    keep=_is_decided,
    outside_error=lambda ranking: ranking.reply if ranking.status == "errored" else None,
    answers=_reward_model_answers,
)


def trainable_steps(trajectories: Path, rules: Rules) -> Iterator[tuple[str, Step, tuple[int, ...]]]:
    """Id, step and usable candidates of every step that may train, in (trajectory, step) order."""
    for trajectory in read_lines(trajectories, Trajectory):
        if trajectory.outcome != "finished" or not _wanted(trajectory, rules):
            continue
        for index, (step, usable) in enumerate(zip(trajectory.steps, _to_choose_from(trajectory, rules), strict=True)):
            if usable:
                yield f"{trajectory.id}.{index}", step, usable


def usable_candidates(step: Step) -> tuple[int, ...]:
    """Indexes of the candidates that may become a training target: whole, parsable, no element empty, no scripted slip,
    and of equal targets the first."""
    first_with: dict[str, int] = {}
    for index, (candidate, action) in enumerate(zip(step.candidates, actions_of(step), strict=True)):
        if action is not None and not empty_elements(action) and candidate.finish != SLIP:
            first_with.setdefault(canonical_text(action), index)
    return tuple(first_with.values())


def targets_of(step: Step) -> list[str]:
    """What each candidate would train, empty where it stands for no action."""
    return ["" if action is None else canonical_text(action) for action in actions_of(step)]


def _to_choose_from(trajectory: Trajectory, rules: Rules) -> list[tuple[int, ...]]:
    """The usable candidates of each step. The selector `verified` leaves those without violations if there are any;
    `keep="verified"` leaves these alone, and no candidate at all if the answer violates a rule."""
    every = [usable_candidates(step) for step in trajectory.steps]
    if "verified" not in (rules.keep, rules.selector):
        return every
    of_steps, of_answer = violations_of(trajectory)
    verified = [tuple(i for i in usable if found[i] == []) for usable, found in zip(every, of_steps, strict=True)]
    if rules.keep == "verified":
        return [()] * len(every) if of_answer else verified
    return [some or usable for some, usable in zip(verified, every, strict=True)]


def violations_of(trajectory: Trajectory) -> tuple[list[list[list[str] | None]], list[str]]:
    """The violations of each candidate of each step (None if it does not parse), and those of the final answer."""
    question, past, answer = escape_control_tokens(trajectory.question), list[PastAction](), ""
    found = []
    for step in trajectory.steps:
        shown = [ResultItem(step.first_link + i, hit.title, hit.snippet) for i, hit in enumerate(step.hits)]
        actions = actions_of(step)
        found.append([None if a is None else violations(a, question, past, shown, answer) for a in actions])
        match None if step.chosen is None else actions[step.chosen]:
            case LinkSelection(summary, thoughts, ids):
                selected = tuple(item for item in shown if item.link_id in ids)
                past.append(SelectLink(selected, summary if selected else NOTHING_SELECTED, thoughts))
            case Answer() as draft:
                past.append(draft)
                answer = draft.answer
            case ReviseAnswer(revised):
                answer = revised
            case Search() | Terminate() as action:
                past.append(action)
    return found, violations(Answer("", answer), question, past)


async def rank_step(
    id_: str, step: Step, usable: Sequence[int], rules: Rules, reward_model: RewardModel | None, seed: int
) -> Ranking:
    """The selector's choice among the usable candidates, and the reward model's yes or no on it."""
    ranking = Ranking(id_, step.kind, rules.selector, "ranked", _select(step, usable, rules.selector, seed))
    try:
        if rules.selector == "reward_model" and len(usable) > 1:
            assert reward_model is not None
            ranking = await _ranked(ranking, step, usable, reward_model, seed)
        if rules.keep == "judged_good":
            assert reward_model is not None
            ranking = await _judged(ranking, step, reward_model, derive_seed(seed, "good"))
    except OutsideFault as error:
        ranking = replace(ranking, status="errored", reply=f"outside fault: {error}")
    return ranking


async def _ranked(ranking: Ranking, step: Step, usable: Sequence[int], reward_model: RewardModel, seed: int) -> Ranking:
    targets = targets_of(step)
    try:
        opinion = await reward_model.rank(step.state, [targets[i] for i in usable], seed=seed)
    except ModelFault as error:
        return replace(ranking, status="fallback", reply=f"{_REFUSED}{error}")
    ranking = _charged(replace(ranking, reply=opinion.reply.text), opinion.reply)
    if not opinion.order:
        return replace(ranking, status="fallback")
    order = tuple(usable[place] for place in opinion.order)
    return replace(ranking, best=order[0], order=order)


async def _judged(ranking: Ranking, step: Step, reward_model: RewardModel, seed: int) -> Ranking:
    try:
        good, reply = await reward_model.is_good(step.state, targets_of(step)[ranking.best], seed=seed)
    except ModelFault as error:
        return replace(ranking, good_reply=f"{_REFUSED}{error}")
    return _charged(replace(ranking, good=good, good_reply=reply.text), reply)


def _charged(ranking: Ranking, reply: Completion) -> Ranking:
    spent = ranking.prompt_tokens + reply.prompt_tokens, ranking.completion_tokens + reply.tokens
    return replace(ranking, prompt_tokens=spent[0], completion_tokens=spent[1])


def chosen_examples(trajectories: Path, rankings: Path, rules: Rules) -> Iterator[Example]:
    """The training rows: each step's state and the target of its best candidate. What was judged bad is left out; what
    could not be judged stays."""
    ranked = read_lines(rankings, Ranking)
    for (id_, step, _), ranking in zip(trainable_steps(trajectories, rules), ranked, strict=True):
        if ranking.good is not False:
            trajectory_id, _, index = id_.rpartition(".")
            completion = targets_of(step)[ranking.best]
            yield Example(id_, trajectory_id, int(index), step.kind, step.state, completion, ranking.selector)


def _drawn(examples: Iterator[Example], n: int | None, seed: int) -> Iterator[Example]:
    """n of them at random, in their order; a larger n only adds to a smaller one's."""
    if n is None:
        yield from examples
        return
    found = list(examples)
    kept = {e.id for e in sorted(found, key=lambda example: derive_seed(seed, "drawn", example.id))[:n]}
    yield from (example for example in found if example.id in kept)


def _wanted(trajectory: Trajectory, rules: Rules) -> bool:
    """The trajectory filters, off by default as in the paper."""
    if rules.max_searches is not None and trajectory.usage.searches > rules.max_searches:
        return False
    if not rules.only_grounded:
        return True
    checks = [step for step in trajectory.steps if step.kind == "grounding" and step.chosen is not None]
    if not checks:
        return False
    last = checks[-1]
    action = actions_of(last)[last.chosen or 0]
    return isinstance(action, CheckAnswer) and action.passed


def _select(step: Step, usable: Sequence[int], selector: Selector, seed: int) -> int:
    """What a selector that asks nobody takes; for the reward model what stands if its reply cannot be used: the
    rollout's own choice, or the likeliest candidate where that one may not train."""
    if selector == "random":
        return Random(seed).choice(usable)
    targets = targets_of(step)
    first_with = {targets[i]: i for i in usable}
    if selector == "reward_model" and step.chosen is not None and targets[step.chosen] in first_with:
        return first_with[targets[step.chosen]]
    among = [i for i, target in enumerate(targets) if target in first_with and step.candidates[i].finish != SLIP]
    select: Literal["majority", "perplexity"] = "majority" if selector == "majority" else "perplexity"
    best = choose(step.candidates, actions_of(step), select, among=among)
    assert best is not None
    return first_with[targets[best]]


def _most_frequent_reason(fallbacks: Mapping[str, tuple[int, str]]) -> str:
    """An example of the reason that most rankings share, and how many do."""
    if not fallbacks:
        return ""
    times, example = max(fallbacks.values(), key=lambda found: found[0])
    return f"{example[:200]} ({times} times)"


def count(trajectories: Path, rankings: Path, rules: Rules) -> dict[str, Any]:
    """Counts of what was ranked, kept and dropped, and why (docs/metrics.md)."""
    tally: Counter[str] = Counter()
    fallbacks: dict[str, tuple[int, str]] = {}  # by reason, how many and an example
    for trajectory in read_lines(trajectories, Trajectory):
        for step in trajectory.steps:
            tally["candidates"] += len(step.candidates)
            tally["candidates_cut_off"] += sum(candidate.finish == CUT_OFF for candidate in step.candidates)
        if trajectory.outcome != "finished":
            tally["unfinished_trajectories"] += 1
        elif not _wanted(trajectory, rules):
            tally["filtered_trajectories"] += 1
        else:
            tally["steps"] += sum(not step.forced for step in trajectory.steps)
    ranked = read_lines(rankings, Ranking)
    for (_, step, usable), ranking in zip(trainable_steps(trajectories, rules), ranked, strict=True):
        tally["ranked_steps"] += 1
        tally["steps_with_a_choice"] += len(usable) > 1
        targets = targets_of(step)
        tally["targets_changed"] += step.chosen is None or targets[ranking.best] != targets[step.chosen]
        tally["targets_respelled"] += step.candidates[ranking.best].text != targets[ranking.best]
        tally["examples"] += ranking.good is not False
        tally[ranking.status] += 1
        if ranking.status == "fallback":
            refused = ranking.reply.startswith(_REFUSED)
            reason = short_reason(ranking.reply.removeprefix(_REFUSED)) if refused else ""
            example = ranking.reply if refused else f"no ranking in the reply {ranking.reply[:80]!r}"
            fallbacks[reason] = (fallbacks.get(reason, (0, ""))[0] + 1, example)
        tally["judged_bad"] += ranking.good is False
        tally["not_judged"] += rules.keep == "judged_good" and ranking.good is None
        tally.update(prompt_tokens=ranking.prompt_tokens, completion_tokens=ranking.completion_tokens)
    names = (
        "examples unfinished_trajectories filtered_trajectories candidates candidates_cut_off steps "
        "steps_with_a_choice targets_changed targets_respelled ranked fallback errored judged_bad not_judged "
        "prompt_tokens completion_tokens"
    )
    return {
        "selector": rules.selector,
        "dropped_steps": tally["steps"] - tally["ranked_steps"],
        **{name: tally[name] for name in names.split()},
        "fallback_reason": _most_frequent_reason(fallbacks),
    }
