"""Runs a command that must not outlive its parent, not even one that is killed with -9.

    process = subprocess.Popen([sys.executable, "-P", tether.__file__, "vllm", "serve", ...],
                               stdin=subprocess.PIPE, start_new_session=True)

The parent holds the write end of standard input and never writes. When the parent is gone, however that happened,
the pipe ends, and the whole process group gets SIGTERM, then SIGKILL. A GPU would otherwise stay full until someone
finds the orphan. Run as a file, so it imports nothing of this package and works from any directory.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 10.0


def main(command: list[str]) -> int:
    """The command's exit code, as a shell would give it; 127 when it cannot be started."""
    # A handler that does nothing, not SIG_IGN: the child would inherit that, and never stop.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return 127
    threading.Thread(target=_end_with_parent, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
