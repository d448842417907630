"""What reward models and trained judges say of steps and answers.

Ranking(id="w17.0.2", kind="decide", selector="reward_model", status="ranked", best=1)
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Ranking:
    """The choice of a selector for one step (paper section 3.5). `best` is the index of the chosen candidate.

    `ranked`: the selector decided. `fallback`: the reply was unusable, so the candidate chosen in the rollout is the
    target. `errored`: the request failed because of an external error; the next run retries it, and it filters nothing.
    `good` is the yes or no of `improve.keep=judged_good`; None if it was not requested or the reply had neither.
    The tokens are those of the calls to the reward model.
    """

    id: str
    kind: str
    selector: str
    status: Literal["ranked", "fallback", "errored"]
    best: int
    order: tuple[int, ...] = ()
    reply: str = ""
    good: bool | None = None
    good_reply: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class OptionRanking(Ranking):
    """A ranking by a reward model that scores options (`improve.reward=options`).

    `logprobs` has one row per request: the score of each candidate, in the order of their indexes (those in `order`).
    `letters` has the letter of each candidate in that request. The order is that of the columns' sums.
    `good_logprobs` are those of yes and no. `floored` counts options that a server did not list. `written`: the model
    gave no scores, so a reply was written.
    """

    letters: tuple[str, ...] = ()
    logprobs: tuple[tuple[float, ...], ...] = ()
    good_logprobs: tuple[float, ...] = ()
    floored: int = 0
    written: bool = False


@dataclass(frozen=True, slots=True)
class TrajectoryVerdict:
    """A reward model's verdict on a trajectory (`improve.keep_trajectories=judged_good`, `judged_better`,
    `reader_agrees`, `reader_and_judge`, and the filters that read).

    `judged`: `good` is the verdict. `unscored`: a refusal, or a reply with neither yes nor no. `errored`: an external
    error. Without a verdict `good` is None. `reply` is the written verdict, or the reader's own answer. `logprobs` are
    those of yes and no, or of the text that is read with the evidence and without it; else empty."""

    id: str
    status: Literal["judged", "unscored", "errored"]
    good: bool | None = None
    reply: str = ""
    logprobs: tuple[float, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class WorseOutput:
    """An output that is taken for worse than a demonstration: a sample of the policy with another decision, or the
    demonstration with an error."""

    text: str
    origin: Literal["policy", "corruption"]


@dataclass(frozen=True, slots=True)
class JudgePairs:
    """The pairs of one demonstrated step, for the training of a judge: `good` is the demonstration. `problem` says why
    the policy gave no samples. The tokens are those of its samples."""

    id: str
    question_id: str
    kind: str
    state: str
    good: str
    worse: tuple[WorseOutput, ...]
    problem: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class JudgedOutcome:
    """An answer to a held-out question, whether it is right, and the trained judge's log-odds of yes for it."""

    id: str
    question_id: str
    right: bool
    log_odds: float


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A held-out pair and the trained judge's log-odds of yes for its two outputs."""

    id: str
    question_id: str
    kind: str
    origin: Literal["policy", "corruption"]
    good: float
    worse: float
