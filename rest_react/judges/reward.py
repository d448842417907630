"""The reward model: an LLM asked which candidate of a step is best (paper section 3.5 and its rater prompt).

    reward = RewardModel(llm, ranking_prompt, judged_good_prompt, max_tokens=256)
    opinion = await reward.rank(state, ["...", "..."], seed=7)      # Opinion(order=(1, 0), reply="EXPLANATION: ...")

Candidates are shown in a shuffled order, so that none profits from its place, and the reply's numbers are mapped back.
The reply is three lines; what cannot be read is an Opinion without an order, never an error.
Not here: which candidates are worth showing, and what becomes of the winner (improve).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rest_react.actions import neutralise
from rest_react.records import LLM, Prompt, Sampling

# A line's head may carry marks ("**BEST:**"), and what follows may stand on the next line.
_RANKING = re.compile(r"^[^\w\n]*RANKING\W*(.*)$", re.IGNORECASE | re.MULTILINE)
_BEST = re.compile(r"^[^\w\n]*BEST\W*[^\d\n]{0,20}(\d{1,3})", re.IGNORECASE | re.MULTILINE)
_GOOD = re.compile(r"^[^\w\n]*GOOD\W*(yes|no)\b", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Opinion:
    """The candidates' indexes, best first, and the reply's words; no order where the reply was unusable."""

    order: tuple[int, ...]
    reply: str


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
        return Opinion(tuple(shown[place] for place in read_ranking(reply, len(candidates))), reply)

    async def is_good(self, state: str, candidate: str, *, seed: int) -> tuple[bool | None, str]:
        """The yes/no line on one candidate, None where the reply has none; raises what the door raises."""
        reply = await self._ask(_fill(self.judged_good, inputs=_inert(state), output=_inert(candidate)), seed)
        found = _GOOD.search(reply)
        return (None if found is None else found[1].lower() == "yes"), reply

    async def _ask(self, text: str, seed: int) -> str:
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed)
        (completion,) = await self.llm.sample(Prompt("", text), n=1, sampling=sampling)
        return completion.text


def read_ranking(reply: str, count: int) -> tuple[int, ...]:
    """0-based places, best first, from a three-line reply. BEST goes first even where RANKING disagrees or is
    incomplete; places that were not ranked follow in their order. Empty where neither line can be read."""
    places: list[int] = []
    best, ranking = _BEST.search(reply), _RANKING.search(reply)
    numbers = ([best[1]] if best else []) + (re.findall(r"\d+", ranking[1]) if ranking else [])
    for number in numbers:
        place = int(number) - 1 if len(number) < 4 else -1
        if 0 <= place < count and place not in places:
            places.append(place)
    if not places:
        return ()
    return (*places, *(place for place in range(count) if place not in places))


def _fill(template: str, **parts: str) -> str:
    """Puts the parts in at their marks in one pass, so that braces in a part mean nothing."""
    return re.sub(r"\{(\w+)\}", lambda mark: parts.get(mark[1], mark[0]), template)


def _inert(text: str) -> str:
    """Untrusted text, fit to stand between fences: nothing inside can close them, or a turn of a chat."""
    return re.sub("`{3,}", lambda fence: " ".join(fence[0]), neutralise(text)).rstrip()
