"""The page's section for each benchmark: its rows, one sentence, and tables by question type, hops, cost and error.

    benchmark_views(rows)[0]["tables"][0]["name"]               # "By question type"

Not here: the numbers (reporting.results.rows) and the sentence (reporting.headline).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rest_react.metrics.number_formats import RESUMED, number, percent, span
from rest_react.reporting.headline import detectable_line, headline
from rest_react.reporting.results.results_json import ComparedBaseline, GroupAccuracy, Latency, ResultRow
from rest_react.reporting.results.rows import RATING
from rest_react.reporting.tables.results_table import searched
from rest_react.text_safety.escaping import visible

_NO_SEARCH = ("searches", 0.0)
_SECONDS = "seconds of the evaluation"


def benchmark_views(
    rows: Sequence[ResultRow],
    more: Sequence[tuple[str, dict[str, Any]]] = (),
    baselines: Sequence[ComparedBaseline] = (),
) -> list[dict[str, Any]]:
    """The rows and baselines of each benchmark, and the tables that break them down; `more` are further tables with
    their benchmark."""
    own: dict[str, list[ResultRow]] = {}
    for row in rows:
        own.setdefault(row.benchmark, []).append(row)
    return [
        {
            "name": visible(name),
            "rows": some,
            "baselines": [(one.name, one.row.accuracy.mean) for one in baselines if one.row.benchmark == name],
            "searched": searched(some),
            "tables": [*(table for benchmark, table in more if benchmark == name), *_breakdowns(some)],
            **_said(some[-1]),
        }
        for name, some in own.items()
    ]


def _said(last: ResultRow) -> dict[str, str]:
    """The sentence for the last row, and the detectable difference if that sentence does not contain it."""
    sentence = headline(last)
    detectable = detectable_line(last.vs_start) if last.vs_start else ""
    return {"headline": visible(sentence), "detectable": "" if detectable in sentence else detectable}


def _breakdowns(rows: Sequence[ResultRow]) -> Iterator[dict[str, Any]]:
    """The tables of one benchmark, with one column per iteration."""
    headings = ["", *(f"iteration {row.iteration}" for row in rows)]
    for name, parts_of in _PARTS:
        columns = [parts_of(row) for row in rows]
        names = sorted({part for column in columns for part in column}, key=_natural)
        if names:
            lines = [[visible(part).replace("_", " "), *(column.get(part, "") for column in columns)] for part in names]
            yield {"name": name, "headings": headings, "rows": lines}


def _natural(name: str) -> list[str | int]:
    """A key that sorts numbers in names by their value: "9-16 tokens" before "17-32 tokens"."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", name))]


def _shares(groups: Mapping[str, GroupAccuracy]) -> dict[str, str]:
    return {name: f"{percent(part.mean)} {span(part)} of {part.questions}" for name, part in groups.items()}


def _spent(row: ResultRow) -> dict[str, str]:
    spent = {_SECONDS if name == "seconds" else name: value for name, value in asdict(row.per_correct).items()}
    return {
        name: number(value, 4 if name == "cost_usd" else 1)
        for name, value in spent.items()
        if (name, value) != _NO_SEARCH
    }


def _checked(row: ResultRow) -> dict[str, str]:
    return {"fixed": str(row.checks.fixed), "broken": str(row.checks.broken)} if searched([row]) else {}


def _lost(row: ResultRow) -> dict[str, str]:
    lost = {"unscored": f"{row.unscored} ({percent(row.unscored_share)})"}
    lost["failed (model error)"] = f"{row.failed} ({percent(row.failed_share)})"
    faults = row.faults.items()
    return lost | {f"fault: {name}": f"{part.answers} ({percent(part.share)})" for name, part in faults}


def _solved(row: ResultRow) -> dict[str, str]:
    if not row.pass_at:
        return {}
    scored = sum(bool(set(one) - {"-"}) for one in row.verdicts.values()) if row.verdicts else row.questions
    once = GroupAccuracy(mean=row.accuracy.mean, low=row.accuracy.low, high=row.accuracy.high, questions=scored)
    return _shares({f"k = {int(k):>2}": part for k, part in {"1": once, **row.pass_at}.items()})


def _scored(row: ResultRow) -> dict[str, str]:
    rating = row.scores.get(RATING)
    shares = _shares({name: part for name, part in row.scores.items() if name != RATING})
    return shares | ({} if rating is None else {"rating (1 to 5)": rating_text(rating)})


def rating_text(rating: GroupAccuracy) -> str:
    """A mean rating with its interval."""
    ends = "" if rating.low is None or rating.high is None else f" [{rating.low:.2f}, {rating.high:.2f}]"
    return f"{number(rating.mean, 2)}{ends} of {rating.questions}"


def _per_answer(row: ResultRow) -> dict[str, str]:
    seconds = row.seconds_per_answer
    return {
        "tokens": number(row.tokens, 0),
        "cost_usd": number(row.usd_per_answer, 6),
        _SECONDS: RESUMED if seconds is None else number(seconds, 2),
    }


def _latency(row: ResultRow) -> dict[str, str]:
    def text(one: Latency) -> str:
        ends = "" if one.low is None or one.high is None else f" [{number(one.low, 2)}, {number(one.high, 2)}]"
        return f"{number(one.median_s, 2)}{ends} of {one.answers}"

    return {f"{name} tokens": text(one) for name, one in row.latency.items()}


_PARTS: tuple[tuple[str, Callable[[ResultRow], dict[str, str]]], ...] = (
    ("Solved in k answers (pass@k)", _solved),
    ("By question type", lambda row: _shares(row.by_kind)),
    ("By hops", lambda row: _shares(row.by_hops)),
    ("Scores of the task", _scored),
    ("Cost per answer", _per_answer),
    ("Seconds from question to answer, many at once, by output tokens (median)", _latency),
    ("Cost per correct answer", _spent),
    ("Effect of the self-checks", _checked),
    ("Faults", _lost),
)
