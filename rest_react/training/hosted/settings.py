"""Settings of hosted fine-tuning: `finetune=hosted`, an OpenAI-shaped fine-tuning API at any base_url.

Not here: the trainer (trainer).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from rest_react.metrics.prices import Price
from rest_react.records import ModelRef
from rest_react.remote.http_client import scheme_problem
from rest_react.setting_types import OPENAI_URL, Count, Positive
from rest_react.terminal.console import say
from rest_react.training.hosted.charge import EPOCHS
from rest_react.training.hosted.progress import checkpoints_on_disk
from rest_react.training.hosted.trainer import HostedTrainer
from rest_react.training.trainer_settings import Schedule, TrainerSettings, TrainingContext


@dataclass(frozen=True, slots=True)
class HostedFinetune(TrainerSettings):
    """An OpenAI-shaped fine-tuning API at any base_url."""

    tunes: ClassVar[Literal["here", "provider", "nothing"]] = "provider"
    whole_epochs: ClassVar[bool] = True

    kind: Literal["hosted"]
    # base: each iteration starts over (the paper); previous: continues from the last one
    start_from: Literal["base", "previous"]
    mix_demonstrations: bool  # the demonstrations, if any, stay in the training data
    base_url: str | None  # null: api.openai.com
    api_key_env: str | None  # the environment variable that holds the key; null: no key
    epochs: Count | None  # null: the provider decides
    batch_size: Count | None  # null: the provider decides
    learning_rate_multiplier: float | None  # null: the provider decides
    max_length: Count  # tokens of a row; a longer row is an error, never cut
    poll_s: Positive  # seconds between looks at the job, at first
    price: Price  # US dollars per million tokens trained on, as input; null: unknown
    cancel: bool  # stop the job that was started, and the run

    def problems(self, path: str) -> Iterator[str]:
        if self.base_url and (problem := scheme_problem(self.base_url)):
            yield f"{path}.base_url: {problem}"

    def models_kept(self) -> None:
        return None

    def earlier_models(self, folder: Path, last: ModelRef) -> dict[int, ModelRef]:
        return checkpoints_on_disk(folder, last)

    def open(self, context: TrainingContext, schedule: Schedule) -> HostedTrainer:
        chosen = {
            "n_epochs": self.epochs if schedule.epochs is None else int(schedule.epochs),
            "batch_size": schedule.batch_size or self.batch_size,
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
