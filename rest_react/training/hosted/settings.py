"""Settings of hosted fine-tuning: `finetune=hosted`, an OpenAI-shaped fine-tuning API at any base_url.

Not here: the trainer (trainer).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from rest_react.console import say
from rest_react.metrics.costs import Price
from rest_react.setting_types import OPENAI_URL, Count, Positive
from rest_react.training.contract import TrainerSettings, TrainingContext
from rest_react.training.hosted.trainer import EPOCHS, HostedTrainer


@dataclass(frozen=True, slots=True)
class HostedFinetune(TrainerSettings):
    """An OpenAI-shaped fine-tuning API at any base_url."""

    tunes: ClassVar[Literal["here", "provider", "nothing"]] = "provider"
    whole_epochs: ClassVar[bool] = True

    kind: Literal["hosted"]
    start_from: Literal["base", "previous"]
    mix_demonstrations: bool
    base_url: str | None
    api_key_env: str | None
    epochs: Count | None
    batch_size: Count | None
    learning_rate_multiplier: float | None
    max_length: Count
    poll_s: Positive
    price: Price
    cancel: bool

    def open(self, context: TrainingContext, epochs: float | None) -> HostedTrainer:
        chosen = {
            "n_epochs": self.epochs if epochs is None else int(epochs),
            "batch_size": self.batch_size,
            "learning_rate_multiplier": self.learning_rate_multiplier,
        }
        return HostedTrainer(
            base_url=self.base_url or OPENAI_URL, api_key_env=self.api_key_env or None, poll_s=self.poll_s,
            hyperparameters={name: value for name, value in chosen.items() if value is not None},
            on_event=lambda event: say(f"{context.title}: {event}"), max_length=self.max_length,
            meter=context.meter, cancel=self.cancel,
        )  # fmt: skip

    def passes(self, epochs: float | None, *, demonstrations: bool) -> float:
        return epochs or self.epochs or EPOCHS

    def training_price(self) -> Price:
        return self.price
