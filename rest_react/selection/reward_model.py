"""The reward model: an LLM asked which candidate of a step is best (paper section 3.5 and its rater prompt).

    reward = RewardModel(llm, ranking_prompt, judged_good_prompt, max_tokens=256)
    opinion = await reward.rank(state, ["...", "..."], seed=7)      # Opinion(order=(1, 0), reply=Completion(...))

Candidates are shown in a shuffled order, so that none profits from its place, and the reply's numbers are mapped back.
A reply that cannot be read (verdicts) is an Opinion without an order, never an error.
Not here: which candidates are worth showing, what becomes of the winner (improve), and rules that need no model
(tasks.search_qa.verifier).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rest_react.judges.good_reply import read_good
from rest_react.judges.ranking_reply import read_ranking
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling
from rest_react.text_safety import escape_control_tokens


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
        """Orders distinct candidates; raises what the door raises."""
        shown = list(range(len(candidates)))
        random.Random(seed).shuffle(shown)
        outputs = "\n\n".join(
            f"*** Model Output #{number}:\n```\n{_inert(candidates[i])}\n```" for number, i in enumerate(shown, start=1)
        )
        reply = await self._ask(_fill(self.ranking, inputs=_inert(state), outputs=outputs), seed)
        return Opinion(tuple(shown[place] for place in read_ranking(reply.text, len(candidates))), reply)

    async def is_good(self, state: str, candidate: str, *, seed: int) -> tuple[bool | None, Completion]:
        """The yes/no line on one candidate, None where the reply has none; raises what the door raises."""
        reply = await self._ask(_fill(self.judged_good, inputs=_inert(state), output=_inert(candidate)), seed)
        return read_good(reply.text), reply

    async def _ask(self, text: str, seed: int) -> Completion:
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed, logprobs=False)
        (completion,) = await self.llm.sample(Prompt("", text), n=1, sampling=sampling)
        return completion


def _fill(template: str, **parts: str) -> str:
    """Puts the parts in at their marks in one pass, so that braces in a part mean nothing."""
    return re.sub(r"\{(\w+)\}", lambda mark: parts.get(mark[1], mark[0]), template)


def _inert(text: str) -> str:
    """Untrusted text, fit to stand between fences: nothing inside can close them, or a turn of a chat."""
    return re.sub("`{3,}", lambda fence: " ".join(fence[0]), escape_control_tokens(text)).rstrip()
