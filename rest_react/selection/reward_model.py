"""The reward model: an LLM that ranks the candidates of a step (paper section 3.5 and its rater prompt).

    reward = RewardModel(llm, ranking_prompt, judged_good_prompt, max_tokens=256)
    opinion = await reward.rank(state, ["...", "..."], seed=7)      # Opinion(order=(1, 0), reply=Completion(...))

A reply that cannot be parsed gives an empty order, not an error.
Not here: the shuffled list of candidates in the prompt (selection.shuffled_ranking_prompt), parsing of replies
(judges.ranking_reply, judges.good_reply), which candidates are shown (selection.filters), how the choice is recorded
(selection.rank_step), and rules that need no model (tasks.search_qa.verifier).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rest_react.judges.good_reply import read_good
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling
from rest_react.selection.shuffled_ranking_prompt import RankingPrompt, fill_in, inert


@dataclass(frozen=True, slots=True)
class Opinion:
    """The indexes of the candidates, best first, and the reply; `order` is empty if the reply was unusable."""

    order: tuple[int, ...]
    reply: Completion


@dataclass(frozen=True, slots=True)
class RewardModel:
    """Ranks candidates and judges one. `ranking` is a template with {inputs} and {outputs}, `judged_good` one with
    {inputs} and {output}. The templates have the code fences around {inputs} and {output}; {outputs} contains its
    own."""

    llm: LLM
    ranking: str
    judged_good: str
    max_tokens: int

    async def rank(self, state: str, candidates: Sequence[str], *, seed: int) -> Opinion:
        """Ranks distinct candidates. Raises the errors of the client."""
        prompt = RankingPrompt.shuffled(self.ranking, state, candidates, seed)
        reply = await self._ask(prompt.text, seed)
        return Opinion(prompt.order(reply.text), reply)

    async def is_good(self, state: str, candidate: str, *, seed: int) -> tuple[bool | None, Completion]:
        """The yes or no on one candidate (None if the reply has neither) and the reply. Raises the errors of the
        client."""
        reply = await self._ask(fill_in(self.judged_good, inputs=inert(state), output=inert(candidate)), seed)
        return read_good(reply.text), reply

    async def _ask(self, text: str, seed: int) -> Completion:
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed, logprobs=False)
        (completion,) = await self.llm.sample(Prompt("", text), n=1, sampling=sampling)
        return completion
