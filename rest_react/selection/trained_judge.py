"""A trained judge: a model tuned to say whether a step's output is good, or an answer right (`reward_model=trained`).

    judge = TrainedJudge(llm)
    await judge.rank(state, ["...", "..."], seed=7)      # Opinion(order=(1, 0), logprobs=((-0.4, 2.1),), ...)
    await judge.is_right(found, seed=7)                  # Judgement(good=True, logprobs=(-0.1, -2.4), ...)

It reads the state and one output, or the text of a trajectory, without instructions, and its score is the log-odds of
" yes" against " no". So each candidate is scored alone, and no letter or place can matter. One model is trained for
steps or for answers (stages.judge).
Not here: a reward model that follows a prompt (reward_model).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import UsageError
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt
from rest_react.selection.opinions import Judgement, Opinion
from rest_react.selection.option_ranking import DIGITS, YES_NO, judgement_of, taken_by
from rest_react.selection.read_trajectory import trajectory_text
from rest_react.trajectories.parsed import Evidence

MARK = "\n# good:"
YES, NO = " yes", " no"  # the completions of its training rows


def shown_to_judge(state: str, output: str) -> str:
    """The prompt of a training row and of a request."""
    return f"{state}{output}{MARK}"


def shown_answer(found: Evidence) -> str:
    """The same of a judge of answers."""
    return f"{trajectory_text(found)}{MARK}"


@dataclass(frozen=True, slots=True)
class TrainedJudge:
    """Ranks candidates and judges one by the log-odds of yes."""

    llm: LLM
    by_options: bool = True

    async def rank(self, state: str, candidates: Sequence[str], *, seed: int) -> Opinion:
        """The candidates by their log-odds. Raises the errors of the client."""
        scores = await gather_or_cancel(self._score(shown_to_judge(state, candidate)) for candidate in candidates)
        row = tuple(log_odds(one) for one in scores)
        order = tuple(sorted(range(len(row)), key=lambda i: -row[i])) if max(row) > min(row) else ()
        return Opinion(order, taken_by(scores, ""), logprobs=(row,), floored=sum(len(one.floored) for one in scores))

    async def is_good(self, state: str, candidate: str, *, seed: int) -> Judgement:
        """Whether yes is likelier than no. Raises the errors of the client."""
        return judgement_of(await self._score(shown_to_judge(state, candidate)))

    async def is_right(self, found: Evidence, *, seed: int) -> Judgement:
        """Whether yes is likelier than no for the answer of a trajectory. Raises the errors of the client."""
        return judgement_of(await self._score(shown_answer(found)))

    async def answer(self, found: Evidence, *, seed: int) -> Completion:
        """Raises UsageError: it writes nothing."""
        raise UsageError("reward_model=trained: writes no answers of its own; choose another reward_model")

    async def _score(self, shown: str) -> OptionScores:
        scores = await self.llm.score(Prompt("", shown), YES_NO)
        if scores is None or not scores.logprobs:
            raise UsageError(
                "reward_model=trained: needs log-probabilities of yes and no, which the policy's server does not give; "
                "choose another reward_model, such as reward_model=same, or set policy=smollm2 or policy=vllm"
            )
        return scores


def log_odds(scores: OptionScores) -> float:
    """The log-odds of yes against no, as they are stored."""
    return round(scores.logprobs[0] - scores.logprobs[1], DIGITS)
