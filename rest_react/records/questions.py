"""Questions, their gold answers, and the documents that answer them.

LabelledQuestion(Question("w17", "Who founded the town where Ada Mell was born?"), answers=("Ostrim",))
"""

from dataclasses import dataclass, field
from typing import Literal

from msgspec import UNSET, UnsetType


@dataclass(frozen=True, slots=True)
class Question:
    """A question without labels: all that Grow and the agent see."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """One link of a question's chain: the relation of the subject has this value, as a passage says. The subject is
    empty where the relation is a question of its own. The passage is known by its id, its title, or neither."""

    subject: str
    relation: str
    value: str
    passage: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question with its gold answers, used only in evaluation, and in demonstrations on a user's own data.

    `answers` are equivalent gold answers. `options` are the possible answers of a comparison or yes/no question;
    `passages` are the ids of the gold passages; `explanation` says why the answer is correct; `chain` are the lookups
    that lead to it, read for demonstrations only.
    """

    question: Question
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    kind: str = ""
    hops: int | None = None
    passages: tuple[str, ...] = ()
    explanation: str = ""
    chain: tuple[Lookup, ...] = field(default=(), repr=False)  # not in the digest of a question set


@dataclass(frozen=True, slots=True)
class Passage:
    """One document of a closed corpus."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result: `source` is a passage id or a URL, `snippet` is untrusted text. `page` is set, and stored,
    only where the page behind the result should be shown instead of the engine's snippet."""

    source: str
    title: str
    snippet: str
    page: Literal["read", "unread"] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Hop:
    """One search of the scripted expert: query and thoughts, the title of the gold passage, and the fact in it. In
    plans for a user's own questions `values` are what the passage must state."""

    query: str
    thoughts: str
    title: str
    finding: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a scripted expert answers one question. `answer` is long-form with `{0}`, `{1}`, ... where hop i is cited.
    With `tells_rejected` its summaries begin with a comment for each link that is not selected."""

    question: str
    hops: tuple[Hop, ...]
    thoughts: str
    answer: str
    tells_rejected: bool = True
