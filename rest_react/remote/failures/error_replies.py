"""Parses error replies of model servers: status, message, codes and the requested wait.

    >>> error_reply(429, b'{"error": {"message": "slow down", "code": "rate_limit"}}', {"retry-after": "7"})
    ErrorReply(status=429, message='slow down', code='rate_limit', param='', retry_after=7.0, location='')

Providers and gateways use several JSON formats, and proxies send HTML pages; each becomes an `ErrorReply`.
Not here: what the error means (error_meanings), and errors of Google's SDK (llm.gemini).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rest_react.remote.failures.wait_headers import requested_wait_s

_READ = 300  # characters of a message that rules match


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error in the provider's words. `code` has all its codes and types, separated by spaces; `retry_after` is in
    seconds; `location` is the target of a redirect."""

    status: int
    message: str
    code: str = ""
    param: str = ""
    retry_after: float | None = None
    location: str = ""

    @property
    def words(self) -> str:
        """The text that rules match: of the codes, the parameter's name and the message, the first 300 characters each.
        The rest may repeat the prompt, and takes seconds to match."""
        return f"{self.code[:_READ]} param={self.param[:_READ]}: {self.message[:_READ]}"


class ErrorInside(Exception):
    """A reply of status 200 that contains an error; only raised inside clients."""

    def __init__(self, reply: ErrorReply) -> None:
        self.reply = reply
        super().__init__(reply.message)


def any_spelling(patterns: str) -> re.Pattern[str]:
    """One pattern that matches any of the given ones (one per line). A space also matches `_`, `-` and nothing:
    `rate limit`, `rate_limit`, `RateLimit`."""
    lines = [line.strip().replace(" ", "[ _-]?") for line in patterns.strip().splitlines()]
    return re.compile("|".join(lines), re.IGNORECASE)


def error_reply(status: int, raw: bytes, headers: Mapping[str, str]) -> ErrorReply:
    """Parses an error reply. Its body is JSON in one of several formats, or a proxy's HTML page. Never raises."""
    text = raw.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = text
    read = read_error(status, body, requested_wait_s(headers))
    return replace(read, location=str(headers.get("location") or ""))


def read_error(status: int, body: Any, retry_after: float | None = None) -> ErrorReply:
    """As `error_reply`, for a decoded body. An error inside a reply of status 200 may contain its own status; without
    one it counts as 500."""
    try:
        return _read_error(status, body, retry_after)
    except RecursionError:  # JSON that can be decoded may be nested too deep to be encoded again
        return ErrorReply(500 if status < 300 else status, "an error nested too deep to be read", "", "", retry_after)


def _read_error(status: int, body: Any, retry_after: float | None) -> ErrorReply:
    if isinstance(body, list) and body:  # Google's
        body = body[0]
    if isinstance(body, dict):
        body = body.get("error") or body
    fields = body if isinstance(body, dict) else {"message": body if isinstance(body, str) else json.dumps(body)}
    inner = fields.get("message")
    detail = inner.get("detail") if isinstance(inner, dict) else fields.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        # FastAPI's format; its other fields may repeat the whole prompt.
        loc = detail[0].get("loc")
        place = [str(part) for part in loc] if isinstance(loc, list) else []
        said = f"{'.'.join(place)}: {detail[0].get('msg', '')}"
        fields = {"message": said, "type": detail[0].get("type"), "param": place[1] if len(place) == 2 else ""}
    codes = [fields.get(name) for name in ("code", "type", "status", "error_type")]
    message = str(next((text for name in ("message", "detail", "msg") if (text := fields.get(name))), fields))
    if status < 300:
        told = [int(str(code)) for code in codes if re.fullmatch("[45][0-9]{2}", str(code))]
        status = told[0] if told else 500
    return ErrorReply(
        status,
        message + _from_behind(fields),
        " ".join(str(code) for code in [*codes, *_inner_codes(fields)] if code and not str(code).isdecimal()),
        str(fields.get("param") or ""),
        retry_after,
    )


def _from_behind(fields: dict[str, Any]) -> str:
    """The provider's message that a gateway passes on (OpenRouter: `Provider returned error`, details in `raw`)."""
    metadata = fields.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f": {raw if isinstance(raw, str) else json.dumps(raw)}" if raw else ""


def _inner_codes(fields: dict[str, Any]) -> list[str]:
    """Codes of the inner error (Azure), and `content_filter` if OpenRouter says that the input was flagged."""
    inner, metadata = fields.get("innererror"), fields.get("metadata")
    found = [str(inner.get("code"))] if isinstance(inner, dict) else []
    if isinstance(metadata, dict):
        found += ["content_filter"] if metadata.get("flagged_input") else []
        found += [str(metadata["error_type"])] if metadata.get("error_type") else []
    return found
