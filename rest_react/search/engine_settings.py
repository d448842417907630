"""The protocol of a search engine's settings, and the context from which they open a client.

    search = settings.search.open(SearchContext(passages, index=folder.root / "bm25", read_corpus=read_corpus))

To add an engine, write a frozen dataclass that subclasses `SearchSettings` beside its client, and add its name to the
union in `search/__init__.py`. Not here: the protocol of the client (`protocols.Search`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from rest_react.protocols import Search
from rest_react.records import Passage

WEB_LACKS_WORLD = "the web does not contain the built-in world; use experiment=web search=<engine>, or set search=bm25"
CORPUS_LACKS_WORLD = (
    "search.corpus does not contain the built-in world; set search.corpus=questions, or use your own questions with "
    "experiment=local_corpus data=<folder>"
)


@dataclass(frozen=True, slots=True)
class SearchContext:
    """What a run tells a search engine: the passages that came with the questions, a folder for an index, and how a
    corpus file is read."""

    passages: Sequence[Passage] | None
    index: Path
    read_corpus: Callable[[str], Sequence[Passage]]


class SearchSettings(Protocol):
    """What the rest of the program asks of a search engine's settings."""

    __slots__ = ()
    asks_outside: ClassVar[bool] = True  # results are worth a cache, and may change
    gives_pages: ClassVar[bool] = False  # the source of a result is the address of a web page

    def open(self, context: SearchContext) -> Search:
        """The client. It connects or loads at its first call."""
        ...

    def wants_passages(self) -> bool:
        """Whether it searches the passages that came with the questions."""
        return False

    def corpus_file(self) -> Path | None:
        """The file it searches, where it searches one."""
        return None

    def lacks_world(self) -> str:
        """Why it cannot find the passages of the built-in world, and what to do; empty if it can."""
        return ""

    def problems(self, path: str) -> Iterator[str]:
        """One message for each wrong value, with what to do; `path` is the name of these settings."""
        yield from ()
