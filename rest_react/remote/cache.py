"""Answers kept on disk: what a model or a search engine has said once is not asked, or paid for, a second time.

    cache = Cache(Path("cache"))
    llm = CachedLLM(OpenAICompatible("Qwen/Qwen2.5-7B-Instruct", ...), "Qwen/Qwen2.5-7B-Instruct, chat", cache)
    search = CachedSearch(DuckDuckGo(), "duckduckgo, us-en", cache)

A sample is known by its client's name, the whole prompt (whose state names the kind of call), how it was drawn and its
index; a search by its engine, query and k. Seeds are derived from iteration, question, repeat and step, so two repeats
of a question never share an answer, while the same experiment in another folder, or a stage that was cut short, finds
its own again. What several processes ask at once is kept once, and all of them go on with that.

With a client of None, answers are only replayed: what is not kept is refused. The answers are JSON in one SQLite
file, on a local disk; it may be deleted whenever nobody uses it.
Not here: faults, which are never kept, and when an answer is too old.
"""

import hashlib
import json
import sqlite3
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from rest_react.errors import OutsideFault, UsageError
from rest_react.protocols import LLM, Search
from rest_react.records import Completion, Hit, Prompt, Sampling
from rest_react.storage.locked_settings import locked_settings

FILE = "answers.sqlite"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT, part INTEGER, answer TEXT, PRIMARY KEY (key, part)) WITHOUT ROWID"
)
_FIND = "SELECT answer FROM answers WHERE key = ? AND part < ? ORDER BY part"
_KEEP = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?)"
T = TypeVar("T")
_PATIENCE_S = 60.0  # for other processes' writes, which take milliseconds


class Cache:
    """The answers in a folder. Raises UsageError where it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._opened: sqlite3.Connection | None = None

    def find(self, key: str, parts: int) -> list[str]:
        """The first so many parts of an answer; empty unless all of them are kept."""
        try:
            rows = self._connection().execute(_FIND, (key, parts)).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        return [text for (text,) in rows] if len(rows) == parts else []

    def keep(self, key: str, parts: Sequence[str]) -> list[str]:
        """Keeps all parts or, when killed, none; returns what is kept: the parts that were there first stay."""
        try:
            with self._connection() as transaction:
                transaction.executemany(_KEEP, [(key, i, part) for i, part in enumerate(parts)])
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        return self.find(key, len(parts))

    def read(self, text: str, kind: type[T]) -> T:
        """An answer that was kept."""
        try:
            return msgspec.convert(json.loads(text), kind)
        except (ValueError, msgspec.ValidationError) as error:
            raise self._unusable(error) from error

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=_PATIENCE_S)
            weakref.finalize(self, connection.close)
            # Readers never wait for a writer, and a commit waits for no disk: a power cut may cost the last answers.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_TABLE)
            self._opened = connection
        return self._opened

    def _unusable(self, error: Exception) -> UsageError:
        return UsageError(f"{self._path} cannot be used ({error}); free disk space, delete the file, or set cache=null")


class CachedLLM:
    """An `LLM` in front of `llm`. `name` stands for all that its answers depend on besides prompt and sampling."""

    def __init__(self, llm: LLM | None, name: str, cache: Cache) -> None:
        self.client = llm
        self._name = name
        self._cache = cache

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt; asked for together as soon as one of them is not kept."""
        how = [sampling.temperature, sampling.max_tokens, sampling.seed, *sampling.stop]
        turns = [[prompt.turns, prompt.closing]] if prompt.turns or prompt.closing else []
        key = _key("sample", self._name, prompt.prefix, prompt.state, *how, *turns)
        kept = self._cache.find(key, n)
        if not kept:
            if self.client is None:
                raise OutsideFault(f"replay: the cache has no answer of {self._name} to ...{prompt.state[-80:]!r}")
            answer = await self.client.sample(prompt, n=n, sampling=sampling)
            kept = self._cache.keep(key, [_write(completion) for completion in answer])
        return [self._cache.read(text, Completion) for text in kept]

    async def aclose(self) -> None:
        """Closes the client behind it."""
        if self.client is not None:
            await self.client.aclose()


class CachedSearch:
    """A `Search` in front of `search`, with a name as above."""

    def __init__(self, search: Search | None, name: str, cache: Cache) -> None:
        self.client = search
        self._name = name
        self._cache = cache

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most k hits; that there are none is an answer like any other."""
        kept = self._cache.find(self._key(query, k), 1)
        if not kept:
            if self.client is None:
                raise OutsideFault(f"replay: the cache has no answer of {self._name} to query {query!r}")
            kept = self.keep(query, k, await self.client.search(query, k))
        return self._cache.read(kept[0], list[Hit])

    def keep(self, query: str, k: int, hits: Sequence[Hit]) -> list[str]:
        """Keeps an answer; returns the kept one, as JSON."""
        return self._cache.keep(self._key(query, k), [_write(hits)])

    def _key(self, query: str, k: int) -> str:
        return _key("search", self._name, query, k)


def client_name(settings: object, *more: object, weights: str = "") -> str:
    """What a client's answers depend on besides what it is asked: its locked settings, and its weights. Weights in a
    folder are told from others that lay there before by the sizes and times of their files, a report's card aside."""
    folder = Path(weights)
    files = [path for path in sorted(folder.glob("*")) if path.suffix != ".md"] if weights and folder.is_dir() else []
    stamps = [(path.name, state.st_size, state.st_mtime_ns) for path in files for state in [path.stat()]]
    # "door" was the word for a client; another word would lose the answers of earlier versions.
    return json.dumps([locked_settings(settings, "door"), *more, weights, stamps], sort_keys=True)


def _key(*parts: object) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _write(answer: object) -> str:
    # ASCII alone: half of a surrogate pair, as some providers send it, is no UTF-8.
    return json.dumps(msgspec.to_builtins(answer))
