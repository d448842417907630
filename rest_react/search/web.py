"""What is searched over the network: the web, through the `ddgs` package, or a retrieval server of one's own.

    search = DuckDuckGo(requests_per_minute=20)
    hits = await search.search("Ostrim founder", 3)      # [Hit(source="https://...", title="...", snippet="...")]

One engine of the web, since a mixture would change from call to call. It is asked directly rather than through `DDGS`,
which answers a refused request (HTTP 202 or 429: the engine's way to limit rates) with the same "No results found."
as an empty page; here the first is an outage and the second an empty list. `backend` is any text engine of ddgs:
duckduckgo, brave, mojeek, wikipedia, ...

A retrieval server is of the Search-R1 kind:

    POST http://localhost:8000/retrieve   {"queries": ["who founded Ostrim"], "topk": 3, "return_scores": true}
    {"result": [[{"document": {"id": "17", "contents": "\\"Ostrim\\"\\nOstrim is a town ..."}, "score": 12.5}, ...]]}

The first line of `contents` is the title (in quotes in the usual Wikipedia dump), the rest the passage; a document
without an id is known by its title. Both are blocking clients, in threads of the door's own.
`clean_html` turns what any web search returns into the words a reader of the page would see.
Not here: building or starting such a server, and taking control tokens apart (the agent does that to every hit).
"""

import asyncio
import html
import http.client
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from rest_react.errors import OutsideFault, UsageError, outside
from rest_react.records import Hit
from rest_react.remote import Backoff, Limiter, TryAgain, asked_wait_s, proxy_for, retried, worth_retrying

_NOTHING = "No results found."  # ddgs


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
        proxy = proxy_for(url)
        self._opener = build_opener(ProxyHandler({url.partition(":")[0]: proxy} if proxy else {}))
        self._timeout_s = timeout_s
        self._backoff = Backoff(tries=tries, first_wait_s=first_wait_s)
        self._limiter = Limiter(max_in_flight, requests_per_minute)
        # The event loop's own pool has few threads and other users.
        self._threads = ThreadPoolExecutor(max_in_flight, thread_name_prefix="retrieve")

    async def search(self, query: str, k: int) -> list[Hit]:
        """At most k hits, best first."""
        body = msgspec.json.encode({"queries": [query], "topk": k, "return_scores": True})

        async def attempt() -> list[Hit]:
            loop = asyncio.get_running_loop()
            return read_hits(await loop.run_in_executor(self._threads, self._post, body))[:k]

        return await retried(attempt, what=self._url, backoff=self._backoff, limiter=self._limiter)

    def _post(self, body: bytes) -> bytes:
        request = Request(self._url, body, {"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=self._timeout_s) as reply:
                content: bytes = reply.read()
                return content
        except HTTPError as error:
            said = f"HTTP {error.code}: {_said(error)}"
            if worth_retrying(error.code):
                raise TryAgain(
                    said, asked_wait_s({name.lower(): value for name, value in error.headers.items()})
                ) from error
            if error.code in (401, 403, 404, 405):
                raise UsageError(f"{self._url}: {said}; is search.url an open /retrieve endpoint?") from error
            raise OutsideFault(f"{self._url}: {said}") from error
        except (URLError, http.client.HTTPException, OSError) as error:
            raise TryAgain(f"no whole reply ({getattr(error, 'reason', None) or error!r})") from error


def _said(error: HTTPError) -> str:
    """The beginning of an error reply's body; nothing where it breaks off, since the status says enough."""
    try:
        return error.read(500).decode("utf-8", "replace")[:300]
    except (http.client.HTTPException, OSError):
        return ""


class _Document(msgspec.Struct):
    contents: str
    id: str | int | None = None


class _Item(msgspec.Struct):
    document: _Document


class _Reply(msgspec.Struct):
    result: list[list[_Item]]


def read_hits(raw: bytes) -> list[Hit]:
    """The hits for the one query that was sent. Raises TryAgain for what is no such reply."""
    try:
        reply = msgspec.json.decode(raw, type=_Reply)
    except msgspec.DecodeError as error:
        raise TryAgain(f"unreadable reply ({error})") from error
    if len(reply.result) != 1:
        raise TryAgain(f"{len(reply.result)} result lists for one query")
    return [_hit(item.document) for item in reply.result[0]]


def _hit(document: _Document) -> Hit:
    first, _, rest = document.contents.partition("\n")
    title = clean_html(first).strip('"')
    return Hit(title if document.id is None else str(document.id), title, clean_html(rest))


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
            raise TryAgain(str(error).removeprefix("ddgs: ")) from error
        if results is None:
            raise TryAgain("the engine refused the request (it limits rates, or is down)")
        hits = [Hit(result.href, clean_html(result.title), clean_html(result.body)) for result in results]
        return [hit for hit in hits if hit.source and (hit.title or hit.snippet)]


# No `<` inside a tag: an unfinished one ends where the next begins, and no text makes the scan go back.
_TAG = re.compile(r"<!--|-->|<!doctype[^<>]*>|<(?P<close>/?)(?P<name>[a-z][a-z0-9:-]*)(?:[\s/][^<>]*)?>", re.IGNORECASE)
_INLINE = frozenset(
    ("a", "abbr", "b", "cite", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u")
)
_HIDDEN = frozenset(("script", "style", "noscript", "template"))


def clean_html(text: str) -> str:
    """The words a reader of the page would see."""
    shown: list[str] = []
    hidden_until, start = "", 0
    for tag in _TAG.finditer(text):
        if not hidden_until:
            shown.append(text[start : tag.start()])
        start = tag.end()
        name = (tag["name"] or "").lower()
        mark = f"/{name}" if tag["close"] else name or tag[0]
        if hidden_until:
            hidden_until = "" if mark == hidden_until else hidden_until
        elif mark == "<!--":
            hidden_until = "-->"
        elif mark in _HIDDEN:
            hidden_until = f"/{mark}"
        if name not in _INLINE:
            shown.append(" ")
    if not hidden_until:
        shown.append(text[start:])
    plain = unicodedata.normalize("NFC", html.unescape("".join(shown)))
    return " ".join("".join(" " if char.isspace() else char for char in plain if _visible(char)).split())


def _visible(char: str) -> bool:
    """Not a control, format, surrogate or unassigned character; line breaks and tabs are space."""
    return char.isspace() or unicodedata.category(char)[0] != "C"
