"""Starts a command, and ends it on Ctrl-C and signals.

    from rest_react.processes.command import start

    if __name__ == "__main__":          # before the module's other imports
        start("rest_react.report")

Imports take a second or more. `start` runs before them, so Ctrl-C during the imports prints one line and no traceback.
It imports the module by its name, so a launcher can pickle the module's objects.

SIGTERM and SIGHUP end a command like Ctrl-C: child processes end first, finished work is saved, and the exit status is
128 plus the signal's number. Code that does not react (a thread that waits for a server) is ended after 8 seconds.
Not here: what a command does.
"""

# Few imports here, the others inside functions: Ctrl-C during these lines would print a traceback.
import _thread
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import FrameType, ModuleType
    from typing import Any, NoReturn

INTERRUPTED = "Interrupted. Progress is saved; run the same command again to resume."
_GRACE_S = 8.0
_signals: list[int] = []
_last_messages: list[str] = []  # printed once, at the end of an interrupted command
_printing = _thread.allocate_lock()


def start(module: str) -> "NoReturn":
    """Imports the module by its name, runs its `main`, and ends the process with its exit status."""
    _use_utf8()
    _last_messages.append(INTERRUPTED if module == "rest_react.run" else "Interrupted.")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # not where `nohup` ignores the signal
            signal.signal(number, interrupt)
    try:
        _imported(module).main()
        sys.stdout.flush()
    except BrokenPipeError:  # who read the output has gone (`... | head`), so there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except KeyboardInterrupt:
        _print_last_message()
        end_soon()
        raise SystemExit(exit_status()) from None
    raise SystemExit(0)


def _imported(module: str) -> "ModuleType":
    """The module. Ends the process if a package that it needs is not installed for this Python."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or "rest_react").partition(".")[0]
        if package == "rest_react":
            raise
        print(
            f"{sys.executable} has no package {package}; run `make install` in the project's folder, then "
            "`source .venv/bin/activate`, and run the command again",
            file=sys.stderr,
        )
        raise SystemExit(2) from None


def rest_react() -> "NoReturn":
    """The console command `rest-react`: starts a run."""
    start("rest_react.run")


def run_async(work: "Coroutine[Any, Any, Any]") -> "Any":
    """`asyncio.run`, but an interrupt waits only a few seconds for threads."""
    import asyncio

    async def watched() -> "Any":
        try:
            return await work
        except asyncio.CancelledError:
            end_soon()
            raise

    return asyncio.run(watched())


def exit_status() -> int:
    """The exit status of an interrupted command: 128 plus the signal's number."""
    return 128 + (_signals[0] if _signals else signal.SIGINT)


def end_soon() -> None:
    """Ends the process after 8 seconds if it still runs. Its child processes notice by a pipe and end too."""
    import threading

    def end() -> None:
        _print_last_message()
        os._exit(exit_status())

    timer = threading.Timer(_GRACE_S, end)
    timer.daemon = True
    timer.start()


def interrupt(number: int, frame: "FrameType | None") -> None:
    """A signal handler that ends the command like Ctrl-C; the exit status has the number of the signal."""
    _signals.append(number)
    end_soon()
    handler = signal.getsignal(signal.SIGINT)  # asyncio's own while it runs, which cancels the main task
    if callable(handler):
        handler(signal.SIGINT, frame)
    else:
        raise KeyboardInterrupt


def _print_last_message() -> None:
    # Who comes second ends the process, so it waits for the whole message, but not for a reader that has stopped.
    if _printing.acquire(timeout=1.0):
        try:
            while _last_messages:
                print(_last_messages.pop(), file=sys.stderr, flush=True)
        finally:
            _printing.release()


def _use_utf8() -> None:
    """Restarts Python in UTF-8 mode if the locale has another encoding, since questions, paths and files may contain
    any character. An ASCII terminal shows other characters as codes."""
    if sys.getfilesystemencoding().replace("-", "").casefold() != "utf8":
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONUTF8": "1"})
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
