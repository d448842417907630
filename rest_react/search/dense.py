"""Searches a closed corpus with a sentence-embedding model in this process, alone or together with BM25 (hybrid).

    search = DenseSearch(passages, settings, index_folder=Path("cache/dense"))
    await search.search("birthplace of Ada Mell", 3)     # [Hit(source="p00017", title="Ada Mell", snippet="...")]

The model is any encoder that `transformers` loads: a folder or a Hub id, such as all-MiniLM-L6-v2 or e5. A text's
vector is the mean of its token vectors (or the first one), at length 1; the score is the cosine. `hybrid` merges both
rankings by reciprocal ranks (Cormack et al. 2009), which needs no common scale. Vectors are saved in a subfolder of
`index_folder`, named by model and corpus, and memory-mapped. Every query is compared with every passage.
Not here: BM25 (bm25), and an approximate index, which pays from millions of passages on.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rest_react.errors import ConfigError, UsageError
from rest_react.records import Hit, Passage
from rest_react.search.bm25 import Bm25Search
from rest_react.search.engine_settings import CORPUS_LACKS_WORLD, SearchContext, SearchSettings
from rest_react.setting_types import Count, Name
from rest_react.storage.files import clear_drafts, draft_folder, publish, remove
from rest_react.terminal.console import say

if TYPE_CHECKING:
    import numpy as np

_DRAFT, _VECTORS = "unfinished-dense-", "vectors.npy"
_BATCH = 64
_RANK_CONSTANT = 60  # of reciprocal rank fusion, as in its paper
_DEPTH = 100  # ranks of each engine that are merged


@dataclass(frozen=True, slots=True)
class DenseSettings(SearchSettings):
    """A sentence-embedding model in this process, alone or with BM25."""

    asks_outside: ClassVar[bool] = False

    kind: Literal["dense"]
    corpus: Name  # a JSONL file of passages, or `questions`: the passages that came with each question set
    model: Name  # a folder or a Hub id of an encoder
    pooling: Literal["mean", "first"]  # what a text's vector is: the mean of its token vectors, or the first one
    query_prefix: str  # put before a query, where the model was trained with one (e5: `query: `)
    passage_prefix: str  # put before a passage (e5: `passage: `)
    max_length: Count  # tokens of a text; the rest is cut
    hybrid: bool  # merge its ranking with that of BM25
    device: Literal["auto", "cpu", "cuda"]  # auto: the GPU where there is one

    @property
    def gpus(self) -> int:
        """How many GPUs it needs."""
        return int(self.device == "cuda")

    @property
    def takes_gpu(self) -> bool:
        """Whether it runs on a GPU where there is one, and on the CPU elsewhere."""
        return self.device == "auto"

    def open(self, context: SearchContext) -> "DenseSearch":
        passages = context.passages or () if self.wants_passages() else context.read_corpus(self.corpus)
        return DenseSearch(passages, self, context.index)

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


class DenseSearch:
    """A `Search` over passages. Loads the model and makes the vectors of the passages at the first query. Raises
    ConfigError if there is no passage."""

    def __init__(self, passages: Sequence[Passage], settings: DenseSettings, index_folder: Path | None = None) -> None:
        if not passages:
            raise ConfigError(["search.corpus: the corpus has no passages; give a corpus with at least one"])
        self._passages, self._settings, self._folder = passages, settings, index_folder
        self._words = Bm25Search(passages, index_folder) if settings.hybrid else None
        self._places = {passage.id: i for i, passage in enumerate(passages)} if settings.hybrid else {}
        self._encoder: _Encoder | None = None
        self._vectors: Any = None
        self._lock = asyncio.Lock()

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most `k` passages, best first; none for an empty query. Raises UsageError if there is no such model."""
        if not query.strip() or k < 1:
            return []
        async with self._lock:  # one query at a time: the model uses all cores
            ranked = await asyncio.to_thread(self._rank, query, _DEPTH if self._words else k)
        if self._words is not None:
            by_words = [self._places[hit.source] for hit in await self._words.search(query, _DEPTH)]
            ranked = _fuse([ranked, by_words])[:k]
        found = [self._passages[i] for i in ranked]
        return [Hit(passage.id, passage.title, passage.text) for passage in found]

    def _rank(self, query: str, k: int) -> list[int]:
        import numpy as np

        if self._encoder is None:
            self._encoder = _Encoder(self._settings)
            self._vectors = self._vectors_of_passages(self._encoder)
        scores = self._vectors @ self._encoder.vectors([self._settings.query_prefix + query])[0]
        k = min(k, len(scores))
        floor = np.partition(scores, -k)[-k]
        best = np.flatnonzero(scores >= floor)
        order: list[int] = best[np.argsort(-scores[best], kind="stable")][:k].tolist()
        return order

    def _vectors_of_passages(self, encoder: "_Encoder") -> "np.ndarray[Any, Any]":
        """The saved vectors of exactly this model and corpus, made and saved first if there are none."""
        import numpy as np

        prefix = self._settings.passage_prefix
        texts = [f"{prefix}{passage.title}\n{passage.text}" for passage in self._passages]
        if self._folder is None:
            return encoder.vectors(texts)
        digest = hashlib.sha256(encoder.identity().encode())
        for text in texts:
            digest.update(f"\x1e{text}".encode("utf-8", "replace"))
        saved = self._folder / f"dense-{digest.hexdigest()[:16]}"
        if saved.exists():
            clear_drafts(self._folder, _DRAFT)
            try:
                return _loaded(saved)
            except (OSError, ValueError, EOFError) as error:
                say(f"note: the vectors {saved} cannot be read ({error}); making them again")
                remove(saved)
        with draft_folder(self._folder, _DRAFT) as draft:
            np.save(draft / _VECTORS, encoder.vectors(texts))
            publish(draft, saved)
        return _loaded(saved)


def _loaded(folder: Path) -> "np.ndarray[Any, Any]":
    import numpy as np

    vectors: np.ndarray[Any, Any] = np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False)
    return vectors


def _fuse(rankings: Sequence[Sequence[int]]) -> list[int]:
    """One ranking of several, by the sum of 1 / (60 + rank); equal sums keep the order of the first ranking."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (_RANK_CONSTANT + rank)
    return sorted(scores, key=lambda item: -scores[item])


class _Encoder:
    """A loaded model and its tokenizer."""

    def __init__(self, settings: DenseSettings) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        from rest_react.weights import resolve_weights

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._settings = settings
        if settings.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("search.device=cuda, but torch sees no GPU; use device=auto or device=cpu")
        self._device = "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"
        weights = resolve_weights(settings.model)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(weights)
            self._model: Any = AutoModel.from_pretrained(weights, dtype=torch.float32).eval().to(self._device)
        except (OSError, ValueError) as error:
            told = f"search.model={settings.model} cannot be loaded ({str(error).strip().splitlines()[0]})"
            raise UsageError(f"{told}; give a folder or a Hub id") from error

    def identity(self) -> str:
        """What vectors depend on besides their texts: the weights, and how a vector is made."""
        weights = hashlib.sha256()
        for name, values in self._model.named_parameters():
            weights.update(f"{name} {tuple(values.shape)} ".encode() + values.detach().cpu().numpy().tobytes())
        made = f"{self._settings.pooling} {self._settings.max_length}"
        return f"{self._settings.model} {weights.hexdigest()[:16]} {made}"

    def vectors(self, texts: Sequence[str]) -> "np.ndarray[Any, Any]":
        """Vectors of length 1, one row per text."""
        import numpy as np

        # Texts of about the same length go together, so that little is padded.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows: dict[int, np.ndarray[Any, Any]] = {}
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            rows.update(zip(batch, self._batch([texts[i] for i in batch]), strict=True))
        return np.stack([rows[i] for i in range(len(texts))])

    def _batch(self, texts: list[str]) -> "np.ndarray[Any, Any]":
        import torch

        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._settings.max_length, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state
            if self._settings.pooling == "first":
                pooled = states[:, 0]
            else:
                mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
                pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            unit: np.ndarray[Any, Any] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return unit
