"""Search by a retrieval server of one's own, of the Search-R1 kind.

    search = HttpSearch("http://localhost:8000/retrieve")
    hits = await search.search("who founded Ostrim", 3)       # [Hit(source="17", title="Ostrim", snippet="...")]

    POST /retrieve   {"queries": ["who founded Ostrim"], "topk": 3, "return_scores": true}
    {"result": [[{"document": {"id": "17", "contents": "\\"Ostrim\\"\\nOstrim is a town ..."}, "score": 12.5}, ...]]}

The first line of `contents` is the title (in quotes in the usual Wikipedia dump), the rest the passage; a document
without an id is known by its title. "No results" is an empty list in `result`; any other reply without documents is an
outage. Redirects are refused, since they carry the query to another address.
Not here: building or starting such a server.
"""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from rest_react.errors import OutsideFault, UsageError
from rest_react.records import Hit
from rest_react.remote.http_client import proxy_for
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import Backoff, TryAgain, retry, worth_retrying
from rest_react.remote.wait_headers import requested_wait_s
from rest_react.remote.whole_reply import PAGE_MB, place_of, whole
from rest_react.search.html_text import clean_html

if TYPE_CHECKING:
    from aiohttp import StreamReader


class HttpSearch:
    """A `Search` over the `/retrieve` endpoint at `url` (the full address, with its path)."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        max_in_flight: int = 32,
        requests_per_minute: float | None = None,
        tries: int = 5,
        first_wait_s: float = 0.5,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"search.url: {url!r} is no http:// or https:// address")
        self._url = url
        self._where = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()
        self._proxy = proxy_for(url)
        self._timeout_s = timeout_s
        self._backoff = Backoff(tries=tries, first_wait_s=first_wait_s)
        self._limiter = Limiter(max_in_flight, requests_per_minute)

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most k hits, best first."""
        body = msgspec.json.encode({"queries": [query], "topk": k, "return_scores": True})

        async def attempt() -> list[Hit]:
            return read_hits(await self._post(body))[:k]

        return await retry(attempt, what=self._where, backoff=self._backoff, limiter=self._limiter)

    async def _post(self, body: bytes) -> bytes:
        from aiohttp import ClientError, ClientSession, ClientTimeout

        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=self._timeout_s), proxy=self._proxy) as session,
                session.post(
                    self._url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
                ) as reply,
            ):
                if 200 <= reply.status < 300:
                    return await whole(reply.content.iter_chunked(65_536), self._where, PAGE_MB)
                status, headers, said = reply.status, reply.headers, await _beginning(reply.content)
        except (TimeoutError, ClientError, OSError) as error:
            reason = f" ({type(error).__name__}: {error})" if str(error) else ""
            raise TryAgain(f"no whole reply within {self._timeout_s:g} s{reason}") from error
        said = f"HTTP {status}: {said}"
        if 300 <= status < 400:
            place = place_of(headers.get("location", ""))
            raise UsageError(
                f"{self._where}: HTTP {status}: it sends the query on to {place}, which is refused; "
                "set search.url to the address that answers"
            )
        if worth_retrying(status):
            raise TryAgain(said, requested_wait_s(headers))
        if status in (401, 403, 404, 405):
            raise UsageError(f"{self._where}: {said}; is search.url an open /retrieve endpoint?")
        raise OutsideFault(f"{self._where}: {said}")


async def _beginning(content: "StreamReader") -> str:
    """The first words of an error reply; none where it breaks off, since the status says enough."""
    from aiohttp import ClientError

    try:
        return (await content.read(500)).decode("utf-8", "replace")[:300]
    except (TimeoutError, ClientError, OSError):
        return ""


class _Document(msgspec.Struct):
    contents: str
    id: str | int | None = None


class _Item(msgspec.Struct):
    document: _Document


class _Reply(msgspec.Struct):
    result: list[list[_Item]]
    error: object = None
    detail: object = None


def read_hits(raw: bytes) -> list[Hit]:
    """The hits for the one query that was sent. Raises TryAgain for what is no such reply."""
    try:
        reply = msgspec.json.decode(raw, type=_Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TryAgain(f"unreadable reply ({error})") from error
    if reply.error or reply.detail:
        raise TryAgain(f"the reply reports an error ({reply.error or reply.detail!s:.200})")
    if len(reply.result) != 1:
        raise TryAgain(f"{len(reply.result)} result lists for one query")
    return [_hit(item.document) for item in reply.result[0]]


def _hit(document: _Document) -> Hit:
    first, _, rest = document.contents.partition("\n")
    title = clean_html(first).strip('"')
    return Hit(title if document.id is None else str(document.id), title, clean_html(rest))
