"""The web, through the `ddgs` package and one fixed engine of it.

    search = DuckDuckGo(requests_per_minute=20)
    hits = await search.search("Ostrim founder", 3)      # [Hit(source="https://...", title="...", snippet="...")]

One engine, since a mixture would change from call to call. The engine is asked directly rather than through `DDGS`,
which answers a refused request (HTTP 202 or 429: the engine's way to limit rates) with the same "No results found."
as an empty page; here the first is an outage and the second an empty list. `backend` is any text engine of ddgs:
duckduckgo, brave, mojeek, wikipedia, ...
Not here: caching, and taking control tokens apart (the agent does that to every hit).
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from rest_react.errors import OutsideFault, UsageError, outside
from rest_react.records import Hit
from rest_react.remote import Backoff, Limiter, TryAgain, retried
from rest_react.search.http import clean_html

_NOTHING = "No results found."


class DuckDuckGo:
    """A `Search` over the web. The default rate is what an engine takes from one address without objecting."""

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
        self._threads = ThreadPoolExecutor(max_in_flight, thread_name_prefix="ddgs")

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most k hits, best first."""
        if not query.strip():
            return []

        async def attempt() -> list[Hit]:
            loop = asyncio.get_running_loop()
            return (await loop.run_in_executor(self._threads, self._ask, query))[:k]

        return await retried(attempt, what=self._backend, backoff=self._backoff, limiter=self._limiter)

    def _ask(self, query: str) -> list[Hit]:
        """One page of results; runs in a thread."""
        from ddgs.engines import ENGINES

        engines = ENGINES["text"]
        if self._backend not in engines:
            known = ", ".join(sorted(engines))
            raise UsageError(f"search.backend: ddgs has no text engine {self._backend!r}; it has {known}")
        try:
            with outside("ddgs"):
                # A new engine each time: it comes as another browser, and engines are not made for several threads.
                engine = engines[self._backend](timeout=self._timeout_s)
                results = engine.search(query, region=self._region)
        except OutsideFault as error:
            if _NOTHING in str(error):
                return []
            raise TryAgain(str(error)) from error
        if results is None:
            raise TryAgain("the engine refused the request (it limits rates, or is down)")
        hits = [Hit(result.href, clean_html(result.title), clean_html(result.body)) for result in results]
        return [hit for hit in hits if hit.source and (hit.title or hit.snippet)]
