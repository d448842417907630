"""A server's reply, read within limits: an endless body would fill the memory, and a redirect carry a prompt elsewhere.

    raw = await whole(reply.content.iter_chunked(65_536), "http://127.0.0.1:8000/retrieve", 16)
    said = await beginning(reply.content.iter_chunked(65_536))      # of an error: more than its first words is no use
    place_of("https://me:pw@elsewhere.example/v1?key=x")            # "https://elsewhere.example", for messages

Not here: the time limit, which is the caller's and holds for the whole reply (`asyncio.timeout`).
"""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from rest_react.errors import OutsideFault

PAGE_MB = 16  # a page has less than one, a retrieval server's long passages a few
MODEL_MB = 64  # many long samples with the log-probabilities of their tokens have a few
_ERROR_BYTES = 256 * 1024


class TooLarge(OutsideFault):
    """A reply larger than the limit: asking again would bring the same."""


async def whole(chunks: AsyncIterator[bytes], what: str, most_mb: int) -> bytes:
    """All chunks as one. Raises TooLarge for more than that."""
    raw = bytearray()
    async for chunk in chunks:
        raw += chunk
        if len(raw) > most_mb * 1024**2:
            raise TooLarge(f"{what}: the reply is larger than {most_mb} MB, so it was not read completely")
    return bytes(raw)


async def beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """The first chunks, as many as an error message may need."""
    raw = bytearray()
    async for chunk in chunks:
        raw += chunk
        if len(raw) >= _ERROR_BYTES:
            break
    return bytes(raw)


def place_of(location: str) -> str:
    """Where a redirect leads, without what may be secret: scheme, host and port."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "another address"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme or 'http'}://{host}" if host else "another path"
