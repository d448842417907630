"""Searches the web through one engine of the `ddgs` package.

    search = DuckDuckGo(requests_per_minute=20)
    hits = await search.search("Ostrim founder", 3)      # [Hit(source="https://...", title="...", snippet="...")]

One fixed engine, since a mixture would change from call to call. ddgs builds the request and parses the page. This
module fetches the pages, so that a reply has one time limit and one size limit, Ctrl-C ends a request at once, and a
redirect to another host is refused.

A search has no results only if the engine says so (`_says_no_results`). ddgs itself returns an empty list for every
page that it cannot parse: a refused request, a captcha, a new layout. Those are outages here.
Not here: caching (remote.cache); escaping control tokens, which the agent does for every hit.
"""

import asyncio
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urljoin, urlsplit

from rest_react.errors import OutsideFault, RestReactError, UsageError, outside
from rest_react.records import Hit
from rest_react.remote.failures.wait_headers import requested_wait_s
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import Backoff, TryAgain, retry
from rest_react.remote.whole_reply import PAGE_MB, place_of, whole
from rest_react.search.engine_settings import WEB_LACKS_WORLD, SearchContext, SearchSettings
from rest_react.search.html_text import clean_html, web_text
from rest_react.search.refused_query import QueryRefused, search_or_fault
from rest_react.setting_types import Count, Name, Positive

if TYPE_CHECKING:
    from primp import AsyncClient

_MOST_REDIRECTS = 5
_REFUSED_QUERY = (400, 413, 414, 422)
_SPLIT_REGION = ("brave", "mojeek", "startpage", "wikipedia")  # engines that take `region` apart at its hyphen
# The sentence of an engine for no results; duckduckgo and startpage have an element of class `no-results` instead.
_NO_RESULTS_SENTENCES = {
    "brave": "not many great matches came back",
    "mojeek": "no pages found matching",
    "yahoo": "we did not find results for",
}
_NO_RESULTS = (
    "//*[contains(concat(' ', normalize-space(@class), ' '), ' no-results ')"
    " or contains(concat(' ', normalize-space(@class), ' '), ' result--no-result ')]"
)


@dataclass(frozen=True, slots=True)
class DuckDuckGoSettings(SearchSettings):
    """The web, through ddgs with one fixed backend."""

    gives_pages: ClassVar[bool] = True

    kind: Literal["duckduckgo"]
    backend: Name  # any text engine of ddgs: duckduckgo, brave, mojeek, wikipedia, ...
    region: Name  # country and language of the results
    requests_per_minute: Positive  # at most
    timeout_s: Positive  # seconds until a request is given up and tried again
    tries: Count  # attempts at one request

    def open(self, context: SearchContext) -> "DuckDuckGo":
        return DuckDuckGo(
            backend=self.backend, region=self.region, timeout_s=math.ceil(self.timeout_s), tries=self.tries,
            requests_per_minute=self.requests_per_minute,
        )  # fmt: skip

    def lacks_world(self) -> str:
        return WEB_LACKS_WORLD

    def problems(self, path: str) -> Iterator[str]:
        parts = self.region.split("-")
        if self.backend in _SPLIT_REGION and not (len(parts) == 2 and all(parts)):
            yield (
                f"{path}.region: {self.region!r} is not a country and a language, which {self.backend} needs; write "
                "both, for example us-en"
            )


class DuckDuckGo:
    """A `Search` over the web. `backend` is any text engine of ddgs: duckduckgo, brave, mojeek, wikipedia, ...

    Engines usually accept the default rate from one IP address without refusing requests.
    """

    def __init__(
        self,
        *,
        backend: str = "duckduckgo",
        region: str = "us-en",
        timeout_s: int = 10,
        max_in_flight: int = 4,
        requests_per_minute: float | None = 20.0,
        tries: int = 5,
        first_wait_s: float = 2.0,
    ) -> None:
        self._backend = backend
        self._region = region
        self._timeout_s = timeout_s
        self._backoff = Backoff(tries=tries, first_wait_s=first_wait_s)
        self._limiter = Limiter(max_in_flight, requests_per_minute)

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most `k` hits, best first. Raises OutsideFault after the last try, UsageError for an unknown backend,
        ModelFault if the engine refuses this query (for example as too long) and answers another one."""
        if not query.strip():
            return []
        return await search_or_fault(self._search, query, k)

    async def _search(self, query: str, k: int) -> list[Hit]:

        async def attempt() -> list[Hit]:
            return (await self._ask(query))[:k]

        return await retry(attempt, what=self._backend, backoff=self._backoff, limiter=self._limiter)

    async def _ask(self, query: str) -> list[Hit]:
        """The hits of the first page. Runs the engine again after each fetched page, until it requests none."""
        engine, client, pages = self._engine()
        while True:
            pages.next_page = 0
            try:
                with outside("ddgs"):
                    results = engine.search(query, region=self._region) or []
                    hits = [Hit(result.href, web_text(result.title), web_text(result.body)) for result in results]
                    hits = [hit for hit in hits if hit.source and (hit.title or hit.snippet)]
                    if hits or _says_no_results(engine, [page.text for page in pages.fetched]):
                        return hits
            except _PageWanted as wanted:
                page = await self._fetch(client, wanted)
                if not page.content.strip():  # ddgs would make a hit of it that says nothing
                    raise TryAgain("the page is empty") from None
                pages.fetched.append(page)
            except OutsideFault as error:
                raise TryAgain(f"the page cannot be read ({str(error).removeprefix('ddgs: ')})") from error
            else:
                raise TryAgain(
                    "the page has no results and does not say that there are none "
                    "(a captcha, or a layout that ddgs cannot parse)"
                )

    def _engine(self) -> "tuple[Any, AsyncClient, _Pages]":
        """A new engine and client for each search, so that each search looks like another browser."""
        from ddgs.engines import ENGINES
        from primp import AsyncClient

        engines: Mapping[str, Any] = ENGINES["text"]
        if self._backend not in engines:
            known = ", ".join(sorted(engines))
            raise UsageError(f"search.backend: ddgs has no text engine {self._backend!r}; set one of {known}")
        engine = engines[self._backend](timeout=self._timeout_s)
        client = AsyncClient(
            timeout=self._timeout_s, impersonate="random", impersonate_os="random", follow_redirects=False
        )
        client.headers_update(engine.headers_update)
        engine.http_client = pages = _Pages(client)
        return engine, client, pages

    async def _fetch(self, client: "AsyncClient", wanted: "_PageWanted") -> "_Page":
        """Fetches one page for the engine, following redirects on the same host only."""
        from primp import PrimpError

        method, url, how = wanted.method, wanted.url, wanted.how
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await client.request(method, url, stream=True, **how)
                for _ in range(_MOST_REDIRECTS):
                    if not 300 <= reply.status_code < 400:
                        break
                    await reply.aclose()
                    target = _on_same_host(url, reply.headers.get("location", ""))
                    if reply.status_code not in (307, 308):
                        method, how = "GET", {}
                    url = target
                    reply = await client.request(method, url, stream=True, **how)
                raw = await whole(reply.aiter_bytes(), self._backend, PAGE_MB)
        except (TimeoutError, PrimpError) as error:
            raise TryAgain(f"no complete reply within {self._timeout_s} s ({type(error).__name__}: {error})") from error
        if reply.status_code in _REFUSED_QUERY:
            raise QueryRefused(f"{self._backend}: HTTP {reply.status_code}: the engine refused the query")
        if reply.status_code != 200:
            headers = {name.lower(): value for name, value in reply.headers.items()}
            message = f"HTTP {reply.status_code}: the engine refused the request (rate limit or outage)"
            raise TryAgain(message, requested_wait_s(headers))
        return _Page(raw)


def _on_same_host(url: str, location: str) -> str:
    """The target of a redirect. Raises TryAgain for another host, and for http in place of https."""
    try:
        target = urljoin(url, location)
        before, after = urlsplit(url), urlsplit(target)
    except ValueError as error:
        raise TryAgain(f"the engine redirects the query to an address that cannot be read ({error})") from error
    if after.netloc != before.netloc or after.scheme not in ("https", before.scheme):
        raise TryAgain(f"the engine redirects the query to {place_of(target)}, which is refused")
    return target


class _PageWanted(RestReactError):
    """The engine requests a page that is not fetched yet. Never leaves this module."""

    def __init__(self, method: str, url: str, how: dict[str, Any]) -> None:
        self.method, self.url, self.how = method, url, how
        super().__init__(url)


@dataclass(frozen=True, slots=True)
class _Page:
    """A fetched page with the attributes that ddgs reads."""

    content: bytes
    status_code: int = 200

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")


class _Pages:
    """Replaces the HTTP client of an engine: returns the fetched pages in order, then raises _PageWanted."""

    def __init__(self, client: Any) -> None:
        self.client = client  # engines set their cookies on it
        self.fetched: list[_Page] = []
        self.next_page = 0

    def request(self, method: str, url: str, **how: Any) -> _Page:
        if self.next_page == len(self.fetched):
            raise _PageWanted(method, url, how)
        self.next_page += 1
        return self.fetched[self.next_page - 1]


def _says_no_results(engine: Any, pages: Sequence[str]) -> bool:
    """Whether the engine says that it has no results."""
    match engine.name:
        case "wikipedia":  # no titles; or a disambiguation page, which ddgs drops
            known = json.loads(pages[0])
            return (len(known) == 4 and known[1] == []) or "may refer to:" in pages[-1]
        case "grokipedia":
            return "results" in json.loads(pages[-1])
        case "brave" | "mojeek" | "yahoo":
            return _NO_RESULTS_SENTENCES[engine.name] in clean_html(pages[-1]).casefold()
    return bool(engine.extract_tree(pages[-1]).xpath(_NO_RESULTS))
