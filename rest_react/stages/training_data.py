"""The training data of an iteration: the examples of its Improve, with demonstrations, exemplars or preferences.

    training_data(folder, 2, demonstrations=True)     # the examples of iteration 0, then those of iteration 2

The examples of iteration 0 are demonstrations, so none are added there.
Not here: how Improve selects examples (stages.improve.improve), and the order and length of training rows (training).
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Literal, TypeAlias

from rest_react.prompts import EXEMPLAR_ID
from rest_react.records import Example, Preference
from rest_react.stages.improve.improve import EXAMPLES, RANKINGS
from rest_react.stages.improve.preferences import preferences
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.protocol import Task

Origin: TypeAlias = Literal["demonstrations", "exemplars", "grown"]


def training_data(
    folder: RunFolder, k: int, *, demonstrations: bool, exemplars: Iterable[Example] = ()
) -> Iterator[Example]:
    """The examples that iteration `k` trains on: demonstrations (if they are mixed in), exemplars of the prompts,
    then its own examples."""
    own = read_lines(folder.stage(k, "improve") / EXAMPLES, Example)
    shown = read_lines(folder.stage(0, "improve") / EXAMPLES, Example) if k and demonstrations else ()
    return chain(shown, exemplars, own)


def origin_of_rows(folder: RunFolder, k: int) -> Callable[[Example], Origin]:
    """A function that says where a row of iteration `k` comes from: a demonstration, an exemplar of the prompts, or a
    trajectory of the policy (`grown`)."""
    shown = {(row.id, row.prompt) for row in read_lines(folder.stage(0, "improve") / EXAMPLES, Example)}

    def origin(row: Example) -> Origin:
        if row.id.startswith(EXEMPLAR_ID):
            return "exemplars"
        return "demonstrations" if k == 0 or (row.id, row.prompt) in shown else "grown"

    return origin


def preference_data(folder: RunFolder, k: int, task: Task, rules: Rules) -> Iterator[Preference]:
    """The preferences that iteration `k` trains on, from its own examples only."""
    improved = folder.stage(k, "improve")
    own = read_lines(improved / EXAMPLES, Example)
    return preferences(task, folder.stage(k, "grow") / TRAJECTORIES, improved / RANKINGS, own, rules)
