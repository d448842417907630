"""Checkpoints of a local training: the worker seals them once they are on disk; only complete ones are resumed from.

    seal_checkpoint(folder / "checkpoints" / "checkpoint-40")      # flushed; files.json says what its files hold
    last_checkpoint(folder / "checkpoints")                        # the last complete one, or None; removes later ones

Two checkpoints are kept, so that a kill or a power cut while one is written leaves the other. A checkpoint without
files.json was not saved completely.
Not here: the content of a checkpoint (written by transformers' Trainer), and the loss curve (loss_curve).
"""

from pathlib import Path

import msgspec

from rest_react.storage.files import flush_tree, remove, write_file
from rest_react.storage.integrity import FileState, damage, measure
from rest_react.terminal.console import say

KEPT = 2
_FILES = "files.json"


def seal_checkpoint(checkpoint: Path) -> None:
    """Flushes a checkpoint to disk and writes the sizes and digests of its files to files.json."""
    flush_tree(checkpoint)
    files = [path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != _FILES]
    states = {path.relative_to(checkpoint).as_posix(): measure(path) for path in files}
    write_file(checkpoint / _FILES, msgspec.json.encode(states))


def last_checkpoint(checkpoints: Path) -> Path | None:
    """The last complete checkpoint, or None. Removes later, damaged ones and prints a note about them."""
    found = {path: int(path.name.removeprefix("checkpoint-")) for path in checkpoints.glob("checkpoint-*")}
    whole, damaged = None, ""
    for checkpoint in sorted(found, key=lambda path: found[path], reverse=True):
        wrong = _wrong_with(checkpoint)
        if not wrong:
            whole = checkpoint
            break
        damaged = damaged or f"{checkpoint}: {wrong}"
        remove(checkpoint)
    if damaged:
        say(f"note: fine-tuning: {damaged}; training resumes from {whole.name if whole else 'the start'}")
    return whole


def _wrong_with(checkpoint: Path) -> str:
    """Why a checkpoint cannot be resumed from; empty if it can."""
    try:
        states = msgspec.json.decode((checkpoint / _FILES).read_bytes(), type=dict[str, FileState])
    except FileNotFoundError:
        return f"it was not saved completely ({_FILES} is missing)"
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"{_FILES} cannot be read ({error})"
    return next(
        (f"{name} {wrong}" for name, state in states.items() if (wrong := damage(checkpoint / name, state))), ""
    )
