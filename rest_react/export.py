"""Exports a run's trajectories or training rows in the formats of other tools, and uploads them to the Hub.

    python -m rest_react.export run=default format=messages out=data
    python -m rest_react.export run=default format=messages out=data stage=bamboogle verdict=correct iteration=[1,2]
    python -m rest_react.export run=default format=preferences out=pairs hub=me/pairs
    python -m rest_react.export run=default format=model iteration=2 hub=me/agent

`out` is a new folder with the data, a card and export.json (what was exported). It appears when it is complete;
the same command again only uploads. Only complete stages are exported; gold answers only with gold=true, and
demonstrations, whose expert writes them, only so or where iteration names 0.
Not here: the formats (exporting), and uploads of anything else.
"""

from rest_react.processes.command import start

if __name__ == "__main__":  # before the other imports; the reason is in processes/command.py
    start("rest_react.export")

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from rest_react.config.cli import stop
from rest_react.errors import RestReactError, RunFolderError, UsageError, disk_errors
from rest_react.exporting.card import write_card
from rest_react.exporting.chat_formats import messages_row, session_lines
from rest_react.exporting.hub import upload
from rest_react.exporting.request import ALL, FORMATS, GROW, ExportRequest, read_request
from rest_react.exporting.training_rows import preference_rows, prompt_completion_rows
from rest_react.reporting.trajectories import RecordedTrajectory, recorded_trajectories
from rest_react.stages.choose_model import weights_of_iteration
from rest_react.storage.files import draft_folder, make_folder, publish, write_json
from rest_react.storage.integrity import SUMMARY
from rest_react.storage.jsonl import replace_lines
from rest_react.storage.run_folder import SCHEMA, RunFolder, iterations
from rest_react.storage.settings_file import read_settings
from rest_react.storage.summaries import read_summary, refuse_damaged_stages
from rest_react.tasks.task_of_run_folder import task_of_run_folder, task_searches
from rest_react.terminal.console import say

DATA, SESSIONS, ABOUT = "data.jsonl", "sessions", "export.json"
_DRAFT = ".rest_react-export-"  # a name that no file of the user has: leftovers with it are removed
_PER_FOLDER = 1_000  # sessions; the Hub takes at most 10,000 files in a folder
HELP = (
    f"usage: python -m rest_react.export run=<name> format={'|'.join(FORMATS)} out=<new folder> [output=outputs] "
    "[iteration=<k>|[1,2]|all] [stage=grow|<benchmark>|all] [outcome=finished|failed|all] "
    "[verdict=correct|incorrect|unscored|all] [gold=true] [hub=<user>/<name>] [private=false]\n\n"
    "Writes a run's trajectories or training rows in the format of other tools (docs/exports.md)."
)


def export(request: ExportRequest) -> Path:
    """Writes the export and uploads it if `hub` is given. Returns the folder that holds its data."""
    root = _run_folder(request)
    refuse_damaged_stages(root)
    if request.format == "model":
        folder = _model_folder(request, root)
    else:
        folder = Path(request.out)
        if folder.exists():
            _refuse_another(folder, request, root)
        else:
            rows = _write(request, root, folder)
            say(f"{folder}: {rows} rows")
    if request.hub:
        kind: Literal["dataset", "model"] = "model" if request.format == "model" else "dataset"
        say(f"uploaded: {upload(folder, request.hub, kind=kind, private=request.private)}")
    return folder


def _run_folder(request: ExportRequest) -> Path:
    """The folder of the run, by its name in `output` or by its path."""
    found = [path for path in (Path(request.output, request.run), Path(request.run)) if iterations(path)]
    if not found:
        raise UsageError(
            f"run={request.run}: {request.output} has no such run; give its name or the path of its folder"
        )
    return found[0]


def _model_folder(request: ExportRequest, root: Path) -> Path:
    (k,) = request.iterations or ()
    folder = weights_of_iteration(root / f"iter_{k}")
    if folder is None or not folder.is_dir():
        raise UsageError(f"{root} has no weights of iteration {k}; a hosted model stays with its provider")
    if not (folder / "README.md").exists():
        raise UsageError(f"{folder} has no card yet; finish the run, which writes it")
    return folder


def _refuse_another(folder: Path, request: ExportRequest, root: Path) -> None:
    """Raises UsageError unless the folder is this export, complete, of these stages."""
    try:
        about = msgspec.json.decode((folder / ABOUT).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        about = {}
    if about.get("request") != request.content:
        raise UsageError(f"out={folder}: it exists and is not this export; remove it or give another folder")
    if about.get("source") != _source(request, root):
        raise UsageError(
            f"out={folder}: it has the same export of another run, or of this one before it went on; remove it or give "
            "another folder"
        )
    say(f"{folder}: already exported ({about['rows']} rows)")


def _source(request: ExportRequest, root: Path) -> str:
    """A digest of the run's place and of the summaries of the exported iterations: of what the rows come from. What a
    tracker was sent is no part of it."""
    digest = hashlib.sha256(str(root.resolve()).encode("utf-8", "replace"))
    for k in _iterations(request, root):
        iteration = root / f"iter_{k}"
        for path in sorted({*iteration.rglob(SUMMARY)} - {iteration / "tracking" / SUMMARY}):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _write(request: ExportRequest, root: Path, folder: Path) -> int:
    """Writes the files of the export; the folder appears when they are complete. Returns the number of rows."""
    locked, source = read_settings(root), _source(request, root)
    with draft_folder(folder.parent, _DRAFT) as draft:
        rows, data_files = _write_data(request, root, locked, draft)
        if not rows:
            raise UsageError(
                f"{root}: no row matches; check iteration, stage, outcome and verdict. Demonstrations, which have the "
                "gold answers, are exported with iteration=0"
            )
        smoke, searches = bool(locked.get("smoke")), task_searches(locked)
        write_card(draft, request, locked, rows=rows, data_files=data_files, smoke=smoke, searches=searches)
        write_json(draft / ABOUT, {"schema": SCHEMA, "request": request.content, "source": source, "rows": rows})
        draft.chmod(0o755)
        publish(draft, folder)
    return rows


def _write_data(request: ExportRequest, root: Path, locked: Mapping[str, Any], draft: Path) -> tuple[int, str]:
    """Writes the rows. Returns their number, and where they are for the Hub."""
    task = task_of_run_folder(locked)
    if request.format == "messages":
        found = _selected(request, root, locked)
        rows = (messages_row(recorded, task, gold=request.gold) for recorded in found)
        return replace_lines(draft / DATA, rows), DATA
    if request.format == "sts":
        count = 0
        for count, recorded in enumerate(_selected(request, root, locked), start=1):
            path = draft / SESSIONS / f"{(count - 1) // _PER_FOLDER:03}" / f"{count:06}.jsonl"
            make_folder(path.parent)
            path.write_bytes(_lines(session_lines(recorded, task, gold=request.gold)))
        return count, f"{SESSIONS}/*/*.jsonl"
    return replace_lines(draft / DATA, _training_rows(request, RunFolder(root), locked)), DATA


def _lines(records: Iterable[object]) -> bytes:
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records)


def _keeps_back(request: ExportRequest, locked: Mapping[str, Any], k: int) -> bool:
    """Whether iteration k has demonstrations and nobody asked for them: their expert writes the gold answers."""
    return k == 0 and request.iterations is None and locked.get("start") == "demonstrations" and not request.gold


def _selected(request: ExportRequest, root: Path, locked: Mapping[str, Any]) -> Iterator[RecordedTrajectory]:
    """The trajectories that pass the filters, first iteration first."""
    stages = [f"iter_{k}/{request.stage}" for k in _iterations(request, root)]
    if request.stage != ALL and not any(_is_complete(root, stage) for stage in stages):
        raise UsageError(f"stage={request.stage}: {root} has no such complete stage; give grow, a benchmark or all")
    for k in _iterations(request, root):
        for recorded in recorded_trajectories(root, k):
            verdict = recorded.result.verdict.verdict if recorded.result else None
            if (
                not (recorded.stage.rpartition("/")[2] == GROW and _keeps_back(request, locked, k))
                and request.stage in (ALL, recorded.stage.rpartition("/")[2])
                and request.outcome in (ALL, recorded.trajectory.outcome)
                and request.verdict in (ALL, verdict)
            ):
                yield recorded


def _is_complete(root: Path, stage: str) -> bool:
    iteration, _, name = stage.partition("/")
    return any(read_summary(root / iteration / place) is not None for place in (name, f"evaluate/{name}"))


def _training_rows(request: ExportRequest, folder: RunFolder, locked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    chat = locked.get("policy.mode") == "chat"
    for k in _iterations(request, folder.root):
        if _keeps_back(request, locked, k) or read_summary(folder.stage(k, "improve")) is None:
            continue
        if request.format == "preferences":
            task = task_of_run_folder(locked, filters=k > 0)
            yield from preference_rows(folder, k, task, locked, chat=chat)
        else:
            yield from prompt_completion_rows(folder, k, chat=chat)


def _iterations(request: ExportRequest, root: Path) -> list[int]:
    """The iterations to export. Raises RunFolderError if the run lacks one that was asked for."""
    found = iterations(root)
    missing = sorted({*(request.iterations or ())} - {*found})
    if missing:
        raise RunFolderError(f"{root} has no iteration {missing[0]}; it has {', '.join(map(str, found))}")
    return [k for k in found if request.iterations is None or k in request.iterations]


def main() -> None:
    """The command line."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(HELP)
        raise SystemExit(0 if words else 2)
    try:
        with disk_errors():
            export(read_request(words))
    except RestReactError as error:
        stop(error)
