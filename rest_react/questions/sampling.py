"""Draws a part or a sample of the questions, and removes the labels, and rows already learnt, before Grow sees them.

    grown = unlabelled(sample(questions, 500, seed=0))

Not here: reading them (`labelled_questions`, `hub`).
"""

from collections.abc import Collection, Iterable, Sequence

from rest_react.errors import ConfigError
from rest_react.records import LabelledQuestion, Question
from rest_react.seeds import derive_seed
from rest_react.terminal.console import say


def sample(questions: Sequence[LabelledQuestion], n: int, seed: int) -> list[LabelledQuestion]:
    """`n` of the questions in random order. The result depends only on their ids and `seed`, not on their order; a
    larger sample extends a smaller one. Raises ConfigError if there are fewer than `n`."""
    if n > len(questions):
        raise ConfigError([f"sample: {n} is more than the {len(questions)} questions of the set; set a smaller number"])
    return sorted(questions, key=lambda item: (derive_seed("sample", seed, item.question.id), item.question.id))[:n]


def in_part(
    questions: Sequence[LabelledQuestion], part: tuple[float, float] | None, seed: int
) -> list[LabelledQuestion]:
    """The questions that lie in this part of 0 to 1, in their order. The place of a question depends only on its id and
    `seed`, so parts that do not overlap share no question. Raises ConfigError for a part that is empty."""
    if part is None:
        return list(questions)
    low, high = part
    found = [item for item in questions if low <= derive_seed("part", seed, item.question.id) / 2**63 < high]
    if not found:
        raise ConfigError(
            [f"part: [{low:g}, {high:g}] holds none of the {len(questions)} questions of the set; give a larger part"]
        )
    return found


def without_learnt(
    questions: Sequence[LabelledQuestion], learnt: Collection[str], n: int | None, place: str
) -> list[LabelledQuestion]:
    """The first `n` questions (None: all) that have none of the texts `learnt`; a note counts the others before them.
    `place` names the set in messages. Raises ConfigError if none is left, or fewer than `n`."""
    unknown = [item for item in questions if item.question.text not in learnt][:n]
    passed = questions.index(unknown[-1]) + 1 if len(unknown) == n else len(questions)
    if not (left_out := passed - len(unknown)):
        return unknown
    if len(unknown) < (n or 1):
        told = (
            f"{place}: {left_out} of its {len(questions)} rows are rows of demonstrations.questions, whose labels the "
            f"policy learns or is shown, which leaves {len(unknown)}"
        )
        needed = "; lower" if n is None else f" for n={n}; lower that n, its skip or"
        raise ConfigError([f"{told}{needed} demonstrations.questions.n, or set iteration=0"])
    say(f"note: {place}: {left_out} rows are left out of Grow: demonstrations.questions has their labels")
    return unknown


def unlabelled(questions: Iterable[LabelledQuestion]) -> list[Question]:
    """The questions without answers and other labels, as Grow may see them."""
    return [item.question for item in questions]
