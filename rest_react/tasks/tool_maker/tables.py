"""The tables of this task in the report: who answers how well and at what cost.

    tool_tables(evaluations, prices)[0].rows[1]
    # ("word sorting", "user alone", "12.0% [4.1, 24.9]", "25", "-", "1,240", "$0.0004", ...)

Each way to answer is an evaluation of its own, the benchmark of that name, else the first that asks so. The majority
answer is the best constant answer, chosen with the gold answers: what cannot beat it has learnt nothing about the
question. A tool pays off after making / (cost of a question for the maker alone - cost with the tool) questions; a
rejected one never does, and in the row of all families it counts for neither cost.
Not here: how well the dispatcher chooses tools (choice_table); accuracies over iterations, which every task has
(reporting).
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rest_react.metrics.intervals import clustered_interval, paired_difference
from rest_react.metrics.number_formats import change, percent
from rest_react.metrics.prices import Price
from rest_react.records import Result, Trajectory
from rest_react.tasks.protocol import Evaluated, ResultTable
from rest_react.tasks.rollout import tokens_of_roles, with_policy
from rest_react.tasks.tool_maker.choice_table import UNKNOWN, choice_tables, with_interval
from rest_react.tasks.tool_maker.families import FAMILIES
from rest_react.tasks.tool_maker.items import ACCEPTED, how_asked

_WAYS = {
    "user_alone": "user alone", "user_with_tool": "user with tool", "maker_alone": "maker alone",
    "maker_with_tool": "maker with tool",
}  # fmt: skip
_ALONE = {"user_with_tool": "user_alone", "maker_with_tool": "maker_alone"}
_HEADINGS = (
    "Questions", "Answered by", "Correct", "n", "Against alone", "Tokens per 100", "Cost per 100", "Tries", "Making",
    "Pays off after",
)  # fmt: skip
_NOTE = (
    "Correct: share [95% interval]. Majority answer: the best constant answer. Tries: of function and calls. "
    "Pays off after: questions from which on the tool is cheaper than the maker alone."
)


@dataclass(frozen=True, slots=True)
class _Answer:
    """One answer: its question (without the way it is asked), family, score and what it cost."""

    question: str
    family: str
    score: float | None
    tokens: int
    usd: float | None
    result: Result


@dataclass(frozen=True, slots=True)
class _Making:
    """What it took to make a tool."""

    accepted: bool
    proposals: int
    verifications: int
    usd: float | None


def tool_tables(evaluations: Sequence[Evaluated], prices: Mapping[str, Price]) -> list[ResultTable]:
    """The table of families and ways by the last evaluation of each way, that by the first ones where there are others,
    and that of the dispatcher where there was one."""
    asked: dict[str, list[Evaluated]] = {}
    for evaluation in evaluations:
        if evaluation.trajectories:
            asked.setdefault(how_asked(evaluation.trajectories[0].question_id).asked, []).append(evaluation)
    own = {way: _of_one_benchmark(way, found) for way, found in asked.items()}
    first, last = {way: found[0] for way, found in own.items()}, {way: found[-1] for way, found in own.items()}
    tables = list(_of_families("Tools", last, prices))
    if any(first[way].iteration < last[way].iteration for way in first):
        start = min(evaluation.iteration for evaluation in first.values())
        tables += _of_families(f"Tools, iteration {start}", first, prices)
    return [*tables, *choice_tables({way: last[way] for way in _ALONE if way in last})]


def _of_one_benchmark(way: str, found: Sequence[Evaluated]) -> list[Evaluated]:
    names = [evaluation.benchmark for evaluation in found]
    return [evaluation for evaluation in found if evaluation.benchmark == (way if way in names else names[0])]


def _of_families(name: str, last: Mapping[str, Evaluated], prices: Mapping[str, Price]) -> Iterator[ResultTable]:
    """The table of families and ways, by one evaluation of each way; none if no question was answered."""
    ways = {way: _answers(last[way], prices) for way in _WAYS if way in last}
    makings = (
        {t.question_id.partition(":")[2]: _making(t, prices) for t in last["making"].trajectories if not _lost(t)}
        if "making" in last
        else {}
    )
    families = [family for family in FAMILIES if any(a.family == family for answers in ways.values() for a in answers)]
    if families:
        rows = [row for family in families for row in _rows(family, ways, makings)]
        yield ResultTable(name, _HEADINGS, (*rows, *_rows("", ways, makings)), _NOTE)


def _answers(evaluation: Evaluated, prices: Mapping[str, Price]) -> list[_Answer]:
    found = []
    for trajectory in evaluation.trajectories:
        if (result := evaluation.results.get(trajectory.id)) is not None:
            usage = trajectory.usage
            family = result.kind if result.kind in FAMILIES else ""
            question = trajectory.question_id.rpartition(":")[2]
            tokens = usage.prompt_tokens + usage.completion_tokens
            found.append(_Answer(question, family, result.score, tokens, _usd(trajectory, prices), result))
    return found


def _usd(trajectory: Trajectory, prices: Mapping[str, Price]) -> float | None:
    """The cost of a trajectory over all roles; None if a price is unknown."""
    tokens = with_policy(tokens_of_roles(trajectory.steps), trajectory.usage)
    costs = [prices[role].usd(*used) if role in prices else None for role, used in tokens.items()]
    return None if None in costs else sum(cost or 0.0 for cost in costs)


def _lost(trajectory: Trajectory) -> bool:
    """Whether an external error ended it, so that nothing is known of its tool."""
    return trajectory.fault is not None and trajectory.fault.whose == "outside"


def _making(trajectory: Trajectory, prices: Mapping[str, Price]) -> _Making:
    kinds = Counter(step.kind for step in trajectory.steps)
    return _Making(trajectory.answer == ACCEPTED, kinds["propose"], kinds["verify"], _usd(trajectory, prices))


def _rows(
    family: str, ways: Mapping[str, Sequence[_Answer]], makings: Mapping[str, _Making]
) -> Iterator[tuple[str, ...]]:
    """The rows of one family; of all of them together if `family` is empty."""
    own = {way: [a for a in answers if family in ("", a.family)] for way, answers in ways.items()}
    name = family.replace("_", " ") or "all"
    golds = {a.question: (a.family, a.result.golds) for answers in own.values() for a in answers}
    yield (name, "majority answer", percent(_majority(golds)), str(len(golds)), *6 * (UNKNOWN,))
    made = [makings[one] for one in ([family] if family else makings) if one in makings]
    rejected = {one for one, making in makings.items() if not making.accepted}
    kept = [making for making in made if making.accepted]
    for way, answers in own.items():
        if not answers:
            continue
        share = clustered_interval(_scores(answers))
        with_tool, whole = way in _ALONE, _not_lost(answers)
        if with_tool:  # without a tool there is no call, so such an answer costs nothing
            whole = [a for a in whole if a.family not in rejected]
        spent = _mean([a.usd for a in whole])
        making = _sum([m.usd for m in kept]) if kept else None
        alone = _mean([a.usd for a in _not_lost(own.get("maker_alone", ())) if a.family not in rejected])
        yield (
            name,
            _WAYS[way],
            with_interval(share),
            str(share.n),
            _difference(answers, own.get(_ALONE[way], ())) if with_tool else UNKNOWN,
            f"{100 * sum(a.tokens for a in whole) / len(whole):,.0f}" if whole else UNKNOWN,
            _dollars(spent, 100),
            _tries(made) if with_tool else UNKNOWN,
            _dollars(_sum([m.usd for m in made]) if made else None) if with_tool else UNKNOWN,
            ("never" if made and not kept else _break_even(making, alone, spent)) if with_tool else UNKNOWN,
        )


def _not_lost(answers: Sequence[_Answer]) -> list[_Answer]:
    """The answers without those that an external error cut short, which cost less than an answer does."""
    return [answer for answer in answers if answer.score is not None]


def _scores(answers: Sequence[_Answer]) -> dict[str, list[float | None]]:
    scores: dict[str, list[float | None]] = {}
    for answer in answers:
        scores.setdefault(answer.question, []).append(answer.score)
    return scores


def _majority(golds: Mapping[str, tuple[str, Sequence[str]]]) -> float:
    """The share of questions that the best constant answer of each family gets right."""
    counts: dict[str, Counter[str]] = {}
    for family, answers in golds.values():
        key = FAMILIES[family].key if family else str.casefold
        counts.setdefault(family, Counter()).update({key(answer) for answer in answers})
    return sum(max(count.values()) for count in counts.values()) / max(len(golds), 1)


def _difference(ours: Sequence[_Answer], theirs: Sequence[_Answer]) -> str:
    share = paired_difference(_scores(ours), _scores(theirs))
    return UNKNOWN if share.mean is None else change(share)


def _tries(made: Sequence[_Making]) -> str:
    if not made:
        return UNKNOWN
    tries = f"{sum(m.proposals for m in made)} + {sum(m.verifications for m in made)}"
    rejected = sum(not m.accepted for m in made)
    return f"{tries}, {rejected} rejected" if rejected else tries


def _break_even(making: float | None, alone: float | None, with_tool: float | None) -> str:
    if making is None or alone is None or with_tool is None:
        return UNKNOWN
    saved = alone - with_tool
    return f"{math.ceil(making / saved):,}" if saved > 0 else "never"


def _mean(costs: Sequence[float | None]) -> float | None:
    total = _sum(costs)
    return total / len(costs) if costs and total is not None else None


def _sum(costs: Sequence[float | None]) -> float | None:
    return None if None in costs else sum(cost or 0.0 for cost in costs)


def _dollars(cost: float | None, times: int = 1) -> str:
    return UNKNOWN if cost is None else f"${cost * times:.4f}"
