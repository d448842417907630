r"""Decodes the JSON of a server's reply, also where it is not quite JSON.

    >>> decode_reply(b'\xef\xbb\xbf{"title": "Ostrim", "score": NaN}')
    {'title': 'Ostrim', 'score': None}

Real servers send a byte-order mark, NaN and Infinity (they become None), and half of a surrogate pair where a text was
cut. None of these is a reason to lose the reply. Bytes that are not UTF-8 are an error, or with `errors="replace"`
become a replacement character.
Not here: what the reply means (each client).
"""

import json
from typing import Any, Literal

import msgspec


def decode_reply(raw: bytes, errors: Literal["strict", "replace"] = "strict") -> Any:
    """The decoded reply. Raises ValueError or RecursionError if it is not JSON."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        return json.loads(raw.decode("utf-8", errors), parse_constant=lambda _: None)
