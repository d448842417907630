"""The protocol of a trainer's settings, and the context from which a trainer is created.

    trainer = settings.finetune.open(TrainingContext(mode="chat", run_folder=folder.root, ...), Schedule(epochs=2))

Settings of a new trainer: a frozen dataclass beside the trainer that subclasses `TrainerSettings`, and its name in the
union of `training`. Methods that it does not define have defaults here, which mean "unknown".
Not here: the protocol of the trainer itself (`protocols.Trainer`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from rest_react.metrics.prices import Price
from rest_react.protocols import Trainer
from rest_react.records import ModelRef
from rest_react.remote.budget import Meter
from rest_react.setting_types import Mode


@dataclass(frozen=True, slots=True)
class Schedule:
    """What takes the place of a trainer's own settings in one training; None: nothing."""

    epochs: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """What a run tells its trainer: how the policy is asked (so it is trained on the same tokens), the run's folder,
    a title for progress, where to account for money, and the iteration, which is 0 for the demonstrations. Without
    `holds_out` the training ignores `holdout`: a judge has held-out questions of its own."""

    mode: Mode
    chat_template_kwargs: Mapping[str, object]
    run_folder: Path
    title: str
    meter: Meter
    iteration: int
    holds_out: bool = True


class TrainerSettings(Protocol):
    """What the rest of the program asks of a trainer's settings. `tunes`: weights `here`, a model at its `provider`, or
    `nothing`. `learns_from`: what its rows are after iteration 0, which has demonstrations alone, all of them examples;
    `preferences` (records.Preference) need a policy that is tuned already."""

    __slots__ = ()
    tunes: ClassVar[Literal["here", "provider", "nothing"]]
    whole_epochs: ClassVar[bool] = False  # True: refuses half an epoch
    learns_from: ClassVar[Literal["examples", "preferences"]] = "examples"

    def open(self, context: TrainingContext, schedule: Schedule) -> Trainer:
        """The trainer; what `schedule` gives takes the place of the settings' own."""
        ...

    def problems(self, path: str) -> Iterator[str]:
        """One message for each impossible combination, with what to do; `path` is the name of these settings."""
        yield from ()

    def lacks(self, path: str) -> Iterator[str]:
        """One message for each setting that this machine cannot follow; asked on the machine that trains."""
        yield from ()

    def passes(self, epochs: float | None, *, demonstrations: bool) -> float | None:
        """How often it will read each row, for forecasts; `epochs`, where given, replaces its own. None: unknown."""
        return None

    def rows_read(self, iteration: int) -> int | None:
        """How many rows it will read in an iteration after 0, whatever the data; for forecasts. None: `passes`."""
        return None

    def most_rows_read(self, batch_size: int | None, *, demonstrations: bool) -> float:
        """How many rows it will read at most, by a limit of steps; `batch_size`, where given, replaces its own. For
        forecasts."""
        return math.inf

    def models_kept(self) -> int | None:
        """How many models of a training are kept, the last included. None: the provider decides."""
        return 1

    def earlier_models(self, folder: Path, last: ModelRef) -> dict[int, ModelRef]:
        """The models of a finished training in `folder` after fewer steps than `last`, by the number of steps."""
        return {}

    def training_price(self) -> Price:
        """US dollars per million tokens trained on, as `input`."""
        return Price(None, None)
