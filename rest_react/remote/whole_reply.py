"""Reads a server's reply up to a size limit, so that an endless body cannot fill the memory.

    raw = await whole(reply.content.iter_chunked(65_536), "http://127.0.0.1:8000/retrieve", 16)
    said = await beginning(reply.content.iter_chunked(65_536))      # the first 256 KB, enough for an error message
    place_of("https://me:pw@elsewhere.example/v1?key=x")            # "https://elsewhere.example", for messages

Not here: the time limit, which the caller sets for the complete reply.
"""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from rest_react.errors import OutsideFault

PAGE_MB = 16  # a page has less than 1 MB, long passages of a retrieval server a few MB
MODEL_MB = 64  # many long samples with the log-probabilities of their tokens have a few MB
_ERROR_BYTES = 256 * 1024


class TooLarge(OutsideFault):
    """A reply is larger than the limit. Not retried, since the same request would get the same reply."""


async def whole(chunks: AsyncIterator[bytes], what: str, most_mb: int) -> bytes:
    """All chunks joined. Raises TooLarge for more than `most_mb` MB; `what` begins its message."""
    raw = bytearray()
    async for chunk in chunks:
        raw += chunk
        if len(raw) > most_mb * 1024**2:
            raise TooLarge(f"{what}: the reply is larger than {most_mb} MB, so it was not read completely")
    return bytes(raw)


async def beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """The first chunks, up to 256 KB: enough for an error message."""
    raw = bytearray()
    async for chunk in chunks:
        raw += chunk
        if len(raw) >= _ERROR_BYTES:
            break
    return bytes(raw)


def place_of(location: str) -> str:
    """The target of a redirect without possible secrets: only scheme, host and port."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "another address"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme or 'http'}://{host}" if host else "another path"
