"""Retries calls to remote services with exponential back-off, in the same way for every service.

    reply = await retry(post, what="https://api.example/v1", backoff=Backoff(tries=5), limiter=limiter,
                        worst=worst_case(prompt, n, sampling), used=usage)

A client raises `TryAgain` for a temporary failure, such as HTTP 429 or a lost connection. Any other error ends the
call. `Backoff` sets the number of tries and the waits between them. A `Retry-After` takes precedence and delays every
call of the same limiter. After the last try, `OutsideFault` reports the last failure.

Each try takes its own place in the limiter and in the budget; the wait between tries takes neither. A new model or an
uploaded file may be unavailable for some minutes after the service has confirmed it; `wait_until_ready` waits for it.

Why no retry library (tenacity): the limiter takes part in the wait, and each try is charged, so a library would replace
only the loop itself.
Not here: which replies are temporary failures (error_meanings), and the time limit of a single try (each client).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic_ns
from typing import TypeVar

from rest_react.errors import OutsideFault, RestReactError
from rest_react.remote.budget import NOTHING
from rest_react.remote.limiter import Limiter
from rest_react.remote.usage import Tokens, Usage
from rest_react.remote.whole_reply import TooLarge
from rest_react.seeds import derive_seed

T = TypeVar("T")


class TryAgain(Exception):
    """A try failed temporarily; only raised inside clients. `after_s` is the wait that the server requested. `refused`:
    the server refused the request, so it is not billed; a request whose reply got lost may be billed."""

    def __init__(self, message: str, after_s: float | None = None, *, refused: bool = False) -> None:
        self.after_s = after_s
        self.refused = refused
        super().__init__(message)

    @property
    def connected(self) -> bool:
        """Whether the server was reached."""
        cause, names = self.__cause__ or self.__context__, set[str]()
        while cause is not None:
            names.update(kind.__name__ for kind in type(cause).__mro__)
            cause = cause.__cause__ or cause.__context__
        return not names & _NEVER_CONNECTED

    @property
    def billed(self) -> bool:
        """Whether the server may charge for this try."""
        return not self.refused and self.connected


# By name, since each client has its own; their subclasses too.
_NEVER_CONNECTED = frozenset(
    ("ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionRefusedError", "gaierror", "InvalidURL")
)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often to try and how long to wait: `first_wait_s`, doubled with each try, at most `longest_wait_s`, with up
    to half of it taken off by chance. A server that asks for more than `patience_s` is given up at once, and with
    `has_others` (other servers of the same model) also one that cannot be reached."""

    tries: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    patience_s: float = 300.0
    has_others: bool = False

    def gives_up(self, failures: int, error: TryAgain) -> bool:
        """Whether that was the last try."""
        return failures >= self.tries or (self.has_others and not error.connected)

    def wait_s(self, failures: int, jitter: float) -> float:
        """The wait after that many failures; `jitter` in [0, 1)."""
        # The exponent is bounded, since a float is not: 2.0 ** 2000 overflows.
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 64)) * (1 - jitter / 2)


def worth_retrying(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status in (408, 409, 425, 429) or status >= 500


async def retry(
    attempt: Callable[[], Awaitable[T]],
    *,
    what: str,
    backoff: Backoff,
    limiter: Limiter,
    worst: Tokens = NOTHING,
    used: Callable[[T], Usage] = lambda _: Usage(),
) -> T:
    """The result of the first successful `attempt`, which raises TryAgain for temporary failures; other errors pass
    unchanged. Each try reserves `worst` in the budget and is charged what `used` reads from its reply. Raises
    OutsideFault after the last try, or if the server asks for a wait longer than `backoff.patience_s`."""
    failures = 0
    while True:
        try:
            async with limiter.slot(worst) as bill:
                bill.owed = worst  # a try that is cancelled here may still be billed
                try:
                    reply = await attempt()
                except RestReactError as error:
                    if not isinstance(error, TooLarge):  # a reply that is too large was generated, so it is billed
                        bill.owed = NOTHING
                    raise
                except TryAgain as error:
                    if not error.billed:
                        bill.owed = NOTHING
                    # Hold the limiter before the slot is free, so that the next call waits too.
                    if error.after_s is not None and error.after_s <= backoff.patience_s:
                        limiter.hold(error.after_s)
                    raise
                bill.owed = limiter.charge(used(reply), worst)
                return reply
        except TryAgain as error:
            failures += 1
            if error.after_s is not None and error.after_s > backoff.patience_s:
                raise OutsideFault(
                    f"{what}: {error}; the server asks to wait {error.after_s:.0f} s, more than the longest wait of "
                    f"{backoff.patience_s:.0f} s"
                ) from error
            if backoff.gives_up(failures, error):
                count = "1 try" if failures == 1 else f"{failures} tries"
                raise OutsideFault(f"{what}: {error} (after {count})") from error
        # The jitter comes from the clock, so that two processes do not retry in step; results do not depend on it.
        jitter = derive_seed("back-off", what, failures, monotonic_ns()) / 2**63
        await asyncio.sleep(backoff.wait_s(failures, jitter))


class NotReady(RestReactError):
    """The service is not ready for this request yet; only raised inside clients. `lasting` is the error to raise if it
    does not become ready."""

    def __init__(self, message: str, lasting: RestReactError) -> None:
        self.lasting = lasting
        super().__init__(message)


READY_WITHIN_S = 600.0  # how long a new model or file may be unavailable after the service has confirmed it
LONGEST_LOOK_S = 15.0  # between two looks at a service that is down, or not ready


async def wait_until_ready(
    call: Callable[[], Awaitable[T]], *, first_wait_s: float, tell: Callable[[str], None], within_s: float
) -> T:
    """The result of `call`, which is repeated while it raises NotReady, for at most `within_s` seconds; then raises
    `lasting`. `tell` is called once with a message."""
    clock, wait_s, told = asyncio.get_running_loop().time, first_wait_s, False
    give_up_at = clock() + within_s
    while True:
        try:
            return await call()
        except NotReady as error:
            if clock() + wait_s > give_up_at:
                raise error.lasting from None
            if not told:
                tell(f"{error}; trying again for up to {within_s / 60:.0f} minutes")
                told = True
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_LOOK_S)
