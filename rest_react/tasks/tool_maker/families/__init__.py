"""The families of questions: for each a seeded generator, a checker, and a right tool with its right calls.

    problem = FAMILIES["word_sorting"].make(Random(0))
    problem.text, problem.answers          # "Sort these words ...: pear, fig", ("fig, pear",)
    FAMILIES["word_sorting"].is_right("fig pear", problem.answers)          # True

The six classes of questions are those of "Large Language Models as Tool Makers"; texts and generators are our own.
Not here: sets of questions (tasks.tool_maker.items).
"""

from collections.abc import Mapping, Sequence

from rest_react.tasks.tool_maker.families import (
    bracket_closing,
    logical_deduction,
    meeting_schedule,
    remainders,
    shuffled_objects,
    word_sorting,
)
from rest_react.tasks.tool_maker.families.problem import Family, plain_key

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        logical_deduction.FAMILY,
        shuffled_objects.FAMILY,
        bracket_closing.FAMILY,
        word_sorting.FAMILY,
        remainders.FAMILY,
        meeting_schedule.FAMILY,
    )
}


def accepts(family: str, answer: str, answers: Sequence[str]) -> bool:
    """Whether the checker of a family accepts an answer; that of a user's own family compares texts."""
    if family in FAMILIES:
        return FAMILIES[family].is_right(answer, answers)
    return bool(answer.strip()) and _text_key(answer) in map(_text_key, answers)


def _text_key(text: str) -> str:
    return plain_key(text) or text.strip()  # an answer of marks alone is those marks
