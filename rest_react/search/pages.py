"""Reads the pages behind the first results of a web search, and shows their text instead of the engine's snippet.

    search = PageReader(JsonSearch(settings), most=1, characters=2000)
    await search.search("who founded Ostrim", 3)      # the first hit's snippet is the beginning of its page's main text

A page is read directly, never through a proxy, from a public address only: the address is checked where its socket is
made, after every reading and resolution of the URL, and those of private networks and of this machine are refused. Only
the usual ports, no redirects, HTML or plain text, at most 2 MB, in a time limit. A page that cannot be read keeps the
engine's snippet; the first page of a run that cannot is named on the terminal. trafilatura finds the main text. With a
cache the texts of pages are kept by address; a page that could not be read is not, so another run reads it again.
Not here: PDF, pages that need JavaScript, robots.txt, and the counts of a stage (stages.rollouts).
"""

import asyncio
import errno
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from rest_react.concurrency import gather_or_cancel, in_daemon_thread
from rest_react.errors import OutsideFault, outside
from rest_react.protocols import Search
from rest_react.records import Hit
from rest_react.remote.cache import Cache, cache_key
from rest_react.remote.http_client import get
from rest_react.remote.retry import TryAgain
from rest_react.remote.whole_reply import place_of
from rest_react.search.html_text import visible_line
from rest_react.terminal.console import say
from rest_react.text_safety.escaping import printable

if TYPE_CHECKING:
    from aiohttp import AddrInfoType, ClientSession

Address: TypeAlias = IPv4Address | IPv6Address
_PAGE_MB, _TIMEOUT_S, _AT_ONCE = 2, 15.0, 16
_PORTS = {"http": (None, 80), "https": (None, 443)}
_TEXT = ("text/html", "application/xhtml+xml", "text/plain")
_GLOBAL_UNICAST = ip_network("2000::/3")  # Python also counts what lies outside as global: site-local, translated IPv4
_WRAPS_IPV4 = tuple(map(ip_network, ("2002::/16", "2001::/32")))


class _Unread(Exception):
    """Why a page is not read. Never leaves this module."""


def is_public(address: Address) -> bool:
    """Whether an address is on the internet: not private, not this machine, and not a form that wraps another one."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _GLOBAL_UNICAST or any(address in network for network in _WRAPS_IPV4):
            return False
    return address.is_global and not address.is_multicast


def missing_package() -> str:
    """What must be installed to read pages; empty if nothing is missing."""
    return "" if find_spec("trafilatura") else "it needs trafilatura: pip install 'rest-react[pages]'"


def main_text(page: bytes) -> str:
    """The main text of an HTML page; empty if it has none."""
    with outside("trafilatura"):
        import trafilatura

        return trafilatura.extract(page, include_comments=False) or ""


class PageReader:
    """A `Search` that reads the pages of the first `most` hits, and shows at most `characters` of each. With `replay`
    no page is fetched. Tests replace the rule for addresses, the ports and the extraction of text."""

    def __init__(
        self,
        search: Search,
        *,
        most: int,
        characters: int,
        timeout_s: float = _TIMEOUT_S,
        allowed: Callable[[Address], bool] = is_public,
        any_port: bool = False,
        extract: Callable[[bytes], str] = main_text,
        cache: Cache | None = None,
        replay: bool = False,
    ) -> None:
        self._search, self._most, self._characters = search, most, characters
        self._timeout_s, self._allowed, self._any_port, self._extract = timeout_s, allowed, any_port, extract
        self._cache, self._replay = cache, replay
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._told = False

    async def search(self, query: str, k: int) -> list[Hit]:
        """As the engine, with the texts of the first pages."""
        hits = await self._search.search(query, k)
        read = await gather_or_cancel(self._with_page(hit) for hit in hits[: self._most])
        return [*read, *hits[self._most :]]

    async def _with_page(self, hit: Hit) -> Hit:
        try:
            text = await self._text(hit.source)
        except (_Unread, OutsideFault, TryAgain) as problem:
            if not self._told:
                self._told = True
                told = f"note: agent.read_pages: {place_of(hit.source)}: a page is not read ({problem!s:.200})"
                say(printable(f"{told}; the engine's snippet is shown instead. Other such pages are not named"))
            return replace(hit, page="unread")
        return replace(hit, snippet=text[: self._characters], page="read")

    async def _text(self, url: str) -> str:
        """The visible main text of a page on one line, from the cache if it is there."""
        key = cache_key("page", url)
        kept = [] if self._cache is None else self._cache.find(key, 1)
        if self._cache is not None and kept:
            return visible_line(self._cache.read(kept[0], str))
        if self._replay:
            raise _Unread("replay: the cache does not have it")
        text = visible_line(await self._read(url))
        if not text:
            raise _Unread("it has no main text")
        if self._cache is not None:
            self._cache.keep(key, [json.dumps(text)])
        return text

    async def _read(self, url: str) -> str:
        """The main text of a page."""
        try:
            parts = urlsplit(url)
            port, name = parts.port, parts.hostname or ""
        except ValueError as error:
            raise _Unread(f"not an address ({error})") from error
        if parts.scheme not in _PORTS or not name or parts.username or parts.password:
            raise _Unread("not a plain http:// or https:// address")
        if not self._any_port and port not in _PORTS[parts.scheme]:
            raise _Unread(f"port {port}")
        async with self._places, self._session() as session:
            reply = await get(session, url, what=place_of(url), most_mb=_PAGE_MB)
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if reply.status != 200:
            raise _Unread(
                f"HTTP {reply.status}" + (": redirects are not followed" if 300 <= reply.status < 400 else "")
            )
        if kind not in _TEXT:
            raise _Unread(f"content type {kind or 'unknown'}")
        if kind == "text/plain":
            return reply.body.decode("utf-8", "replace")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await in_daemon_thread(lambda: self._extract(reply.body))
        except TimeoutError as error:
            raise _Unread(f"its main text was not found within {self._timeout_s:g} s") from error

    def _session(self) -> "ClientSession":
        """A session for one page, which connects to allowed addresses only."""
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        return ClientSession(
            headers={"User-Agent": "rest_react", "Accept": "text/html, text/plain;q=0.9"},
            timeout=ClientTimeout(total=self._timeout_s),
            connector=TCPConnector(socket_factory=self._allowed_socket, force_close=True),
            cookie_jar=DummyCookieJar(),
            trust_env=False,
        )

    def _allowed_socket(self, info: "AddrInfoType") -> socket.socket:
        """The socket of a connection. Raises OSError if its address is not allowed."""
        family, kind, protocol, _, target = info
        host = str(target[0])
        try:
            allowed = self._allowed(ip_address(host.partition("%")[0]))
        except ValueError:  # another form of an address, which only the system would read
            allowed = False
        if not allowed:
            raise PermissionError(errno.EACCES, f"{host} is in a private network")
        return socket.socket(family, kind, protocol)
