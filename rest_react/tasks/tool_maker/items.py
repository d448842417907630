"""Built-in questions for tool makers, and how each is asked.

    items = build_items(0, FAMILIES, demonstrations=6, train=120, evaluation=60)
    items.evaluation[0].question.id                        # "logical_deduction-eval-000"
    how_asked("maker_alone:logical_deduction-eval-000")    # How("maker_alone", "logical_deduction")

The families take turns. The maker is shown `examples`, which no other set has; a number in each text keeps all texts
apart. A set of questions asks them in one way, which stands before the id: a question has no other place for it.
Not here: the generators (families), and a user's own questions, which are a question file.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Literal, NamedTuple, TypeAlias, get_args

from rest_react.errors import ConfigError
from rest_react.questions.question_settings import OpenedQuestions, QuestionContext, QuestionSettings
from rest_react.records import LabelledQuestion, Passage, Question
from rest_react.seeds import derive_seed
from rest_react.setting_types import Count
from rest_react.tasks.tool_maker.families import FAMILIES

SHOWN = 3  # examples with answers that the maker sees, and as many questions on which its calls are verified
ACCEPTED = "accepted"  # the gold answer of a question that asks for a tool
Asked: TypeAlias = Literal["user_with_tool", "user_alone", "maker_with_tool", "maker_alone", "making"]
_ID = re.compile(rf"(?:({'|'.join(get_args(Asked))}):)?(?:(\w+)(?:-\w+-\d+)?)?")


class How(NamedTuple):
    """How a question is asked, and its family where its id names one."""

    asked: str
    family: str


def how_asked(question_id: str) -> How:
    """What the id of a question says; the questions of a user's file are asked of the user with a tool."""
    found = _ID.fullmatch(question_id)
    asked, family = (found[1] or "", found[2] or "") if found else ("", "")
    return How(asked or "user_with_tool", family if family in FAMILIES else "")


@dataclass(frozen=True, slots=True)
class ToolItems:
    """Sets of questions with their answers. `plans` has the right call for each text, `examples` the questions from
    which the maker makes the tool of a family: first those shown with answers, then those to verify on."""

    demonstrations: tuple[LabelledQuestion, ...]
    train: tuple[LabelledQuestion, ...]
    evaluation: tuple[LabelledQuestion, ...]
    examples: Mapping[str, tuple[LabelledQuestion, ...]]
    plans: Mapping[str, str]
    passages: tuple[Passage, ...] | None = None

    def answers(self) -> dict[str, str]:
        """An answer to each question, by its text, for scripted models."""
        sets = (self.demonstrations, self.train, self.evaluation, *self.examples.values())
        return {item.question.text: item.answers[0] for items in sets for item in items}


def build_items(seed: int, families: Sequence[str], *, demonstrations: int, train: int, evaluation: int) -> ToolItems:
    """Sets with these sizes, and six examples of each family. The evaluation does not depend on the other sizes."""
    plans: dict[str, str] = {}
    sizes = {"eval": evaluation, "made": 2 * SHOWN * len(families), "demo": demonstrations, "train": train}
    sets = {name: tuple(_drawn(seed, name, size, families, plans)) for name, size in sizes.items()}
    examples = {name: tuple(item for item in sets["made"] if item.kind == name) for name in families}
    return ToolItems(sets["demo"], sets["train"], sets["eval"], examples, plans)


def _drawn(
    seed: int, name: str, size: int, families: Sequence[str], plans: dict[str, str]
) -> Iterator[LabelledQuestion]:
    first = 100_000 * ["eval", "made", "demo", "train"].index(name) + 100_000
    for n in range(size):
        family = families[n % len(families)]
        problem = FAMILIES[family].make(Random(derive_seed(seed, "tools", name, n)))
        text = f"Puzzle {first + n}. {problem.text}"
        plans[text] = problem.call
        yield LabelledQuestion(Question(f"{family}-{name}-{n:03}", text), problem.answers, kind=family)


@dataclass(frozen=True, slots=True)
class ToolQuestions(QuestionSettings):
    """Built-in questions for tool makers (task=tool_maker)."""

    is_world: ClassVar[bool] = True

    kind: Literal["tools"]
    split: Literal["demonstrations", "train", "evaluation"]  # which of its sets
    # who answers, and how: the policy or the maker, with the tool of the question's family or alone; or making: one
    # question for each family, whose trajectory is the maker's conversation
    asked: Asked
    sample: Count | None  # so many questions, drawn at random; null: all

    @property
    def of_maker(self) -> bool:
        """Whether the maker answers them."""
        return self.asked in ("maker_with_tool", "maker_alone", "making")

    def open(self, context: QuestionContext, *, labelled: bool) -> OpenedQuestions:
        items = context.world()
        if not isinstance(items, ToolItems):
            raise ConfigError(
                ["questions: kind=tools belongs to task=tool_maker; set task=tool_maker, or other questions"]
            )
        if self.asked == "making":
            found = [
                LabelledQuestion(Question(name, f"Make a tool for: {name.replace('_', ' ')}"), (ACCEPTED,), kind=name)
                for name in items.examples
            ]
        else:
            found = list(
                {"demonstrations": items.demonstrations, "train": items.train, "evaluation": items.evaluation}[
                    self.split
                ]
            )
        asked = [
            replace(item, question=replace(item.question, id=f"{self.asked}:{item.question.id}")) for item in found
        ]
        return OpenedQuestions(asked, None, context.world_seed)

    def size(self, world: Mapping[str, int]) -> int:
        return world["families"] if self.asked == "making" else world[self.split]

    def setting_of_passages(self, path: str) -> str | None:
        return None
