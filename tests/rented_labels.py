"""A rented model that really learns labels: logistic regression over words, trained step by step on an uploaded file.

    with serving(rented.open_model, tmp_path, rented.train) as service: ...     # rented = RentedLabels()

The untuned model follows instructions ("Say: blue.") and knows no label; a tuned one gives labels for everything: it
has forgotten how to. A learning rate multiplier of 0 leaves its weights, and its loss, as they were.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rest_react.protocols import LLM
from rest_react.records import Completion, Example, ModelRef, Prompt, Sampling
from rest_react.setting_types import Mode
from rest_react.tasks.completion.task import text_in
from tests.serving import Tell


@dataclass(slots=True)
class Words(LLM):
    """Weights of pairs of a word and a label. Without labels it is untuned."""

    labels: tuple[str, ...] = ()
    weights: Counter[tuple[str, str]] = field(default_factory=Counter)

    def chances(self, text: str) -> dict[str, float]:
        scores = {label: sum(self.weights[word, label] for word in text.split()) for label in self.labels}
        total = sum(map(math.exp, scores.values()))
        return {label: math.exp(score) / total for label, score in scores.items()}

    def learn(self, text: str, label: str, rate: float) -> float:
        """One step; the loss before it."""
        chances = self.chances(text)
        for word in text.split():
            for one, chance in chances.items():
                self.weights[word, one] += rate * ((one == label) - chance)
        return -math.log(chances[label])

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        text = text_in(prompt.state)
        chances = self.chances(text)
        said = max(chances, key=chances.__getitem__) if chances else text.partition("Say: ")[2].partition(".")[0] or "?"
        return [Completion(said, len(said.split()), None, "stop", len(prompt.text.split()))] * n

    async def score(self, prompt: Prompt, options: Sequence[str]) -> None:
        return None

    async def aclose(self) -> None:
        pass


class RentedLabels:
    """The untuned model and all that were tuned, by the name of the job's folder."""

    def __init__(self) -> None:
        self.tuned: dict[str, Words] = {}

    def open_model(self, name: str, mode: Mode) -> LLM:
        return self.tuned.get(name.rpartition(":")[2], Words())

    async def train(
        self, examples: list[Example], base: ModelRef, folder: Path, asked: dict[str, Any], tell: Tell
    ) -> ModelRef:
        hyperparameters = asked["method"]["supervised"]["hyperparameters"]
        rate, epochs = hyperparameters.get("learning_rate_multiplier", 1.0), hyperparameters["n_epochs"]
        model = Words(tuple(dict.fromkeys(one.completion for one in examples)))
        for step in range(epochs * len(examples)):
            one = examples[step % len(examples)]
            tell(step + 1, epochs * len(examples), model.learn(text_in(one.prompt), one.completion, rate))
        self.tuned[folder.name] = model
        return ModelRef(folder.name, "local", tuned=True)
