"""The protocol of a question set's settings, and the context in which they read the questions.

    opened = settings.grow.questions.open(QuestionContext(world, world_seed=0, read_corpus=read_corpus), labelled=False)

To add a source, write a frozen dataclass that subclasses `QuestionSettings` beside its reader, and add its name to the
union in `questions/__init__.py`. Not here: sampling (sampling), hiding the labels from Grow (`unlabelled`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from rest_react.records import LabelledQuestion, Passage


class BuiltInItems(Protocol):
    """The built-in questions of a task, and the passages they can be answered from, where it has any."""

    @property
    def passages(self) -> tuple[Passage, ...] | None: ...
    @property
    def demonstrations(self) -> tuple[LabelledQuestion, ...]: ...
    @property
    def train(self) -> tuple[LabelledQuestion, ...]: ...
    @property
    def evaluation(self) -> tuple[LabelledQuestion, ...]: ...
    @property
    def plans(self) -> Mapping[str, object]:
        """What the scripted policy knows, by the question's text."""
        ...


@dataclass(frozen=True, slots=True)
class NoItems:
    """The built-in questions of a task that has none."""

    passages: tuple[Passage, ...] | None = None
    demonstrations: tuple[LabelledQuestion, ...] = ()
    train: tuple[LabelledQuestion, ...] = ()
    evaluation: tuple[LabelledQuestion, ...] = ()
    plans: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuestionContext:
    """What a run tells a source of questions: its built-in world and that world's seed, how a corpus is read, and for
    Grow the texts of demonstrations: rows whose labels the policy learns, so that it must not label them again."""

    world: Callable[[], BuiltInItems]
    world_seed: int
    read_corpus: Callable[[str], tuple[Passage, ...]]
    learnt: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OpenedQuestions:
    """All questions of a source, the passages of its closed corpus if it has one, and the seed of its sample."""

    labelled: Sequence[LabelledQuestion]
    passages: tuple[Passage, ...] | None
    sample_seed: int


class QuestionSettings(Protocol):
    """What the rest of the program asks of a question set's settings."""

    __slots__ = ()
    is_world: ClassVar[bool] = False  # asks about the built-in world

    def open(self, context: QuestionContext, *, labelled: bool) -> OpenedQuestions:
        """Reads the questions. With `labelled=False` a row needs no answer. Raises ConfigError for bad rows."""
        ...

    def open_with_chains(self, context: QuestionContext) -> OpenedQuestions:
        """Reads labelled questions for demonstrations, with their chains where the source has any."""
        return self.open(context, labelled=True)

    def size(self, world: Mapping[str, int]) -> int | None:
        """How many questions there are before sampling, for forecasts; `world`: questions in each set of the built-in
        world. None: unknown."""
        return None

    def origin(self) -> str:
        """The name by which a set for testing only would be known."""
        return ""

    def setting_of_passages(self, path: str) -> str | None:
        """The setting that would give its passages; None where it has them. `path` is what the settings are called."""
        return "search.corpus"

    def files(self) -> Iterator[tuple[str, str]]:
        """The files it needs, each with its setting's name."""
        yield from ()
