"""The reward model: an LLM asked which candidate of a step is best (paper section 3.5 and its rater prompt).

    reward = RewardModel(llm, ranking_prompt, judged_good_prompt, max_tokens=256)
    opinion = await reward.rank(state, ["...", "..."], seed=7)      # Opinion(order=(1, 0), reply=Completion(...))

A reply that cannot be read is an Opinion without an order, never an error.
Not here: the shuffled list of candidates in the prompt (ranking_prompt), how a reply is read (judges.ranking_reply,
judges.good_reply), which candidates are worth showing (filters), what becomes of the winner (rank_step), and rules that
need no model (tasks.search_qa.verifier).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rest_react.judges.good_reply import read_good
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling
from rest_react.selection.ranking_prompt import RankingPrompt, fill_in, inert


@dataclass(frozen=True, slots=True)
class Opinion:
    """The candidates' indexes, best first, and the reply; no order where the reply was unusable."""

    order: tuple[int, ...]
    reply: Completion


@dataclass(frozen=True, slots=True)
class RewardModel:
    """Ranks and approves. `ranking` and `judged_good` are templates with {inputs} and {outputs} or {output}, fences
    around {inputs} and {output} included; {outputs} brings its own."""

    llm: LLM
    ranking: str
    judged_good: str
    max_tokens: int

    async def rank(self, state: str, candidates: Sequence[str], *, seed: int) -> Opinion:
        """Orders distinct candidates; raises what the client raises."""
        prompt = RankingPrompt.shuffled(self.ranking, state, candidates, seed)
        reply = await self._ask(prompt.text, seed)
        return Opinion(prompt.order(reply.text), reply)

    async def is_good(self, state: str, candidate: str, *, seed: int) -> tuple[bool | None, Completion]:
        """The yes/no line on one candidate, None where the reply has none; raises what the client raises."""
        reply = await self._ask(fill_in(self.judged_good, inputs=inert(state), output=inert(candidate)), seed)
        return read_good(reply.text), reply

    async def _ask(self, text: str, seed: int) -> Completion:
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed, logprobs=False)
        (completion,) = await self.llm.sample(Prompt("", text), n=1, sampling=sampling)
        return completion
