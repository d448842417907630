"""What an iteration trains on: the examples of its Improve, with demonstrations, exemplars or preferences.

    training_data(folder, 2, demonstrations=True)     # the examples of iteration 0, then those of iteration 2

Iteration 0 selects its examples from demonstrations, so it has no others to add.
Not here: how Improve selects examples, and how training orders and cuts rows (training).
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from rest_react.records import Example, Preference
from rest_react.stages.improve import EXAMPLES, RANKINGS, Rules
from rest_react.stages.preferences import preferences
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.protocol import Task


def training_data(
    folder: RunFolder, k: int, *, demonstrations: bool, exemplars: Iterable[Example] = ()
) -> Iterator[Example]:
    """The examples that iteration `k` trains on: demonstrations, where these are mixed in, then the prompts' exemplars,
    then its own."""
    own = read_lines(folder.stage(k, "improve") / EXAMPLES, Example)
    shown = read_lines(folder.stage(0, "improve") / EXAMPLES, Example) if k and demonstrations else ()
    return chain(shown, exemplars, own)


def preference_data(folder: RunFolder, k: int, task: Task, rules: Rules) -> Iterator[Preference]:
    """The preferences that iteration `k` trains on: of its own examples alone."""
    improved = folder.stage(k, "improve")
    own = read_lines(improved / EXAMPLES, Example)
    return preferences(task, folder.stage(k, "grow") / TRAJECTORIES, improved / RANKINGS, own, rules)
