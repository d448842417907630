"""The format of results.json: frozen records, and the JSON schema that is generated from them.

    results = read_results(Path("outputs/default"))
    results.rows[-1].accuracy.mean                                                  # 0.41

    python -m rest_react.reporting.results.results_json > docs/results.schema.json  # after a change of these records

Shares are between 0 and 1. A number is None if nothing was scored; `low` and `high` are the ends of a 95% interval.
A row keeps the verdict of every answer, so that a difference between two files can be computed from the files alone.
docs/metrics.md defines every field. New fields need a default, so that older files stay readable.
Not here: how the numbers are computed (reporting.results.rows).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from rest_react.errors import RunFolderError

RESULTS_JSON = "results.json"
_MARKS = {1.0: "1", 0.0: "0", None: "-"}
_SCORES = {mark: score for score, mark in _MARKS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """The share of scored answers that are correct; `std` is the spread of the repeats' means (the paper's "±")."""

    mean: float | None
    std: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAccuracy:
    """The accuracy on one group of questions."""

    mean: float | None
    low: float | None
    high: float | None
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One accuracy minus another, paired by question. `detectable` is the smallest difference that this many
    `questions` detect with 80% power."""

    mean: float | None
    low: float | None
    high: float | None
    questions: int
    detectable: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksEffect(Difference):
    """The effect of the self-checks: a `Difference`, and the numbers of answers that they corrected (`fixed`) and made
    incorrect (`broken`)."""

    fixed: int
    broken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDisagreement:
    """The share of `answers` on which the rule grader and the language model that grades disagree."""

    mean: float | None
    low: float | None
    high: float | None
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCount:
    """The number of answers that failed for one reason, and their share of all answers."""

    answers: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerCorrect:
    """The cost of all answers divided by the number of correct answers."""

    searches: float | None
    calls: float | None
    tokens: float | None
    cost_usd: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """The median seconds of `answers` with about the same number of output tokens, and its 95% interval."""

    answers: int
    median_s: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One complete evaluation: one iteration on one benchmark."""

    iteration: int
    benchmark: str
    grader: str
    questions: int
    repeats: int
    unscored: int
    unscored_share: float
    failed: int
    failed_share: float
    faults: dict[str, FaultCount]
    accuracy: Accuracy
    rule_disagreement: RuleDisagreement | None = None
    before_checks: Accuracy
    checks: ChecksEffect
    vs_start: Difference | None
    vs_previous: Difference | None
    by_kind: dict[str, GroupAccuracy]
    by_hops: dict[str, GroupAccuracy]
    em: float | None
    f1: float | None
    searches: float | None
    calls: float | None
    tokens: float | None
    contained: float | None
    correct: int
    per_correct: PerCorrect
    cost_usd: float | None
    cost_reason: str | None
    seconds: float | None
    pass_at: dict[str, GroupAccuracy] = field(default_factory=dict)
    verdicts: dict[str, str] | None = None
    scores: dict[str, GroupAccuracy] = field(default_factory=dict)
    latency: dict[str, Latency] = field(default_factory=dict)
    lost: int = 0
    answering_usd: float | None = None

    @property
    def whole_answers(self) -> int:
        """The answers that no external error cut short, over which costs are divided; at least 1."""
        return max(self.questions * self.repeats - self.lost, 1)

    @property
    def usd_per_answer(self) -> float | None:
        """What an answer cost without its grading. An older row, without `answering_usd`, tells it if a rule graded."""
        usd = self.cost_usd if self.answering_usd is None and self.grader == "rule" else self.answering_usd
        return None if usd is None else usd / self.whole_answers

    @property
    def seconds_per_answer(self) -> float | None:
        """At the throughput of the evaluation; None if several processes made its answers."""
        return None if self.seconds is None else self.seconds / self.whole_answers


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """What fine-tuning cost up to the run's last iteration, what one answer of that iteration saves beside one of a
    baseline, and the number of answers that pay for it; None if a cost is unknown or nothing is saved."""

    training_usd: float | None
    saved_usd: float | None
    answers_usd: int | None
    training_seconds: float | None
    saved_seconds: float | None
    answers_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedBaseline:
    """A baseline's answers to one benchmark, as a row of iteration 0. `last_minus_it` is the accuracy of the run's last
    iteration minus that of the baseline, paired by question."""

    name: str
    row: ResultRow
    last_minus_it: Difference | None
    break_even: BreakEven | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A whole results.json; docs/metrics.md of rest_react defines each number. `environments` are those of
    settings.yaml, oldest first: the commit, versions of packages, digests of prompts and data."""

    schema: Literal[1]
    run: str
    rows: tuple[ResultRow, ...]
    baselines: tuple[ComparedBaseline, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    environments: tuple[dict[str, str], ...] = ()


def question_key(question_id: str, text: str) -> str:
    """A question's key in `verdicts`: its id and a digest of its text, because different worlds use the same ids.

    >>> question_key("eval-003", "Who is the founder of Velmar?")
    'eval-003#bd580065'
    """
    return f"{question_id}#{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


def verdicts_of(scores: Mapping[str, Sequence[float | None]]) -> dict[str, str]:
    """Scores by question as text, one character per repeat.

    >>> verdicts_of({"eval-003#bd580065": [1.0, 0.0, None]})
    {'eval-003#bd580065': '10-'}
    """
    return {question: "".join(_MARKS[score] for score in values) for question, values in scores.items()}


def scores_of(row: ResultRow) -> dict[str, list[float | None]] | None:
    """The scores of each question, one per repeat: 1, 0, or None if unscored. None if the row was written before
    verdicts were kept."""
    if row.verdicts is None:
        return None
    return {question: [_SCORES.get(mark) for mark in marks] for question, marks in row.verdicts.items()}


def read_results(source: Path) -> Results:
    """Reads results.json of a run folder, or a published file. Raises RunFolderError if it is missing or has another
    format."""
    path = source / RESULTS_JSON if source.is_dir() or source.suffix != ".json" else source
    if not path.exists():
        raise RunFolderError(f"{source} has no {RESULTS_JSON}; run the command of this run again to write it")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Results)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); run the command of this run again to rewrite it") from error


def json_schema() -> str:
    """The JSON schema (draft 2020-12) of results.json: the content of docs/results.schema.json."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Results)}
    return json.dumps(schema, indent=1) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")
