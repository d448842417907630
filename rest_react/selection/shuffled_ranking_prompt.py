"""The prompt of a ranking: a numbered list of the candidates in random order, so that their position has no effect.

    prompt = RankingPrompt.shuffled(template, state, ["a", "b", "c"], seed=7)
    prompt.text                                 # "... *** Model Output #1:\\n```\\nc\\n``` ..."
    prompt.order("BEST: 1\\nRANKING: 1, 2, 3")  # the candidates' indexes, best first, e.g. (2, 0, 1)

Not here: parsing of the reply (judges.ranking_reply), and the request (selection.reward_model).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rest_react.judges.ranking_reply import read_ranking
from rest_react.text_safety.escaping import fill_in, inert


@dataclass(frozen=True, slots=True)
class RankingPrompt:
    """The text of a request, and the index of the candidate at each place."""

    text: str
    shown: tuple[int, ...]

    @classmethod
    def shuffled(cls, template: str, state: str, candidates: Sequence[str], seed: int) -> Self:
        """Fills {inputs} with the state and {outputs} with the numbered candidates, shuffled by the seed."""
        shown = list(range(len(candidates)))
        random.Random(seed).shuffle(shown)
        outputs = "\n\n".join(
            f"*** Model Output #{number}:\n```\n{inert(candidates[i])}\n```" for number, i in enumerate(shown, start=1)
        )
        return cls(fill_in(template, inputs=inert(state), outputs=outputs), tuple(shown))

    def order(self, reply: str) -> tuple[int, ...]:
        """The indexes of the candidates, best first, from the numbers in a reply; empty if it has no ranking."""
        return tuple(self.shown[place] for place in read_ranking(reply, len(self.shown)))
