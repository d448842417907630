"""The scripted policy of the completion task: it knows the label of each item, and makes errors in known shares.

    ScriptedCompletion({"The parcel is late.": "delivery"}, LABELS, right=0.6, wrong=0.2, unparsable=0.1, empty=0.1)

The output depends only on the prompt and the seed. Right samples have slightly higher log-probabilities than others. An
item without a label gets the first label.
Not here: language models (llm).
"""

from collections.abc import Mapping, Sequence
from random import Random

from rest_react.prompts import STOP
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling
from rest_react.seeds import derive_seed
from rest_react.tasks.completion.task import text_in
from rest_react.text_safety.escaping import escape_control_tokens

_MEAN_LOGPROB = {"right": -0.25, "wrong": -0.35, "unparsable": -0.6, "empty": -0.4}


class ScriptedCompletion(LLM):
    """An `LLM` that knows the label of each text. The four shares are normalised."""

    def __init__(
        self,
        labels_of: Mapping[str, str],
        labels: Sequence[str],
        *,
        right: float,
        wrong: float,
        unparsable: float,
        empty: float,
    ) -> None:
        self._labels_of = {escape_control_tokens(text): label for text, label in labels_of.items()}
        self._labels = labels
        self._shares = {"right": right, "wrong": wrong, "unparsable": unparsable, "empty": empty}

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples, each drawn from `derive_seed(sampling.seed, i)` alone."""
        right = self._labels_of.get(text_in(prompt.state), self._labels[0])
        seen = len(prompt.text.split())
        return [self._sample(right, prompt.state, seen, Random(derive_seed(sampling.seed, i))) for i in range(n)]

    def _sample(self, right: str, state: str, seen: int, rng: Random) -> Completion:
        drawn = rng.choices(list(self._shares), list(self._shares.values()))[0]
        others = [label for label in self._labels if label != right]
        said = {
            "right": right,
            "wrong": rng.choice(others or [right]),
            "unparsable": "I would have to think about that.",
            "empty": "",
        }[drawn]
        text = f"{said}  {STOP}"
        words = len(text.split())
        spread = Random(derive_seed("logprob", state, text)).gauss(_MEAN_LOGPROB[drawn], 0.1)
        return Completion(text, words, words * min(spread, -0.01), "stop", seen)
