"""Bodies that no client may crash on, and bodies without an end."""

import time
from collections.abc import Iterator


def nested(depth: int) -> bytes:
    """Whole JSON, but so deep that reading it, or showing what was read, may go too far."""
    return b'{"error": {"message": ' + b'{"a": [' * depth + b"1" + b"]}" * depth + b"}}"


ODD_BODIES = [
    b"\xff\xfe\x00not text",
    b'{"error": {"message": "\xff\xfe"}}',
    b'{"error": {"message": "half a pair \\ud83d"}}',
    b'{"error": {"message": "x", "code": ' + b"4" * 5000 + b"}}",
    b'{"error": {"message": {"detail": 7}, "code": [1], "metadata": [], "param": {}}}',
    b"[" * 200_000,
    b'{"error": ' + b'{"a":' * 200_000,
    *(nested(depth) for depth in (150, 300, 450, 490, 700, 900)),
    b"[null]",
    b"null",
    b'"text"',
    b"",
]


def endless(first: bytes = b"[", part: bytes = b" " * 2**20, wait_s: float = 0.0) -> Iterator[bytes]:
    """A body that comes in parts for as long as anybody listens (for some seconds, as a thread has to end)."""
    yield first
    for _ in range(1000):
        time.sleep(wait_s)
        yield part
