"""A reply of a search service, read whole within limits: an endless body would fill the memory.

    raw = await whole(reply.content.iter_chunked(65_536), "http://127.0.0.1:8000/retrieve")

Not here: the time limit, which is the caller's and holds for the whole reply (`asyncio.timeout`).
"""

from collections.abc import AsyncIterator

from rest_react.errors import OutsideFault

MOST_BYTES = 16 * 1024**2  # a page has less than one, a retrieval server's long passages a few


async def whole(chunks: AsyncIterator[bytes], what: str, most: int = MOST_BYTES) -> bytes:
    """All chunks as one. Raises OutsideFault for a reply that is larger; asking again would bring the same."""
    raw = bytearray()
    async for chunk in chunks:
        raw += chunk
        if len(raw) > most:
            raise OutsideFault(f"{what}: the reply is larger than {most // 1024**2} MB; it is not read to its end")
    return bytes(raw)
