"""What the doors to remote services share: limits, patience and the key.

A door turns a failure that may pass into `TryAgain` and lets `retried` do the rest:

    key = key_from("OPENAI_API_KEY")
    limiter = Limiter(64, requests_per_minute=600, tokens_per_minute=200_000, meter=Meter(budget, "policy"))
    reply = await retried(post, what="https://api.example/v1", backoff=Backoff(tries=5), limiter=limiter,
                          worst=worst_case(prompt, n, sampling), used=usage)

Each try goes through the budget and takes its own place in the limiter; waiting between tries holds neither. A
`Retry-After` is for everyone behind the same limiter: it holds them all. When the tries are used up, `OutsideFault`
says what failed last.

A key lives in its environment variable and in the client, nowhere else.
Not here: what an error reply means (error_replies), the clients' wire formats, and deadlines of a single try.
"""

import asyncio
import os
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rest_react.errors import OutsideFault, RestReactError, UsageError
from rest_react.remote.budget import NOTHING, Bill, Budget, Meter
from rest_react.remote.redaction import secret_in
from rest_react.remote.usage import Tokens, Usage
from rest_react.remote.whole_reply import MODEL_MB, TooLarge, whole
from rest_react.seeds import derive_seed

if TYPE_CHECKING:
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

T = TypeVar("T")


class TryAgain(Exception):
    """A try failed in a way that may pass; never leaves a door. `after_s` is what the server asked to wait; `refused`
    says that it declined to do the work, while a reply that got lost may be billed all the same."""

    def __init__(self, message: str, after_s: float | None = None, *, refused: bool = False) -> None:
        self.after_s = after_s
        self.refused = refused
        super().__init__(message)

    @property
    def billed(self) -> bool:
        """Whether the server may charge for this try."""
        cause, names = self.__cause__ or self.__context__, set[str]()
        while cause is not None:
            names.update(kind.__name__ for kind in type(cause).__mro__)
            cause = cause.__cause__ or cause.__context__
        return not self.refused and not names & _NEVER_CONNECTED


# By name, since each client has its own; their subclasses too.
_NEVER_CONNECTED = frozenset(
    ("ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionRefusedError", "gaierror", "InvalidURL")
)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often to try and how long to wait: `first_wait_s`, doubled with each try, at most `longest_wait_s`, with up
    to half of it taken off by chance. A server that asks for more than `patience_s` is given up at once."""

    tries: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    patience_s: float = 300.0

    def wait_s(self, failures: int, jitter: float) -> float:
        """The wait after that many failures; `jitter` in [0, 1)."""
        # The exponent is bounded, since a float is not: 2.0 ** 2000 overflows.
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 64)) * (1 - jitter / 2)


class Limiter:
    """At most `max_in_flight` calls at a time, their starts spread evenly over the minute, first come first served;
    and no minute in which the calls that start may take more than `tokens_per_minute`.

    Evenly, because a burst at the end of one minute and another at the start of the next would be twice the limit
    in the minute between, by the server's count. Tokens are those of the worst case, as servers count them that must
    decide before they answer. Every call's bill goes to the `meter`.
    """

    def __init__(
        self,
        max_in_flight: int,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        meter: Meter | None = None,
        minute_s: float = 60.0,
    ) -> None:
        self._slots = asyncio.Semaphore(max_in_flight)
        self._turnstile = asyncio.Lock()
        # A little longer than the server's: requests do not arrive as evenly as they are sent.
        self._minute_s = 1.01 * minute_s
        self._interval_s = self._minute_s / requests_per_minute if requests_per_minute else 0.0
        self._opens_at = 0.0
        self._tokens_per_minute = tokens_per_minute
        self._last_minute: deque[tuple[float, int]] = deque()  # when calls started, and the tokens of each
        self._last_minutes_tokens = 0
        self._meter = meter or Meter(Budget(), "")

    @asynccontextmanager
    async def slot(self, worst: Tokens = NOTHING) -> AsyncIterator[Bill]:
        """A place among the calls in flight, from the moment the call may start, and its bill."""
        clock = asyncio.get_running_loop().time
        # The budget first: whoever had to wait for it must not start beside the turnstile.
        async with self._meter.budget.call(self._meter.role, worst) as bill, self._slots:
            async with self._turnstile:
                while (wait := max(self._opens_at, self._room_at(worst.total, clock())) - clock()) > 0:
                    await asyncio.sleep(wait)
                self._opens_at = clock() + max(self._interval_s, self._count(worst.total, clock()))
            yield bill

    def charge(self, usage: Usage, worst: Tokens) -> Tokens:
        """What a call costs that may take `worst`, by what its server tells."""
        return self._meter.budget.charge(self._meter.role, usage, worst)

    def _count(self, tokens: int, now: float) -> float:
        """Books a call that starts now; its share of a minute, in seconds."""
        if not self._tokens_per_minute:
            return 0.0
        self._last_minute.append((now, tokens))
        self._last_minutes_tokens += tokens
        return self._minute_s * tokens / self._tokens_per_minute

    def _room_at(self, tokens: int, now: float) -> float:
        """When the calls of the last minute leave room for so many tokens, as far as can be seen now."""
        if not self._tokens_per_minute:
            return 0.0
        if tokens > self._tokens_per_minute:
            raise UsageError(
                f"tokens_per_minute={self._tokens_per_minute:g}: one call may take {tokens}; raise it, or ask for "
                "fewer samples or a smaller max_tokens"
            )
        while self._last_minute and self._last_minute[0][0] + self._minute_s <= now:
            self._last_minutes_tokens -= self._last_minute.popleft()[1]
        if self._last_minutes_tokens + tokens <= self._tokens_per_minute:
            return 0.0
        return self._last_minute[0][0] + self._minute_s

    def hold(self, seconds: float) -> None:
        """No call starts for that long, including those already waiting."""
        self._opens_at = max(self._opens_at, asyncio.get_running_loop().time() + seconds)


async def retried(
    attempt: Callable[[], Awaitable[T]],
    *,
    what: str,
    backoff: Backoff,
    limiter: Limiter,
    worst: Tokens = NOTHING,
    used: Callable[[T], Usage] = lambda _: Usage(),
) -> T:
    """The first success of `attempt`, which raises TryAgain for what may pass. Any other error passes unchanged.
    A try may take `worst`, and has taken what `used` reads from its reply, where that is possible."""
    failures = 0
    while True:
        try:
            async with limiter.slot(worst) as bill:
                bill.owed = worst  # a try that is cut off here may be billed all the same
                try:
                    reply = await attempt()
                except RestReactError as error:
                    if not isinstance(error, TooLarge):  # which was generated
                        bill.owed = NOTHING
                    raise
                except TryAgain as error:
                    if not error.billed:
                        bill.owed = NOTHING
                    # Before the slot is free: whoever gets it next must already find the door held.
                    if error.after_s is not None and error.after_s <= backoff.patience_s:
                        limiter.hold(error.after_s)
                    raise
                bill.owed = limiter.charge(used(reply), worst)
                return reply
        except TryAgain as error:
            failures += 1
            if error.after_s is not None and error.after_s > backoff.patience_s:
                raise OutsideFault(f"{what}: {error}; it asks to wait {error.after_s:.0f} s, so not now") from error
            if failures >= backoff.tries:
                count = "1 try" if failures == 1 else f"{failures} tries"
                raise OutsideFault(f"{what}: {error} (after {count})") from error
        # Results never depend on it, so the clock may pick the jitter: two processes must not knock in step.
        jitter = derive_seed("back-off", what, failures, monotonic_ns()) / 2**63
        await asyncio.sleep(backoff.wait_s(failures, jitter))


class NotReady(RestReactError):
    """The service is not ready for this request yet; never leaves a client. `lasting` is the error to raise when it
    stays so."""

    def __init__(self, message: str, lasting: RestReactError) -> None:
        self.lasting = lasting
        super().__init__(message)


READY_WITHIN_S = 600.0  # how long services may take until what they have just confirmed can be used
_LONGEST_LOOK_S = 15.0


async def when_ready(
    call: Callable[[], Awaitable[T]], *, first_wait_s: float, tell: Callable[[str], None], within_s: float
) -> T:
    """The result of `call`, repeated while it raises NotReady, for at most so long. `tell` hears of it once."""
    clock, wait_s, told = asyncio.get_running_loop().time, first_wait_s, False
    give_up_at = clock() + within_s
    while True:
        try:
            return await call()
        except NotReady as error:
            if clock() + wait_s > give_up_at:
                raise error.lasting from None
            if not told:
                tell(f"{error}; waiting up to {within_s / 60:.0f} minutes for it")
                told = True
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_LOOK_S)


def worth_retrying(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status in (408, 409, 425, 429) or status >= 500


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """How long a reply asks to wait; None where it does not say. Names of headers in lower case, or any case where the
    mapping takes both. A gateway (LiteLLM) passes its provider's headers on with `llm_provider-` before the name; some
    providers tell only when the limit that is used up (0 remain) is reset."""
    for prefix in ("", "llm_provider-"):
        milliseconds = _number(headers.get(f"{prefix}retry-after-ms"))
        if milliseconds is not None:
            return milliseconds / 1000
        wait = retry_after_s(headers.get(f"{prefix}retry-after"))
        if wait is not None:
            return wait
    for prefix in ("", "llm_provider-"):
        for kind in ("-requests", "-tokens", ""):
            if _number(headers.get(f"{prefix}x-ratelimit-remaining{kind}")) == 0:
                wait = _reset_s(headers.get(f"{prefix}x-ratelimit-reset{kind}"))
                if wait is not None:
                    return wait
    return None


_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS_S = (86400, 3600, 60, 1, 0.001)


def _reset_s(header: str | None) -> float | None:
    """When a limit is reset, from now: a duration (`6m0s`, `120ms`, `1.5`), or a moment in seconds or milliseconds."""
    number = _number(header)
    if number is not None:
        moment = number / 1000 if number > 1e11 else number
        return number if moment < 1e9 else max(0.0, moment - datetime.now(UTC).timestamp())
    parts = _DURATION.fullmatch((header or "").strip())
    if parts is None or not any(parts.groups()):
        return None
    return sum(float(part) * unit for part, unit in zip(parts.groups(), _UNITS_S, strict=True) if part)


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    return float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else None


def retry_after_s(header: str | None) -> float | None:
    """Reads a Retry-After header, in seconds or as a date. None when there is none or it cannot be read."""
    if header is None:
        return None
    text = header.strip()
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


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


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, in order. The first failure cancels the rest, so that no call goes on for nobody."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]


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
