r"""Finds in its log why a `vllm serve` process died: the first error of this start that is a cause, not the last lines.

    since = log.stat().st_size                     # before the start
    cause(log, since, started=False)
    # 'ValueError: Free memory on device cuda:0 (10.2/79.1 GiB) is less than desired GPU memory utilization ...'
    can_never_start("vllm serve: error: unrecognized arguments: --foo")      # True: no later start can succeed

vLLM runs in several processes. The one that fails prints its traceback first; the others follow with "See root cause
above", and leaked semaphores stand at the end. Lines carry the process and the place of the call in front.
Not here: starting and stopping (vllm_server).
"""

import re
from pathlib import Path

_READ = 4_000_000  # bytes of one start's log; a server that has run for days has said why it died at the end
_LONGEST = 600  # characters of a cause
_TAIL_LINES = 5
# `(EngineCore_0 pid=812) ERROR 11-28 04:00:00 [core.py:700] ` in any of its forms.
_PREFIX = re.compile(
    r"^(?:\([^()]*pid=\d+\)\s?)*"
    r"(?:(?:INFO|WARNING|ERROR|CRITICAL|DEBUG)\s+\d\d-\d\d \d\d:\d\d:\d\d\s+(?:\[[^\]]*\]\s?)?)?"
)
_EXCEPTION = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Refused|NotFound|Enabled|Interrupt)\b(?::.*)?$"
)
_USAGE = re.compile(r"^\S.*: error: .+")
_KILLED = re.compile(r"died unexpectedly|killed by|Killed$|Segmentation fault|SIGKILL|SIGSEGV", re.IGNORECASE)
# What other processes say after the first one failed.
_FOLLOWS = re.compile(
    r"root cause above|leaked|EngineDeadError|KeyboardInterrupt|SystemExit|CancelledError|Engine core initialization"
)
# Where the fatal part of a log begins: before it stand refusals of single requests, with tracebacks of their own.
_FATAL = re.compile(r"fatal error|failed to start|died unexpectedly|worker.{0,20} failed", re.IGNORECASE)
_CAN_NEVER_START = re.compile(
    r"""
      unrecognized\ arguments | :\ error:\ | invalid\ choice | validation\ errors?\ for
    | derived\ max_model_len | larger\ than\ the\ available\ KV\ cache | No\ available\ memory\ for\ the\ cache
    | not\ a\ valid\ model\ identifier | Invalid\ repository\ ID | RepositoryNotFound | Repository\ Not\ Found
    | LocalEntryNotFound | OfflineModeIsEnabled | offline\ mode\ is\ enabled | find\ the\ requested\ files
    | gated\ repo | GatedRepo | Unauthorized | does\ not\ appear\ to\ have\ a\ file | No\ such\ file\ or\ directory
    | are\ not\ supported | is\ not\ supported | not\ supported\ for\ now | No\ module\ named | cannot\ import\ name
    | Failed\ to\ infer\ device\ type | No\ CUDA\ GPUs | must\ be\ divisible | trust_remote_code | Unknown\ quantization
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OWN_LENGTH = re.compile(r"derived max_model_len\D{0,60}(\d{2,7})")


def cause(log: Path, since: int, *, started: bool) -> str:
    """The error that ended a server, on one line, from the log after byte `since`; without an error, the last lines of
    a failed start. `started`: the server died after it had started."""
    with log.open("rb") as file:
        file.seek(max(since, log.stat().st_size - _READ))
        text = file.read(_READ).decode("utf-8", "replace")
    lines = [stripped for line in text.splitlines() if (stripped := _PREFIX.sub("", line).strip())]
    fatal = next((number for number, line in enumerate(lines) if _FATAL.search(line)), None)
    for pattern in (_USAGE, _EXCEPTION, _KILLED):
        found = [
            number
            for number, line in enumerate(lines)
            if number >= (fatal or 0) and pattern.search(line) and not _FOLLOWS.search(line)
        ]
        if found:
            return _with_details(lines, found[-1] if started and fatal is None else found[0])
    if started:
        return "its log shows no error (was it killed, or out of memory?)"
    last = [line for line in lines if not _FOLLOWS.search(line)] or lines
    return " | ".join(last[-_TAIL_LINES:])[-_LONGEST:] or "it logged nothing"


def _with_details(lines: list[str], number: int) -> str:
    """The line; where it ends in a colon or names a validation error, the line after it too."""
    line = lines[number]
    if (line.endswith(":") or "validation error" in line) and number + 1 < len(lines):
        line = " ".join(lines[number : number + 3])
    return line[:_LONGEST]


def can_never_start(reason: str) -> bool:
    """Whether the same command would fail again for this reason, so that a setting must change."""
    return _CAN_NEVER_START.search(reason) is not None


def own_length(reason: str) -> int | None:
    """The model's own context length in tokens, if the server refused `--max-model-len` because of it."""
    found = _OWN_LENGTH.search(reason)
    return int(found[1]) if found else None
