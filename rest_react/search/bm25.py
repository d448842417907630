"""Searches a closed corpus with BM25 in this process, by the bm25s library.

    search = Bm25Search(passages, index_folder=Path("cache/bm25"))
    await search.search("birthplace of Ada Mell", 3)     # [Hit(source="p00017", title="Ada Mell", snippet="...")]

Title and text are indexed together, and the snippet is the text; `word_tokenizer` defines a word. Passages with equal
scores keep their order, so results are the same on every machine. With an `index_folder` the index is saved in a
subfolder named by the corpus's hash and then memory-mapped, also by other processes. Another corpus gets another
subfolder; all of them may be deleted at any time.

Not here: threads, since a query takes milliseconds.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rest_react.errors import ConfigError
from rest_react.records import Hit, Passage
from rest_react.search import word_tokenizer
from rest_react.search.engine_settings import CORPUS_LACKS_WORLD, SearchContext, SearchSettings
from rest_react.setting_types import Name
from rest_react.storage.files import clear_drafts, draft_folder, publish, remove
from rest_react.terminal.console import say

_DRAFT = "unfinished-"


@dataclass(frozen=True, slots=True)
class Bm25Settings(SearchSettings):
    """BM25 in this process."""

    asks_outside: ClassVar[bool] = False

    kind: Literal["bm25"]
    corpus: Name  # a JSONL file of passages, or `questions`: the passages that came with each question set

    def open(self, context: SearchContext) -> "Bm25Search":
        passages = context.passages or () if self.wants_passages() else context.read_corpus(self.corpus)
        return Bm25Search(passages, context.index)

    def wants_passages(self) -> bool:
        return self.corpus == "questions"

    def corpus_file(self) -> Path | None:
        return None if self.wants_passages() else Path(self.corpus)

    def lacks_world(self) -> str:
        return "" if self.wants_passages() else CORPUS_LACKS_WORLD

    def problems(self, path: str) -> Iterator[str]:
        file = self.corpus_file()
        if file is not None and not file.is_file():
            yield f"{path}.corpus: there is no file {file}; give a JSONL of passages, or `questions`"


class Bm25Search:
    """A `Search` over passages. Raises ConfigError if there is no passage or no word in them."""

    def __init__(self, passages: Sequence[Passage], index_folder: Path | None = None) -> None:
        if not passages:
            raise ConfigError(["search.corpus: the corpus has no passages; give a corpus with at least one"])
        self._passages = passages
        self._index = _build(passages) if index_folder is None else _load_or_build(passages, index_folder)

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most `k` passages that share a word with the query, best first; empty for a query without known words."""
        import numpy as np

        tokens = self._index.get_tokens_ids(word_tokenizer.query_words(query))
        if not tokens or k < 1:
            return []
        scores = self._index.get_scores(tokens)
        floor = np.partition(scores, -k)[-k] if k < len(scores) else 0.0
        candidates = np.flatnonzero((scores >= floor) & (scores > 0.0))
        best = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
        passages = [self._passages[i] for i in best.tolist()]
        return [Hit(passage.id, passage.title, passage.text) for passage in passages]


def _build(passages: Sequence[Passage]) -> Any:
    import bm25s

    token_lists = [word_tokenizer.passage_words(passage.title, passage.text) for passage in passages]
    if not any(token_lists):
        raise ConfigError(["search.corpus: no passage holds a word to search for; check that it is the right file"])
    index = bm25s.BM25()
    index.index(token_lists, show_progress=False)
    return index


def _load_or_build(passages: Sequence[Passage], folder: Path) -> Any:
    """The saved index of exactly this corpus, built and saved first if the folder has none or a damaged one."""
    import bm25s

    digest = hashlib.sha256(bm25s.__version__.encode() + Path(word_tokenizer.__file__).read_bytes())
    for passage in passages:
        digest.update(f"\x1e{passage.id}\x1f{passage.title}\x1f{passage.text}".encode("utf-8", "replace"))
    index_path = folder / digest.hexdigest()[:16]
    if index_path.exists():
        clear_drafts(folder, _DRAFT)
        try:
            return bm25s.BM25.load(index_path, mmap=True, show_progress=False)
        except (OSError, ValueError, KeyError, EOFError) as error:
            say(f"note: the search index {index_path} cannot be read ({error}); building it again")
            remove(index_path)
    with draft_folder(folder, _DRAFT) as draft:
        _build(passages).save(draft, show_progress=False)
        publish(draft, index_path)
    return bm25s.BM25.load(index_path, mmap=True, show_progress=False)
