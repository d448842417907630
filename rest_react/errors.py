"""Whose fault is it? Every error answers that, and says what, where and the way out in its message.

    RestReactError
    ├── UsageError           ours to explain: the command or its settings cannot be carried out
    │   ├── ConfigError        one or many wrong settings, all told at once
    │   ├── RunFolderError     the run's folder is in use, holds other settings, or is damaged
    │   └── DiskError          the disk is full or read-only, or refuses a file
    ├── ModelFault           the model's own: refused, too long, nothing parsable. A result: recorded, not repeated
    ├── OutsideFault         network, quota, a dead process: recorded, and owed again on the next run
    ├── StageIncomplete      a stage did all it could, but outside faults are left: run the same command again
    └── BudgetReached        the next call might cost more than is left of `budget`: nobody's fault, the run stops

Example: a search outage raises `OutsideFault("duckduckgo: HTTP 503 after 5 tries")`; the trajectory is stored as
failed with `Fault(whose="outside", ...)`, and the next run does it again.

Not here: a catch-all for bugs. A `TypeError` of ours ends the run with its traceback.
"""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rest_react.records import Fault
from rest_react.redaction import redact


class RestReactError(Exception):
    """Root of everything this package raises on purpose. Its message goes to files and to the terminal."""

    exit_status = 1  # of a command that the error ends

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))


class UsageError(RestReactError):
    """The command cannot be carried out as given; the message says the way out."""

    exit_status = 2


class ConfigError(UsageError):
    """All wrong settings of a command at once, one line each: path, problem, way out."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count} in the settings:\n" + "\n".join(f"  {problem}" for problem in problems))


class RunFolderError(UsageError):
    """The run's folder is in use by a live process, holds other settings, or is damaged."""


class DiskError(UsageError):
    """The disk is full or read-only, or refuses a file."""


class ModelFault(RestReactError):
    """The model's own failure; a result."""


class OutsideFault(RestReactError):
    """A failure outside the model and this code; the work is owed again."""


class StageIncomplete(RestReactError):
    """Outside faults are left after a stage's pass."""

    exit_status = 3


class BudgetReached(RestReactError):
    """The run stops before a call that might go over its budget."""

    exit_status = 4


def as_fault(error: ModelFault | OutsideFault) -> Fault:
    """The record of a failure."""
    return Fault("model" if isinstance(error, ModelFault) else "outside", str(error))


def short_reason(message: str) -> str:
    """What messages of one kind share: the message up to its details, behind the client's name without its address.

    >>> short_reason("qwen2.5:7b at http://127.0.0.1:11434/v1: HTTP 503: overloaded (after 6 tries)")
    'qwen2.5:7b: HTTP 503'
    >>> short_reason("no usable sample at step 3 (decide): not Python")
    'no usable sample'
    """
    client = re.match(r"(\S+?)(?: at \S+)?: ", message)
    said = re.split(r":\s| at step| \(", message[client.end() :] if client else message, maxsplit=1)[0][:60]
    return f"{client[1][:60]}: {said}" if client else said


@contextmanager
def outside(what: str) -> Iterator[None]:
    """Turns anything a third-party client raises inside the block into an `OutsideFault` that names `what`.

    For clients whose error types are not a closed list. Our own errors pass unchanged, and so does everything that
    is no `Exception` (cancellation, Ctrl-C).
    """
    try:
        yield
    except RestReactError:
        raise
    except Exception as error:
        raise OutsideFault(f"{what}: {type(error).__name__}: {error}") from error


_FOLDERS = "output=, cache= or REST_REACT_CACHE"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
_BROKEN = (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV)


@contextmanager
def disk_errors(path: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Turns what a disk refuses inside the block into a `DiskError`: what, where, the way out. `path` is where, unless
    the error itself knows. An `OSError` of another kind (a lost connection, a missing file) passes unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            way_out = "free some space and run the same command again"
        elif error.errno in _REFUSED:
            way_out = f"make it writable, or choose another folder ({_FOLDERS}), and run the command again"
        elif error.errno in _IN_THE_WAY:
            way_out = f"move what is in the way, or choose another folder ({_FOLDERS}), and run the command again"
        elif error.errno in _BROKEN:
            way_out = "check the disk (its driver's messages say more), then run the same command again"
        else:
            raise
        where = error.filename or path or "a file"
        raise DiskError(f"{where}: cannot be written or read ({error.strerror}); {way_out}") from error
