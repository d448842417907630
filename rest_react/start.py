"""How a command starts, and how it ends when it is told to.

    from rest_react.start import start

    if __name__ == "__main__":          # in front of the module's other imports
        start("rest_react.report")

Imports take a second or more. `start` is there before them, so that Ctrl-C during them prints one line and no
traceback; and it runs the module under its own name, so that a launcher can pickle what is in it.

SIGTERM and SIGHUP end a command as Ctrl-C does: what it started ends first, what is finished is kept, and the exit
status is 128 plus the signal's number. Whatever does not listen (a thread that waits for a server) gets a few seconds.
Not here: what a command does.
"""

# As little as possible, and the rest inside the functions: Ctrl-C during these lines does print a traceback.
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import FrameType
    from typing import Any, NoReturn

INTERRUPTED = "Interrupted. Progress is saved; run the same command again to resume."
_GRACE_S = 8.0
_heard: list[int] = []
_untold: list[str] = []  # what is said at the end of an interrupted command, once


def start(module: str) -> "NoReturn":
    """Imports the module by its name and runs its `main`. Ends the process."""
    _use_utf8()
    _untold.append(INTERRUPTED if module == "rest_react.run" else "Interrupted.")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` asks for one to be ignored
            signal.signal(number, _as_ctrl_c)
    try:
        import importlib

        importlib.import_module(module).main()
    except KeyboardInterrupt:
        _tell()
        end_soon()
        raise SystemExit(exit_status()) from None
    raise SystemExit(0)


def rest_react() -> "NoReturn":
    """The console command."""
    start("rest_react.run")


def run_async(work: "Coroutine[Any, Any, Any]") -> "Any":
    """`asyncio.run`, with an end to the wait for threads once it is interrupted."""
    import asyncio

    async def watched() -> "Any":
        try:
            return await work
        except asyncio.CancelledError:
            end_soon()
            raise

    return asyncio.run(watched())


def exit_status() -> int:
    """What an interrupted command ends with, as a shell would put it."""
    return 128 + (_heard[0] if _heard else signal.SIGINT)


def end_soon() -> None:
    """Ends the process in a few seconds if it has not ended by then. Its children hold a pipe to it and end as well."""

    import threading

    def end() -> None:
        _tell()
        os._exit(exit_status())

    timer = threading.Timer(_GRACE_S, end)
    timer.daemon = True
    timer.start()


def _tell() -> None:
    while _untold:
        print(_untold.pop(), file=sys.stderr, flush=True)


def _as_ctrl_c(number: int, frame: "FrameType | None") -> None:
    _heard.append(number)
    end_soon()
    handler = signal.getsignal(signal.SIGINT)  # asyncio's own while it runs, which cancels the main task
    if callable(handler):
        handler(signal.SIGINT, frame)
    else:
        raise KeyboardInterrupt


def _use_utf8() -> None:
    """Starts again in Python's UTF-8 mode where the locale's encoding is another one: questions, paths and files hold
    any character. A terminal that takes only ASCII gets the others as their codes, in place of an error."""
    if sys.getfilesystemencoding().replace("-", "").casefold() != "utf8":
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONUTF8": "1"})
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
