"""Reads question sets from the Hugging Face Hub, and single files from a URL.

    read_hub("hotpotqa/hotpot_qa", "fullwiki", "validation", "1908d6a...")

Downloads stay in the cache of `datasets`, so the network is needed once. An error says what to do: get a network, set a
token, correct the name, config, split or revision, or install a package.
Not here: what the columns mean (`labelled_questions`).
"""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError
from urllib.request import urlopen

from rest_react.errors import OutsideFault, UsageError, outside
from rest_react.questions.labelled_questions import (
    columns_of,
    possible_answer_columns,
    questions_from_rows,
    read_questions,
)
from rest_react.questions.question_settings import OpenedQuestions, QuestionContext, QuestionSettings
from rest_react.questions.row_values import raise_problems
from rest_react.records import LabelledQuestion
from rest_react.setting_types import Count, Name
from rest_react.storage.files import draft_folder, flush, write_file

_OR_OWN_FILE = "or use a file of your own (configs/questions/file.yaml)"
_LONGEST_S, _MOST_BYTES = 600.0, 2 * 1024**3


@dataclass(frozen=True, slots=True)
class HubQuestions(QuestionSettings):
    """A data set on the Hub, at a pinned revision, or one file at a URL."""

    kind: Literal["hub"]
    name: Name  # the data set's Hub id, or a URL
    config: str | None  # the data set's configuration; null: it has one only
    split: Name  # train, validation, test, ...
    revision: Name  # a commit, so that the data stay the same
    fields: dict[str, str]  # our names of columns to the data set's (docs/data_formats.md)
    sample: Count | None  # so many questions, drawn at random; null: all
    seed: int  # of the sample

    def open(self, context: QuestionContext, *, labelled: bool) -> OpenedQuestions:
        found = read_hub(self.name, self.config, self.split, self.revision, self.fields, labelled=labelled)
        return OpenedQuestions(found, None, self.seed)

    def origin(self) -> str:
        return self.name


def read_hub(
    name: str,
    config: str | None,
    split: str,
    revision: str,
    fields: Mapping[str, str] | None = None,
    *,
    labelled: bool = True,
) -> list[LabelledQuestion]:
    """The questions of one split, in its order.

    `name` is a data set on the Hub, a local folder with the layout of a data set, or the URL of one file. `revision` is
    a commit hash, since a branch moves; `fields` and `labelled` are as in `read_questions`. Raises UsageError for wrong
    arguments and for a cache that holds only another revision than the pinned one, OutsideFault for network errors, and
    ConfigError with all bad rows.
    """
    import datasets

    if "://" in name:
        return read_questions(
            _fetch_once(name, Path(datasets.config.HF_DATASETS_CACHE) / "files"), fields, labelled=labelled
        )
    fields = fields or {}
    try:
        with outside(f"data set {name}"):
            data = datasets.load_dataset(name, config, split=split, revision=revision)
    except OutsideFault as fault:
        raise _classify_error(fault, name, revision) from fault
    _refuse_another_revision(name, revision, [Path(file["filename"]) for file in data.cache_files])
    columns = columns_of(fields)
    needed = {column for names in columns.values() for column in names} | set(
        possible_answer_columns(data.column_names, columns)
    )
    # Reads only these columns: HotpotQA's passages, for example, are a hundred times as large as its questions.
    kept = [top for top in data.column_names if any(f"{column}.".startswith(f"{top}.") for column in needed)]
    placed = (
        (f"{name} {split}[{number}]", row) for number, row in enumerate(data.select_columns(kept) if kept else data)
    )
    problems = [] if len(data) else [f"{name}: split {split} has no rows; set another split"]
    questions = questions_from_rows(placed, name, fields, labelled, problems)
    raise_problems(problems)
    return questions


def _fetch_once(url: str, folder: Path) -> Path:
    """The file at a URL, downloaded into `folder` unless it is there. Raises UsageError (HTTP 401, 403, 404, 410) or
    OutsideFault."""
    path = folder / hashlib.sha256(url.encode()).hexdigest()[:16] / url.rpartition("/")[2]
    if not path.exists():
        try:
            with outside(f"question set {url}"):
                content = _download(url)
        except OutsideFault as fault:
            if isinstance(fault.__cause__, HTTPError) and fault.__cause__.code in (401, 403, 404, 410):
                raise UsageError(f"{fault}; check the URL in a browser, {_OR_OWN_FILE}") from fault
            raise
        with draft_folder(path.parent, ".fetched-") as draft:
            write_file(draft / path.name, content)
            (draft / path.name).replace(path)
        flush(path.parent)
    return path


def _download(url: str) -> bytes:
    """The whole file; `urlopen` alone limits neither the size nor the total time. Raises OutsideFault beyond them."""
    parts, size, deadline = [], 0, time.monotonic() + _LONGEST_S
    with urlopen(url, timeout=60) as reply:
        while part := reply.read1(1024**2):
            parts.append(part)
            size += len(part)
            if size > _MOST_BYTES or time.monotonic() > deadline:
                raise OutsideFault(
                    f"question set {url}: the download takes more than {_MOST_BYTES} bytes or {_LONGEST_S:.0f} s; "
                    f"download it by hand, {_OR_OWN_FILE}"
                )
        if reply.length:
            raise OutsideFault(f"question set {url}: the connection closed after {size} bytes; run the command again")
    return b"".join(parts)


def _refuse_another_revision(name: str, revision: str, files: Sequence[Path]) -> None:
    """Raises UsageError if `datasets` took another revision from its cache, as it does without a network.

    Its cache has one folder for each commit, so the paths show the revision.
    """
    pinned = re.fullmatch("[0-9a-f]{40}", revision) and not Path(name).is_dir()
    if pinned and not all(revision in file.parts for file in files):
        raise UsageError(
            f"data set {name}: the cache ({files[0].parent}) has another revision than {revision}; "
            "load it once with a network connection, or set revision to the cached one"
        )


def _classify_error(fault: OutsideFault, name: str, revision: str) -> OutsideFault | UsageError:
    """The same error with advice: a UsageError if other settings or another installation would help, else an
    OutsideFault."""
    from huggingface_hub.errors import GatedRepoError

    cause, message = fault.__cause__, str(fault)
    page = f"https://huggingface.co/datasets/{name}"
    causes = [cause, getattr(cause, "__cause__", None), getattr(cause, "__context__", None)]
    if any(isinstance(one, GatedRepoError) for one in causes) or "gated" in message:
        advice = f"accept the licence on {page}, then set HF_TOKEN to a token of your account that may read it"
    elif "scripts are no longer supported" in message:
        advice = f"set revision=refs/convert/parquet if {page} offers that branch, or take a copy without a script"
    elif "Revision" in message and "exist" in message:
        advice = f"revision {revision} does not exist; set a commit from {page}/commits/main"
    elif "Unknown split" in message:
        advice = "set split to one of the listed splits"
    elif "BuilderConfig" in message or "Config name is missing" in message:
        advice = "set config to one of the listed configs"
    elif "find cache" in message:
        advice = "set config to one of the listed configs, or run once with a network connection"
    elif isinstance(cause, ImportError):
        advice = "install that package"
    elif isinstance(cause, (FileNotFoundError, ValueError)):
        advice = f"check the name, and that {page} has data files (a private data set needs HF_TOKEN)"
    else:
        return OutsideFault(
            f"{message}; run once with a network connection and copy the folder HF_HOME here, {_OR_OWN_FILE}"
        )
    return UsageError(f"{message}; {advice}, {_OR_OWN_FILE}")
