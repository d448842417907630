"""What a reward model says of candidates: a ranking, or a yes or no, with what is needed to audit it.

    Opinion(order=(1, 0), reply=Completion("BEST: 2 ...", ...))                               # written
    Opinion((1, 0), Completion("", ...), ("AB", "BA"), ((-2.1, -0.2), (-1.9, -0.3)))          # by options

Not here: asking (reward_model, option_ranking), and the record of a step (rank_step).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rest_react.protocols import LLM
from rest_react.records import Completion
from rest_react.trajectories.parsed import Evidence


@dataclass(frozen=True, slots=True)
class Opinion:
    """The indexes of the candidates, best first, and the reply; `order` is empty if the reply decides nothing.

    By options: one row of `logprobs` per request, with the score of each candidate; `letters` has the letter of each
    candidate in that request. `floored` counts options that a server did not list."""

    order: tuple[int, ...]
    reply: Completion
    letters: tuple[str, ...] = ()
    logprobs: tuple[tuple[float, ...], ...] = ()
    floored: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """The yes or no on one candidate, None if the reply has neither. By options: the log-probabilities of yes and
    no."""

    good: bool | None
    reply: Completion
    logprobs: tuple[float, ...] = ()
    floored: int = 0


class StepJudge(Protocol):
    """Ranks the candidates of a step and judges one. `by_options`: it scores options where its model can."""

    @property
    def llm(self) -> LLM: ...

    @property
    def by_options(self) -> bool: ...

    async def rank(self, state: str, candidates: Sequence[str], *, seed: int) -> Opinion:
        """Ranks distinct candidates. Raises the errors of the client."""
        ...

    async def is_good(self, state: str, candidate: str, *, seed: int) -> Judgement:
        """Whether one candidate is good. Raises the errors of the client."""
        ...

    async def is_right(self, found: Evidence, *, seed: int) -> Judgement:
        """Whether the answer of a trajectory is right, by its question and cited snippets alone. Raises the errors of
        the client."""
        ...

    async def answer(self, found: Evidence, *, seed: int) -> Completion:
        """Its own answer to the question of a trajectory, from the selected passages alone. Raises the errors of the
        client."""
        ...
