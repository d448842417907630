"""The settings of the built-in world, and of question sets from it.

    WorldQuestions("world", "evaluation", None, without=("voyages", "mills"))

Not here: the world itself (world.generate).
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from annotated_types import Interval

from rest_react.errors import ConfigError
from rest_react.questions.question_settings import OpenedQuestions, QuestionContext, QuestionSettings
from rest_react.records import Plan
from rest_react.setting_types import Count, NotNegative

# Every relation that a question may ask for: the nouns of KINDS.
Relation: TypeAlias = Literal[
    "author", "setting", "printing year", "languages", "designer", "location", "opening year", "arches", "patron",
    "venue", "starting year", "stages", "owner", "seat", "registration year", "workshops", "founder", "twin town",
    "founding year", "mills", "teacher", "birthplace", "birth year", "voyages",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """Size of the built-in world of invented entities."""

    seed: int  # a different seed gives a different world
    passages: Annotated[int, Interval(ge=10, le=100_000)]  # number of passages in its corpus
    demonstrations: NotNegative  # number of questions that the scripted expert answers as demonstrations
    train: NotNegative  # questions to grow on
    evaluation: NotNegative  # questions to evaluate on


@dataclass(frozen=True, slots=True)
class WorldQuestions(QuestionSettings):
    """Questions of the built-in world. The relations have defaults, because most sets ask for all."""

    is_world: ClassVar[bool] = True

    kind: Literal["world"]
    split: Literal["demonstrations", "train", "evaluation"]  # which of its sets
    sample: Count | None  # so many questions, drawn at random; null: all
    without: tuple[Relation, ...] = ()  # leaves out questions that ask for one of these relations
    only_with: tuple[Relation, ...] = ()  # leaves out questions that ask for none of these relations; empty: keeps them

    def open(self, context: QuestionContext, *, labelled: bool) -> OpenedQuestions:
        world = context.world()
        sets = {"demonstrations": world.demonstrations, "train": world.train, "evaluation": world.evaluation}
        found = sets[self.split]
        if self.without or self.only_with:
            asked = [set(relations(world.plans[one.question.text])) for one in found]
            found = tuple(one for one, of in zip(found, asked, strict=True) if self._keeps(of))
            if len(found) < (self.sample or 1):
                told = (
                    f"only {len(found)} of its {len(asked)} questions have the relations of `without` and `only_with`"
                )
                raise ConfigError([f"world.{self.split}: {told}; raise it, or lower `sample`"])
        return OpenedQuestions(found, world.passages, context.world_seed)

    def _keeps(self, asked: AbstractSet[str]) -> bool:
        return asked.isdisjoint(self.without) and not (self.only_with and asked.isdisjoint(self.only_with))

    def size(self, world: Mapping[str, int]) -> int | None:
        return None if self.without or self.only_with else world[self.split]

    def setting_of_passages(self, path: str) -> str | None:
        return None


def relations(plan: object) -> tuple[str, ...]:
    """The relations that a question asks for, hop by hop. Raises ConfigError for a plan of another task.

    >>> relations(Plan("...", (Hop("number of mills of Velmar", "", "Velmar", ""),), "", ""))
    ('mills',)
    """
    if not isinstance(plan, Plan):
        told = "without, only_with: only the built-in questions of task=search_qa have relations"
        raise ConfigError([f"{told}; set both to [] in grow.questions and in each of evaluate.benchmarks"])
    return tuple(hop.query.removesuffix(f" of {hop.title}").removeprefix("number of ") for hop in plan.hops)
