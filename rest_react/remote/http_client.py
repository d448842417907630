"""HTTP clients: how requests leave this machine, by which proxy, with which key.

    client = open_client("https://api.openai.com/v1", key_from("OPENAI_API_KEY"), timeout_s=120)
    proxy_for("http://127.0.0.1:8000/v1")            # None, whatever the environment says

No client follows a redirect, which would carry a prompt to another address, and none reads a reply without a limit.
A key lives in its environment variable and in the client, nowhere else.
Not here: retries (retry), what a reply says (error_replies, and each client), and the pages of search engines, which
`primp` fetches as a browser would (search.web).
"""

import os
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rest_react.errors import UsageError
from rest_react.remote.redaction import secret_in
from rest_react.remote.whole_reply import MODEL_MB, whole

if TYPE_CHECKING:
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient


def proxy_for(address: str) -> str | None:
    """The proxy that the environment names for this address; None for this machine's own (loopback) addresses, whatever
    the environment says: the proxy of a cluster cannot reach them."""
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
    """The API key in the environment variable of that name; a placeholder where None says that none is wanted."""
    if api_key_env is None:
        return "none"
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise UsageError(f"no API key: set the environment variable {api_key_env} (api_key_env=null asks for none)")
    return key


def refuse_address(base_url: str) -> None:
    """Raises UsageError for what is no address, or one with a secret: an address stands in messages and files."""
    if secret := secret_in(base_url, address=True):
        raise UsageError(f"base_url: holds {secret}; set an environment variable to it, and name that in api_key_env")
    if not base_url.startswith(("http://", "https://")):
        raise UsageError(f"base_url: {base_url!r} is no http:// or https:// address")


def open_client(base_url: str, key: str, timeout_s: float) -> "AsyncOpenAI":
    """A client that keeps its connections and leaves retrying to us."""
    from openai import AsyncOpenAI

    http_client = open_http(base_url)
    return AsyncOpenAI(base_url=base_url, api_key=key, timeout=timeout_s, max_retries=0, http_client=http_client)


def open_http(address: str) -> "DefaultAsyncHttpxClient":
    """What an SDK sends its requests with: it follows no redirect, and reads no reply that is larger than a model's.
    The environment's proxy is not asked for this machine's own addresses, which SDKs do by themselves."""
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
