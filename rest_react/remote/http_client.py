"""Opens HTTP clients with the right proxy, key, time limit and size limit.

    async with open_session("http://localhost:8000/retrieve", timeout_s=30) as session:
        reply = await post(session, "http://localhost:8000/retrieve", b"{}", what="retrieval", most_mb=16)
    client = open_client("https://api.openai.com/v1", key_from("OPENAI_API_KEY"), timeout_s=120)     # the SDK's

No client follows redirects, because they would send a prompt to another address. Every client limits the size of a
reply. A key is only in its environment variable and in the client.

Our own requests use aiohttp: one costs 0.2 ms of CPU, with httpx 2 to 3.6 ms (16 to 256 at once). The SDKs of OpenAI
(fine-tuning) and Google use httpx; `open_http` limits its replies.
Not here: retries (retry), parsing replies (error_replies, and each client), and pages of search engines, which `primp`
fetches like a browser (search.web).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rest_react.errors import UsageError
from rest_react.remote.retry import TryAgain
from rest_react.remote.whole_reply import MODEL_MB, beginning, whole
from rest_react.text_safety.redaction import secret_in

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient


def proxy_for(address: str) -> str | None:
    """The proxy from the environment for this address. Always None for loopback addresses, since a cluster's proxy
    cannot reach them."""
    url = urlsplit(address)
    if is_loopback(address) or proxy_bypass(url.netloc.rpartition("@")[2]):
        return None
    proxy = getproxies().get(url.scheme)
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy  # as curl reads it


def is_loopback(address: str) -> bool:
    """Whether a URL names this machine: 127.0.0.0/8, ::1, localhost."""
    name = (urlsplit(address).hostname or "").rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        host = ip_address(name)
    except ValueError:
        return False
    host = getattr(host, "ipv4_mapped", None) or host
    return host.is_loopback or host.is_unspecified  # 0.0.0.0 reaches this machine too


def key_from(api_key_env: str | None) -> str:
    """The API key in that environment variable; a placeholder for None (no key needed). Raises UsageError if it is not
    set, or cannot be part of a request."""
    if api_key_env is None:
        return "none"
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise UsageError(f"no API key: set the environment variable {api_key_env} (api_key_env=null asks for none)")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            f"the key in {api_key_env} has a line break or another character that no key has; set it again"
        )
    return key


def scheme_problem(url: str) -> str:
    """What is wrong with an address that does not begin with its scheme; empty if it does."""
    begins = url.startswith(("http://", "https://"))
    return "" if begins else f"{url!r} is not an http:// or https:// address; give one such as http://localhost:8000/v1"


def refuse_address(base_url: str) -> None:
    """Raises UsageError if `base_url` is not an http(s) URL, or contains a secret: messages and files show the URL."""
    if secret := secret_in(base_url, address=True):
        raise UsageError(f"base_url: holds {secret}; store it in an environment variable and name that in api_key_env")
    if problem := scheme_problem(base_url):
        raise UsageError(f"base_url: {problem}")


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply with its complete body, or with the beginning of the body if it is an error."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def open_session(address: str, timeout_s: float, headers: Mapping[str, str] | None = None) -> "ClientSession":
    """A session that keeps its connections open, without a limit on their number (the limiter sets one). `timeout_s`
    limits a complete reply, since some gateways send blank lines while they wait."""
    from aiohttp import ClientSession, ClientTimeout, TCPConnector

    return ClientSession(
        headers={"Content-Type": "application/json", **(headers or {})},
        timeout=ClientTimeout(total=timeout_s),
        # uvicorn closes connections that are idle for 5 s; a request sent at that moment would be lost.
        connector=TCPConnector(limit=0, keepalive_timeout=4.0),
        # Once, not with aiohttp's trust_env: that reads environment and ~/.netrc in two threads for each request.
        proxy=proxy_for(address),
    )


async def post(
    session: "ClientSession",
    address: str,
    body: bytes,
    *,
    what: str,
    most_mb: int,
    headers: Mapping[str, str] | None = None,
) -> HttpReply:
    """The reply to a POST, of any status; `headers` join those of the session. Raises TryAgain if it is not complete
    within the session's time limit, and TooLarge if it has more than `most_mb` MB."""
    return await _complete(session, "POST", address, body, headers, what=what, most_mb=most_mb)


async def get(session: "ClientSession", address: str, *, what: str, most_mb: int) -> HttpReply:
    """The reply to a GET, of any status. Raises like `post`."""
    return await _complete(session, "GET", address, None, None, what=what, most_mb=most_mb)


async def _complete(
    session: "ClientSession",
    method: str,
    address: str,
    body: bytes | None,
    headers: Mapping[str, str] | None,
    *,
    what: str,
    most_mb: int,
) -> HttpReply:
    from aiohttp import ClientConnectorError, ClientError, ClientResponseError

    status = ""
    try:
        async with session.request(method, address, data=body, headers=headers, allow_redirects=False) as reply:
            status = f"HTTP {reply.status}: " if reply.status >= 300 else ""
            chunks = reply.content.iter_chunked(65_536)
            raw = await (beginning(chunks) if status else whole(chunks, what, most_mb))
            return HttpReply(reply.status, reply.headers, raw)
    except UnicodeError as error:  # a name that no host can have, so nothing was sent
        raise TryAgain(f"{type(error).__name__}: {error}", refused=True) from error
    except ClientConnectorError as error:
        raise TryAgain(f"cannot connect ({error}); check that the server runs and that its address is right") from error
    except (TimeoutError, ClientError, OSError) as error:
        # The text of a ClientResponseError has the whole address, in which a search engine's key may stand.
        said = error.message if isinstance(error, ClientResponseError) else str(error)
        reason = f" ({said})" if said else ""
        kind, limit = type(error).__name__, session.timeout.total
        raise TryAgain(f"{status}{kind}, no complete reply within {limit:g} s{reason}") from error


async def answers(url: str, timeout_s: float = 5.0) -> bool:
    """Whether a GET returns status 200."""
    from aiohttp import ClientError

    try:
        async with open_session(url, timeout_s) as session, session.get(url, allow_redirects=False) as reply:
            return reply.status == 200
    except (TimeoutError, ClientError, OSError, UnicodeError):
        return False


def open_client(base_url: str, key: str, timeout_s: float) -> "AsyncOpenAI":
    """An OpenAI SDK client that keeps its connections open and does not retry (remote.retry does). The organisation and
    project in the environment are not sent: the clients of models do not send them, and they may go to a provider that
    is not OpenAI."""
    from openai import AsyncOpenAI

    http_client = open_http(base_url)
    client = AsyncOpenAI(base_url=base_url, api_key=key, timeout=timeout_s, max_retries=0, http_client=http_client)
    client.organization = client.project = None
    return client


def open_http(address: str) -> "DefaultAsyncHttpxClient":
    """An httpx client for SDKs: it follows no redirects, reads at most MODEL_MB of a reply, and uses no proxy for
    loopback addresses (the SDKs' own clients would)."""
    from openai import DefaultAsyncHttpxClient

    class Client(DefaultAsyncHttpxClient):
        async def send(self, request: Any, *, stream: bool = False, **how: Any) -> Any:
            reply = await super().send(request, stream=True, **{**how, "follow_redirects": False})
            try:
                raw = await whole(reply.aiter_bytes(), request.url.host, MODEL_MB)
            finally:
                await reply.aclose()
            coded = ("content-encoding", "content-length", "transfer-encoding")
            headers = [(name, value) for name, value in reply.headers.multi_items() if name.lower() not in coded]
            return type(reply)(reply.status_code, headers=headers, content=raw, request=request)

    return Client(follow_redirects=False, trust_env=not is_loopback(address))
