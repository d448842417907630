"""Which of the questions are used, and what Grow may see of them.

    grown = unlabelled(sample(questions, 500, seed=0))

Not here: reading them (`labelled`, `hub`).
"""

from collections.abc import Iterable, Sequence

from rest_react.errors import ConfigError
from rest_react.records import LabelledQuestion, Question
from rest_react.seeds import derive_seed


def sample(questions: Sequence[LabelledQuestion], n: int, seed: int) -> list[LabelledQuestion]:
    """n of the questions, shuffled; which ones and in what order follows from their ids and `seed` alone."""
    if n > len(questions):
        raise ConfigError([f"sample: {n} questions asked for, there are only {len(questions)}; ask for at most that"])
    return sorted(questions, key=lambda item: (derive_seed("sample", seed, item.question.id), item.question.id))[:n]


def unlabelled(questions: Iterable[LabelledQuestion]) -> list[Question]:
    """The questions as Grow may see them."""
    return [item.question for item in questions]
