"""All errors of this package, by cause. Each message says what failed, why, and what to do.

    RestReactError
    ├── UsageError           the command or its settings are wrong
    │   ├── ConfigError        one or more wrong settings, all reported at once
    │   ├── RunFolderError     the run's folder is in use, has other settings, or is damaged
    │   └── DiskError          the disk is full or read-only, or refuses a file
    ├── ModelFault           caused by the model: refusal, context too long, no parsable sample. Recorded, not retried
    ├── OutsideFault         external cause: network, quota, a dead process. Recorded, and retried by the next run
    ├── StageIncomplete      a stage is finished except for external errors: run the same command again
    └── BudgetReached        the next call might exceed `budget`: the run stops

Example: a search outage raises `OutsideFault("duckduckgo: HTTP 503 after 5 tries")`; the trajectory is stored as
failed with `Fault(whose="outside", ...)`, and the next run repeats it.

Not here: bugs. A `TypeError` in this package ends the run with its traceback.
"""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rest_react.records import Fault
from rest_react.text_safety.redaction import redact


class RestReactError(Exception):
    """Base class of all errors that this package raises on purpose. Secrets are removed from the message, which goes to
    files and to the terminal."""

    exit_status = 1  # of a command that the error ends

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))


class UsageError(RestReactError):
    """The command or its settings are wrong; the message says what to change."""

    exit_status = 2


class ConfigError(UsageError):
    """All wrong settings of a command at once, one line each: setting, problem, what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{count} in the settings:\n" + "\n".join(f"  {problem}" for problem in problems))


class RunFolderError(UsageError):
    """The run's folder is in use by a live process, has other settings, or is damaged."""


class DiskError(UsageError):
    """The disk is full or read-only, or refuses a file."""


class ModelFault(RestReactError):
    """A failure caused by the model. It is a result: recorded, not retried."""


class OutsideFault(RestReactError):
    """A failure with an external cause (network, quota, process); the next run retries the work."""

    exit_status = 3


class StageIncomplete(RestReactError):
    """A stage is finished except for items that failed with external errors."""

    exit_status = 3


class BudgetReached(RestReactError):
    """The run stops before a call that might exceed its budget."""

    exit_status = 4


# Begins the message of a ModelFault before any model was asked, such as a tool that was rejected: it is no refusal of a
# request (stages.rollouts).
NOT_ASKED = "not asked, because "


def as_fault(error: ModelFault | OutsideFault) -> Fault:
    """The record of an error, for results on disk."""
    return Fault("model" if isinstance(error, ModelFault) else "outside", str(error))


def short_reason(message: str) -> str:
    """The message without its details and without the client's address, to count messages of one kind.

    >>> short_reason("qwen2.5:7b at http://127.0.0.1:11434/v1: HTTP 503: overloaded (after 6 tries)")
    'qwen2.5:7b: HTTP 503'
    >>> short_reason("no usable sample at step 3 (decide): not Python")
    'no usable sample'
    """
    client = re.match(r"(\S+?)(?: at \S+)?: ", message)
    summary = re.split(r":\s| at step| \(", message[client.end() :] if client else message, maxsplit=1)[0][:60]
    return f"{client[1][:60]}: {summary}" if client else summary


@contextmanager
def outside(what: str) -> Iterator[None]:
    """Raises an `OutsideFault` that names `what` for every exception of a third-party client inside the block.

    For clients without a closed list of error types. Errors of this package pass unchanged, and so does everything that
    is not an `Exception` (cancellation, Ctrl-C).
    """
    try:
        yield
    except RestReactError:
        raise
    except Exception as error:
        raise OutsideFault(f"{what}: {type(error).__name__}: {error}") from error


FOLDERS = "output=, cache= or REST_REACT_CACHE"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_PERMISSION = (errno.EROFS, errno.EACCES, errno.EPERM)
_NAME_CONFLICT = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
_DEVICE_ERROR = (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV)


@contextmanager
def disk_errors(path: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Raises a `DiskError` for every `OSError` of a disk inside the block: full, read-only, no permission, damaged.

    `path` is the file to name if the error itself names none. Another `OSError` (a lost connection, a missing file)
    passes unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            advice = "free some space and run the same command again"
        elif error.errno in _NO_PERMISSION:
            advice = f"make it writable, or choose another folder ({FOLDERS}), and run the command again"
        elif error.errno in _NAME_CONFLICT:
            advice = f"move what is in the way, or choose another folder ({FOLDERS}), and run the command again"
        elif error.errno in _DEVICE_ERROR:
            advice = "check the disk (the system log has details), then run the same command again"
        else:
            raise
        where = error.filename or path or "a file"
        raise DiskError(f"{where}: cannot be written or read ({error.strerror}); {advice}") from error
