"""Trajectories: the steps of the agent on one question, with all samples.

Trajectory(id="w17.0", question_id="w17", outcome="finished", ...)
"""

import math
from dataclasses import dataclass
from typing import Literal

from rest_react.records.questions import Hit


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sample as stored in its step. `problem` says why it cannot be used; empty if it can. `action_tokens` and
    `action_logprob` count the tokens and sum the log-probabilities of its action only (comments and call); 0 and
    None if the provider does not give them per token."""

    text: str
    tokens: int
    logprob: float | None
    finish: str
    problem: str = ""
    action_tokens: int = 0
    action_logprob: float | None = None

    @property
    def perplexity(self) -> float | None:
        """exp of the mean negative log-probability per token (the length-normalised reading of paper section 3.2): over
        the action, or over the whole sample if only the sum is known."""
        whole = self.action_logprob is None or self.action_tokens == 0
        logprob, tokens = (self.logprob, self.tokens) if whole else (self.action_logprob, self.action_tokens)
        if logprob is None or tokens == 0:
            return None
        return math.exp(min(-logprob / tokens, 700.0))


@dataclass(frozen=True, slots=True)
class Step:
    """One reasoning step: the state shown to the model, and all samples.

    `chosen` is the index of the candidate that continued the rollout; None if the step was `forced` by the search limit
    or no candidate could be used. `hits` are what the step got from outside: the search results of a summarise step,
    whose link ids start at `first_link`; the result of the code of a step (tasks.rollout).
    """

    kind: str
    state: str
    candidates: tuple[Candidate, ...]
    chosen: int | None
    forced: bool = False
    hits: tuple[Hit, ...] = ()
    first_link: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something failed. `outside`: an external error, which the next run retries. `model`: an error of the
    model, which is a result and is kept."""

    whose: Literal["model", "outside"]
    message: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources of a trajectory: LLM calls, tokens in and out, searches."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    searches: int = 0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The agent's rollout on one question. `draft` is the answer before the self-checks, `answer` the one after."""

    id: str
    question_id: str
    question: str
    outcome: Literal["finished", "failed"]
    fault: Fault | None
    steps: tuple[Step, ...]
    draft: str
    answer: str
    usage: Usage
