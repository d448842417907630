"""Error replies of model servers, read: status, message, codes and the wait they ask for.

    >>> error_reply(429, b'{"error": {"message": "slow down", "code": "rate_limit"}}', {"retry-after": "7"})
    ErrorReply(status=429, message='slow down', code='rate_limit', param='', retry_after=7.0, location='')

Providers and gateways use several shapes of JSON, and proxies HTML pages; each becomes one `ErrorReply`.
Not here: what the error means (error_meanings), and the replies of Google's SDK (llm.gemini).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rest_react.remote.wait_headers import requested_wait_s

_READ = 300  # characters of a message


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error as a provider words it. `code` holds all its codes and types; `retry_after` is in seconds, `location`
    is where a redirect leads."""

    status: int
    message: str
    code: str = ""
    param: str = ""
    retry_after: float | None = None
    location: str = ""

    @property
    def words(self) -> str:
        """What rules look at: codes, the parameter's name, and the beginning of the message, which may repeat the
        prompt further on."""
        return f"{self.code} param={self.param}: {self.message[:_READ]}"


class ErrorInside(Exception):
    """An error that stands in a reply of status 200; never leaves a client."""

    def __init__(self, reply: ErrorReply) -> None:
        self.reply = reply
        super().__init__(reply.message)


def any_spelling(patterns: str) -> re.Pattern[str]:
    """A pattern for any of those given, one a line. A space in them stands for every way in which codes and class names
    join words: `rate limit`, `rate_limit`, `RateLimit`."""
    lines = [line.strip().replace(" ", "[ _-]?") for line in patterns.strip().splitlines()]
    return re.compile("|".join(lines), re.IGNORECASE)


def error_reply(status: int, raw: bytes, headers: Mapping[str, str]) -> ErrorReply:
    """Reads an error reply, whose body is JSON of one of several shapes or a proxy's HTML page."""
    text = raw.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = text
    read = read_error(status, body, requested_wait_s(headers))
    return replace(read, location=str(headers.get("location") or ""))


def read_error(status: int, body: Any, retry_after: float | None = None) -> ErrorReply:
    """The same of a body that is read already. One inside a reply of status 200 may tell its own status."""
    try:
        return _read_error(status, body, retry_after)
    except RecursionError:  # what could just be read may be nested too deep to be shown
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
        # FastAPI's; what it says besides may repeat the whole prompt.
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
    """What a gateway hands on of its provider's words (OpenRouter: `Provider returned error`, and these in `raw`)."""
    metadata = fields.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f": {raw if isinstance(raw, str) else json.dumps(raw)}" if raw else ""


def _inner_codes(fields: dict[str, Any]) -> list[str]:
    """Codes of the inner error (Azure's), and `content_filter` where OpenRouter gives reasons for a flag."""
    inner, metadata = fields.get("innererror"), fields.get("metadata")
    found = [str(inner.get("code"))] if isinstance(inner, dict) else []
    if isinstance(metadata, dict):
        found += ["content_filter"] if metadata.get("flagged_input") else []
        found += [str(metadata["error_type"])] if metadata.get("error_type") else []
    return found
