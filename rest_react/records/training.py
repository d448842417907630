"""Training rows, and the weights that training starts from and makes.

ModelRef("iter_1/model", "local", tuned=True)
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Example:
    """One training row: the state (without instructions) as prompt, the selected candidate as completion."""

    id: str
    trajectory_id: str
    step_index: int
    kind: str
    prompt: str
    completion: str
    selector: str


@dataclass(frozen=True, slots=True)
class Preference(Example):
    """An example with a second, worse completion, for trainers that learn from preferences (DPO). Other trainers
    treat it as a plain example."""

    rejected: str


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The weights of a policy. `name` is a Hub id, the name of a hosted model or, for `local`, a path in the run
    folder. An untuned model is prompted with exemplars, a tuned one is not."""

    name: str
    where: Literal["base", "local", "hosted"]
    tuned: bool
