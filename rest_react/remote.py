"""What the doors to hosted APIs share: the key, the OpenAI client, and what an error reply means.

    key = key_from("OPENAI_API_KEY")
    client = open_client("https://api.openai.com/v1", key, timeout_s=60.0)
    raise explained(ErrorReply(429, "slow down", retry_after=2.0), where="gpt-x", api_key_env="OPENAI_API_KEY", ...)

A key lives in its environment variable and in the client, nowhere else: what a server says is quoted without it.
An error reply means one of five things: wait and try again; the quota is used up (outside's fault); the key, or the
settings, are wrong (no request could succeed: the run stops); or this one request is refused.
Not here: retrying (retries), the doors' own wire formats.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError
from rest_react.retries import TryAgain, retry_after_s, worth_retrying

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

_QUOTA_CODES = frozenset(("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"))
# A 400 for one of these is no word on the prompt: every request of this door would get it.
_SETTINGS_CODES = frozenset(("unsupported_parameter", "unsupported_value", "unknown_parameter", "model_not_found"))
_SETTINGS_PARAMS = frozenset(("model", "n", "logprobs", "top_logprobs", "seed", "stop", "temperature", "top_p"))
_REFUSALS = (400, 413, 422)


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An HTTP error as a provider words it. `retry_after` is in seconds."""

    status: int
    message: str
    code: str = ""
    param: str = ""
    retry_after: float | None = None


def key_from(api_key_env: str | None) -> str:
    """The API key in the environment variable of that name; a placeholder where None says that none is wanted."""
    if api_key_env is None:
        return "none"
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise UsageError(f"no API key: set the environment variable {api_key_env} (a local server: api_key_env=null)")
    return key


def open_client(base_url: str, key: str, timeout_s: float) -> "AsyncOpenAI":
    """A client that keeps its connections and leaves retrying to us."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(base_url=base_url, api_key=key, timeout=timeout_s, max_retries=0)


def error_reply(error: "APIStatusError") -> ErrorReply:
    """Reads the SDK's error, whose body is JSON of one of several shapes or a proxy's HTML page."""
    body = error.body
    fields = body if isinstance(body, dict) else {"message": body if isinstance(body, str) else error.response.text}
    code = str(fields.get("code") or fields.get("type") or "")
    message = str(fields.get("message") or fields.get("detail") or fields)
    wait = retry_after_s(error.response.headers.get("retry-after"))
    return ErrorReply(error.status_code, message, code, str(fields.get("param") or ""), wait)


def explained(
    reply: ErrorReply,
    *,
    where: str,
    api_key_env: str | None,
    key: str,
    refused: type[ModelFault] | type[UsageError],
) -> RestReactError | TryAgain:
    """The error to raise; `refused` is what a refusal of this one request counts as."""
    status = reply.status
    said = f"HTTP {status}: {quoted(reply.message, key)}"
    if status == 402 or reply.code in _QUOTA_CODES:
        return OutsideFault(f"{where}: quota used up ({said})")
    if worth_retrying(status):
        return TryAgain(said, reply.retry_after)
    if status in (401, 403):
        # Not quoted: providers like to show parts of the key here.
        hint = f"the key in {api_key_env} is not accepted" if api_key_env else "it wants a key; name one in api_key_env"
        return UsageError(f"{where}: HTTP {status}, access refused: {hint}")
    if status not in _REFUSALS or reply.code in _SETTINGS_CODES or reply.param in _SETTINGS_PARAMS:
        return UsageError(f"{where}: {said}; check the model's name, base_url and the door's settings")
    return refused(f"{where}: {said}")


def quoted(text: str, key: str, longest: int = 300) -> str:
    """A server's words on one line, bounded, the key blotted out."""
    line = " ".join(text.split())
    # A short key ("none") is a placeholder, and blotting it out would maim words.
    if len(key) >= 8:
        line = line.replace(key, "***")
    return line if len(line) <= longest else line[:longest] + " ..."
