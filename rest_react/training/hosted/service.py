"""Sends requests to a fine-tuning service with retries; no message contains the key.

    service = Service("https://api.openai.com/v1", "OPENAI_API_KEY", 300.0, Backoff(), READY_WITHIN_S, say)
    job = await service.ask("checking the job", lambda: client.fine_tuning.jobs.retrieve("ftjob-xyz"), about="job")

A file or a job may be unavailable for some minutes after the service has accepted it; requests wait for it. A refusal
raises a UsageError that names the setting, an unreadable reply an OutsideFault.
Not here: which requests there are (trainer, job_reports, server_lists).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from rest_react.errors import OutsideFault, RestReactError, UsageError, outside
from rest_react.remote.failures.error_meanings import classify_error
from rest_react.remote.failures.error_replies import error_reply
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.http_client import key_from, open_client, refuse_address
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import Backoff, NotReady, TryAgain, retry, wait_until_ready
from rest_react.remote.whole_reply import TooLarge
from rest_react.text_safety.redaction import redact_key, redact_reply
from rest_react.training.hosted.job_states import is_not_ready

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
_SLOWEST_UPLOAD = 100_000  # bytes a second
_IN_FLIGHT = 4


class Service:
    """One service. `timeout_s` limits a complete reply, `ready_within_s` the wait for a file or job to become ready;
    `tell` is called with a message about such a wait. Raises UsageError for an address that contains a secret."""

    def __init__(
        self,
        base_url: str,
        api_key_env: str | None,
        timeout_s: float,
        backoff: Backoff,
        ready_within_s: float,
        tell: Callable[[str], None],
    ) -> None:
        refuse_address(base_url)
        self.base_url = base_url
        self._api_key_env = api_key_env
        self._key = key_from(api_key_env)
        self._timeout_s = timeout_s
        self._backoff = backoff
        self._limiter = Limiter(_IN_FLIGHT)
        self._ready_within_s = ready_within_s
        self._tell = tell

    def client(self) -> "AsyncOpenAI":
        """A new client of the service; the caller closes it."""
        return open_client(self.base_url, self._key, self._timeout_s)

    def redact(self, text: str) -> str:
        """The service's words for a message: one line, without the key, and not too long."""
        return redact_reply(text, self._key)

    def redact_line(self, line: str) -> str:
        """A line for a file, without the key: whole, because ids and names are read back."""
        return redact_key(line.encode("utf-8", "replace").decode("utf-8"), self._key)

    async def ask(self, doing: str, call: Callable[[], Awaitable[T]], *, about: str = "", sent: int = 0) -> T:
        """One request (or look, then request), retried; `about` names what may not be ready yet, `sent` is how many
        bytes it uploads."""
        from openai import APIConnectionError, APIStatusError

        where = f"{self.base_url}, {doing}"
        within_s = self._timeout_s + sent / _SLOWEST_UPLOAD

        async def attempt() -> T:
            try:
                # What the SDK makes of a reply that is not JSON, or not of the expected shape, is no closed list.
                with outside("unreadable reply"):
                    try:
                        async with asyncio.timeout(within_s):
                            return await call()
                    except TimeoutError as error:
                        raise OutsideFault(f"no complete reply within {within_s:g} s") from error
                    except APIConnectionError as error:
                        if isinstance(error.__cause__, TooLarge):
                            raise error.__cause__ from None
                        raise OutsideFault(f"no reply ({error.__cause__ or error})") from error
                    except APIStatusError as error:
                        response = error.response
                        reply = error_reply(error.status_code, response.content, response.headers)
            except TooLarge:
                raise
            except OutsideFault as error:
                raise TryAgain(self.redact(str(error))) from error
            # Outside the handler: the SDK's error may quote the key, so it must not become the context of ours.
            refusal = classify_error(
                reply, where=where, api_key_env=self._api_key_env, key=self._key, refused=UsageError,
                names=SettingNames("finetune"),
            )  # fmt: skip
            if about and is_not_ready(reply, about=about):
                lasting = refusal if isinstance(refusal, RestReactError) else OutsideFault(f"{where}: {refusal}")
                said = self.redact(reply.message)
                raise NotReady(f"{where}: the {about} is not ready yet (HTTP {reply.status}: {said})", lasting)
            raise refusal

        async def tried() -> T:
            return await retry(attempt, what=where, backoff=self._backoff, limiter=self._limiter)

        return await wait_until_ready(
            tried, first_wait_s=self._backoff.first_wait_s, tell=self._tell, within_s=self._ready_within_s
        )
