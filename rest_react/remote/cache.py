"""Caches the answers of models and search engines on disk, so that no request is made and paid for twice.

    cache = Cache(Path("cache"))
    llm = CachedLLM(OpenAICompatible("Qwen/Qwen2.5-7B-Instruct", ...), "Qwen/Qwen2.5-7B-Instruct, chat", cache)
    search = CachedSearch(DuckDuckGo(), "duckduckgo, us-en", cache)

The key of a sample is the client's name, the whole prompt (its state names the kind of call), the sampling settings and
the sample's index. The key of a search is the engine, the query and k. Seeds are derived from iteration, question,
repeat and step. So two repeats of a question never share an answer, but an interrupted stage, or the same experiment in
another folder, finds its answers again. If several processes make the same request at once, all use the answer that was
stored first.

With a client of None, answers are only replayed: a request that is not in the cache raises OutsideFault. The answers
are JSON in one SQLite file, which must be on a local disk and may be deleted while no process uses it (a lock file is
beside it).
Not here: faults are never cached, and answers never expire.
"""

import fcntl
import hashlib
import json
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rest_react.errors import OutsideFault, UsageError
from rest_react.protocols import LLM, Search
from rest_react.records import Completion, Hit, OptionScores, Prompt, Sampling
from rest_react.storage.locked_settings import locked_settings

FILE = "answers.sqlite"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT, part INTEGER, answer TEXT, PRIMARY KEY (key, part)) WITHOUT ROWID"
)
_FIND = "SELECT answer FROM answers WHERE key = ? AND part < ? ORDER BY part"
_KEEP = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?)"
T = TypeVar("T")
_SCORES: Any = OptionScores | None
_PATIENCE_S = 60.0  # wait for writes of other processes, which take milliseconds


class Cache:
    """The answers in a folder. Every method raises UsageError if the file cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._opened: sqlite3.Connection | None = None

    def find(self, key: str, parts: int) -> list[str]:
        """The first `parts` parts of an answer; empty unless all of them are stored."""
        try:
            rows = self._connection().execute(_FIND, (key, parts)).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        return [text for (text,) in rows] if len(rows) == parts else []

    def keep(self, key: str, parts: Sequence[str]) -> list[str]:
        """Stores all parts in one transaction and returns the stored ones. Parts that were stored earlier stay."""
        try:
            with self._connection() as transaction:
                transaction.executemany(_KEEP, [(key, i, part) for i, part in enumerate(parts)])
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        return self.find(key, len(parts))

    def read(self, text: str, kind: type[T]) -> T:
        """A stored answer, decoded as `kind`."""
        try:
            return msgspec.convert(json.loads(text), kind)
        except (ValueError, msgspec.ValidationError) as error:
            raise self._unusable(error) from error

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # One thread uses it, but any thread may collect it and so close the file.
            connection = sqlite3.connect(self._path, timeout=_PATIENCE_S, check_same_thread=False)
            weakref.finalize(self, connection.close)
            # If several processes switch a new file to WAL at once, SQLite refuses all but one without a wait.
            with _locked(self._path.with_suffix(".lock")):
                # Readers never wait for a writer. A commit waits for no disk: a power cut may cost the last answers.
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(_TABLE)
            self._opened = connection
        return self._opened

    def _unusable(self, error: Exception) -> UsageError:
        return UsageError(
            f"{self._path} cannot be used ({error}); free disk space, make its folder writable, delete the file, or "
            "set cache=null"
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Locks a file for this process. One that may not be written is another user's, whose cache is set up."""
    with ExitStack() as opened:
        with suppress(OSError):
            fcntl.flock(opened.enter_context(path.open("a")), fcntl.LOCK_EX)
        yield


class CachedLLM:
    """An `LLM` that asks `llm` for answers that are not cached. `name` identifies everything that answers depend on
    besides prompt and sampling (see `client_name`)."""

    def __init__(self, llm: LLM | None, name: str, cache: Cache) -> None:
        self.client = llm
        self._name = name
        self._cache = cache

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt. If one is not cached, all n are requested."""
        how = [sampling.temperature, sampling.max_tokens, sampling.seed, *sampling.stop]
        key = cache_key("sample", self._name, prompt.prefix, prompt.state, *how, *_turns(prompt))
        kept = self._cache.find(key, n)
        if not kept:
            if self.client is None:
                raise OutsideFault(f"replay: the cache has no answer of {self._name} to ...{prompt.state[-80:]!r}")
            answer = await self.client.sample(prompt, n=n, sampling=sampling)
            kept = self._cache.keep(key, [_write(completion) for completion in answer])
        return [self._cache.read(text, Completion) for text in kept]

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """Scores of the options. That there are none is cached too, unless a text is read (the only option): that ends
        the run, and the way out is another server."""
        key = cache_key("score", self._name, prompt.prefix, prompt.state, list(options), *_turns(prompt))
        kept = self._cache.find(key, 1)
        if not kept:
            if self.client is None:
                raise OutsideFault(f"replay: the cache has no scores of {self._name} for ...{prompt.state[-80:]!r}")
            answer = await self.client.score(prompt, options)
            if answer is None and len(options) == 1:
                return None
            kept = self._cache.keep(key, [_write(answer)])
        scores: OptionScores | None = self._cache.read(kept[0], _SCORES)
        return scores

    async def aclose(self) -> None:
        """Closes the client."""
        if self.client is not None:
            await self.client.aclose()


class CachedSearch:
    """A `Search` that asks `search` for results that are not cached; `name` as in CachedLLM."""

    def __init__(self, search: Search | None, name: str, cache: Cache) -> None:
        self.client = search
        self._name = name
        self._cache = cache

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most k hits. An empty result is cached like any other."""
        kept = self._cache.find(self._key(query, k), 1)
        if not kept:
            if self.client is None:
                raise OutsideFault(f"replay: the cache has no answer of {self._name} to query {query!r}")
            kept = self.keep(query, k, await self.client.search(query, k))
        return self._cache.read(kept[0], list[Hit])

    def keep(self, query: str, k: int, hits: Sequence[Hit]) -> list[str]:
        """Stores an answer; returns the stored one as JSON."""
        return self._cache.keep(self._key(query, k), [_write(hits)])

    def _key(self, query: str, k: int) -> str:
        return cache_key("search", self._name, query, k)


def client_name(settings: object, *more: object, weights: str = "") -> str:
    """Identifies what a client's answers depend on besides the request: its locked settings and its weights. If the
    weights are in a folder, the names, sizes and times of its files tell new weights from old; cards (.md) do not
    count."""
    folder = Path(weights).expanduser()
    files = [path for path in sorted(folder.glob("*")) if path.suffix != ".md"] if weights and folder.is_dir() else []
    stamps = [(path.name, state.st_size, state.st_mtime_ns) for path in files for state in [path.stat()]]
    # "door" was the word for a client; another word would lose the answers of earlier versions.
    return json.dumps([locked_settings(settings, "door"), *more, weights, stamps], sort_keys=True)


def cache_key(*parts: object) -> str:
    """The key of an answer to this request."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _turns(prompt: Prompt) -> list[object]:
    return [[prompt.turns, prompt.closing]] if prompt.turns or prompt.closing else []


def _write(answer: object) -> str:
    # ASCII only: some providers send lone surrogates, which UTF-8 cannot encode.
    return json.dumps(msgspec.to_builtins(answer))
