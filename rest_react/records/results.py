"""Verdicts of graders, and the lines of an evaluation.

Verdict("correct", reason="the answer names Ostrim")
"""

from dataclasses import dataclass
from typing import Literal

from rest_react.records.trajectories import Fault


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a grader on one answer, and the tokens used. `unscored`: there is no verdict; not counted as
    incorrect. `owed`: because of an external error, so the next run retries it. `refused`: the grader refused the
    request."""

    verdict: Literal["correct", "incorrect", "unscored"]
    reason: str = ""
    owed: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    refused: bool = False

    @property
    def score(self) -> float | None:
        """1, 0, or None if there is no verdict."""
        return {"correct": 1.0, "incorrect": 0.0, "unscored": None}[self.verdict]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of `evaluate/<benchmark>/results.jsonl`: one answer to one question, and its verdicts.

    `golds` are the gold answers, so that a line can be graded again without other files. `rule_verdict` is the
    verdict of the rule grader if another grader was used; else None, also in older files.
    """

    id: str
    question_id: str
    kind: str
    hops: int | None
    outcome: Literal["finished", "failed"]
    fault: Fault | None
    answer: str
    draft: str
    verdict: Verdict
    verdict_before_checks: Verdict
    em: float
    f1: float
    searches: int
    calls: int
    tokens: int
    question: str = ""
    golds: tuple[str, ...] = ()
    rule_verdict: Verdict | None = None

    @property
    def score(self) -> float | None:
        """1, 0, or None where the answer is unscored or an external error ended it. A failure of the model is
        incorrect."""
        if self.fault is not None:
            return None if self.fault.whose == "outside" else 0.0
        return self.verdict.score
