"""Question sets on the Hub, and single files at a URL.

    read_hub("hotpotqa/hotpot_qa", "fullwiki", "validation", "1908d6a...")

A download is kept in the cache of `datasets`, so that a run needs the network once. A failure says what would help:
a network, a token, another name, config, split or revision, a package.
Not here: what the columns mean (`labelled`).
"""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from rest_react.errors import OutsideFault, UsageError, outside
from rest_react.questions.labelled_questions import columns_of, from_rows, like_answers, read_questions
from rest_react.questions.row_values import checked
from rest_react.records import LabelledQuestion
from rest_react.storage.files import draft_folder, flush, write_file

_OWN = "or use a file of your own (configs/questions/file.yaml)"
_LONGEST_S, _MOST_BYTES = 600.0, 2 * 1024**3


def read_hub(
    name: str,
    config: str | None,
    split: str,
    revision: str,
    fields: Mapping[str, str] | None = None,
    *,
    labelled: bool = True,
) -> list[LabelledQuestion]:
    """One split of a data set on the Hub at `revision` (a commit's hash; a branch moves), of a local folder laid out as
    a data set, or the one file at a URL. Raises UsageError rather than take another revision for a pinned one."""
    import datasets

    if "://" in name:
        return read_questions(
            _fetched(name, Path(datasets.config.HF_DATASETS_CACHE) / "files"), fields, labelled=labelled
        )
    fields = fields or {}
    try:
        with outside(f"data set {name}"):
            data = datasets.load_dataset(name, config, split=split, revision=revision)
    except OutsideFault as fault:
        raise _explained(fault, name, revision) from fault
    _refuse_another_revision(name, revision, [Path(file["filename"]) for file in data.cache_files])
    columns = columns_of(fields)
    wanted = {column for names in columns.values() for column in names} | set(like_answers(data.column_names, columns))
    # Left unread: HotpotQA's passages, for one, are a hundred times its questions.
    kept = [top for top in data.column_names if any(f"{column}.".startswith(f"{top}.") for column in wanted)]
    placed = (
        (f"{name} {split}[{number}]", row) for number, row in enumerate(data.select_columns(kept) if kept else data)
    )
    problems = [] if len(data) else [f"{name}: no rows in {split}; name another split"]
    return checked(from_rows(placed, name, fields, labelled, problems), problems)


def _fetched(url: str, folder: Path) -> Path:
    """The file at a URL, fetched once."""
    path = folder / hashlib.sha256(url.encode()).hexdigest()[:16] / url.rpartition("/")[2]
    if not path.exists():
        try:
            with outside(f"question set {url}"):
                content = _content(url)
        except OutsideFault as fault:
            if isinstance(fault.__cause__, HTTPError) and fault.__cause__.code in (401, 403, 404, 410):
                raise UsageError(f"{fault}; check the address in a browser, {_OWN}") from fault
            raise
        with draft_folder(path.parent, ".fetched-") as draft:
            write_file(draft / path.name, content)
            (draft / path.name).replace(path)
        flush(path.parent)
    return path


def _content(url: str) -> bytes:
    """The whole file; `urlopen` alone limits neither its size nor how long it trickles."""
    parts, size, deadline = [], 0, time.monotonic() + _LONGEST_S
    with urlopen(url, timeout=60) as reply:
        while part := reply.read1(1024**2):
            parts.append(part)
            size += len(part)
            if size > _MOST_BYTES or time.monotonic() > deadline:
                raise OutsideFault(
                    f"question set {url}: more than {_MOST_BYTES} bytes or {_LONGEST_S:.0f} s; fetch it by hand, {_OWN}"
                )
        if reply.length:
            raise OutsideFault(f"question set {url}: the reply broke off after {size} bytes; run the command again")
    return b"".join(parts)


def _refuse_another_revision(name: str, revision: str, files: Sequence[Path]) -> None:
    """Without a network `datasets` takes whatever revision it has; its files lie in a folder named by the commit."""
    pinned = re.fullmatch("[0-9a-f]{40}", revision) and not Path(name).is_dir()
    if pinned and not all(revision in file.parts for file in files):
        raise UsageError(
            f"data set {name}: {files[0].parent} holds another revision than {revision}; "
            "load it once where there is a network, or set the revision to the one that is there"
        )


def _explained(fault: OutsideFault, name: str, revision: str) -> OutsideFault | UsageError:
    """The same failure with what would help; what a changed command would cure is a UsageError."""
    from huggingface_hub.errors import GatedRepoError

    cause, said = fault.__cause__, str(fault)
    page = f"https://huggingface.co/datasets/{name}"
    causes = [cause, getattr(cause, "__cause__", None), getattr(cause, "__context__", None)]
    if any(isinstance(one, GatedRepoError) for one in causes) or "gated" in said:
        way_out = f"accept the licence on {page}, then set HF_TOKEN to a token of your account that may read it"
    elif "scripts are no longer supported" in said:
        way_out = f"set revision=refs/convert/parquet if {page} offers that branch, or take a copy without a script"
    elif "Revision" in said and "exist" in said:
        way_out = f"there is no revision {revision}; take a commit from {page}/commits/main"
    elif "Unknown split" in said:
        way_out = "set split to one of those named"
    elif "BuilderConfig" in said or "Config name is missing" in said:
        way_out = "set config to one of those named"
    elif "find cache" in said:
        way_out = "set config to one of those named, or run it once where there is a network"
    elif isinstance(cause, ImportError):
        way_out = "install the package that it names"
    elif isinstance(cause, (FileNotFoundError, ValueError)):
        way_out = f"check the name and that {page} holds data files (a private set needs HF_TOKEN)"
    else:
        return OutsideFault(f"{said}; run it once where there is a network and bring the folder HF_HOME along, {_OWN}")
    return UsageError(f"{said}; {way_out}, {_OWN}")
