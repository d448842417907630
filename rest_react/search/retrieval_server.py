"""Searches through a retrieval server with the API of Search-R1.

    search = HttpSearch("http://localhost:8000/retrieve")
    hits = await search.search("who founded Ostrim", 3)       # [Hit(source="17", title="Ostrim", snippet="...")]

    POST /retrieve   {"queries": ["who founded Ostrim"], "topk": 3, "return_scores": true}
    {"result": [[{"document": {"id": "17", "contents": "\\"Ostrim\\"\\nOstrim is a town ..."}, "score": 12.5}, ...]]}

The first line of `contents` is the title (in quotes in the usual Wikipedia dump), the rest is the passage. A document
without an id has its title as id. An empty list in `result` means no results; any other reply without documents is an
outage. Redirects are refused, since they send the query to another address.
Not here: starting such a server.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from rest_react.errors import UsageError
from rest_react.records import Hit
from rest_react.remote.failures.wait_headers import requested_wait_s
from rest_react.remote.http_client import open_session, post, scheme_problem
from rest_react.remote.json_reply import decode_reply
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import Backoff, TryAgain, retry, worth_retrying
from rest_react.remote.whole_reply import PAGE_MB, place_of
from rest_react.search.engine_settings import SearchContext, SearchSettings
from rest_react.search.html_text import clean_html
from rest_react.search.refused_query import QueryRefused, search_or_fault
from rest_react.setting_types import Count, Name, Positive


@dataclass(frozen=True, slots=True)
class HttpSearchSettings(SearchSettings):
    """A retrieval server that answers POST /retrieve."""

    kind: Literal["http"]
    url: Name  # the whole address
    in_flight: Count  # requests at once
    timeout_s: Positive  # seconds until a request is given up and tried again
    tries: Count  # attempts at one request

    def problems(self, path: str) -> Iterator[str]:
        if problem := scheme_problem(self.url):
            yield f"{path}.url: {problem}"

    def open(self, context: SearchContext) -> "HttpSearch":
        return HttpSearch(self.url, timeout_s=self.timeout_s, max_in_flight=self.in_flight, tries=self.tries)


class HttpSearch:
    """A `Search` through the `/retrieve` endpoint at `url` (the full URL, with its path)."""

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
        if problem := scheme_problem(url):
            raise UsageError(f"search.url: {problem}")
        self._url = url
        self._where = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()
        self._timeout_s = timeout_s
        self._backoff = Backoff(tries=tries, first_wait_s=first_wait_s)
        self._limiter = Limiter(max_in_flight, requests_per_minute)

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most `k` hits, best first. Raises OutsideFault after the last try, UsageError for a wrong URL, ModelFault
        if the server refuses this query (for example as too long) and answers another one."""
        if not query.strip():
            return []
        return await search_or_fault(self._search, query, k)

    async def _search(self, query: str, k: int) -> list[Hit]:
        body = msgspec.json.encode({"queries": [query], "topk": k, "return_scores": True})

        async def attempt() -> list[Hit]:
            return read_hits(await self._post(body))[:k]

        return await retry(attempt, what=self._where, backoff=self._backoff, limiter=self._limiter)

    async def _post(self, body: bytes) -> bytes:
        async with open_session(self._url, self._timeout_s) as session:
            reply = await post(session, self._url, body, what=self._where, most_mb=PAGE_MB)
        status = reply.status
        if 200 <= status < 300:
            return reply.body
        problem = f"HTTP {status}: {reply.body[:500].decode('utf-8', 'replace')[:300]}"
        if 300 <= status < 400:
            target = place_of(reply.headers.get("location", ""))
            raise UsageError(
                f"{self._where}: HTTP {status}: the server redirects the query to {target}, which is refused; "
                "set search.url to the final URL"
            )
        if worth_retrying(status):
            raise TryAgain(problem, requested_wait_s(reply.headers))
        if status in (401, 403, 404, 405):
            raise UsageError(f"{self._where}: {problem}; check that search.url is a /retrieve endpoint without a login")
        raise QueryRefused(f"{self._where}: {problem}")


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
    """The hits for the one query of the request. Raises TryAgain if the reply has another form or reports an error."""
    try:
        reply = msgspec.convert(decode_reply(raw), _Reply)
    except (ValueError, RecursionError) as error:
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
