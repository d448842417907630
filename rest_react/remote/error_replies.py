"""What an error reply of a model server means: wait, the account, the key, the settings, or this one request.

    reply = error_reply(400, b'{"error": {"message": "Budget has been exceeded! ..."}}', headers={})
    classify(reply)                                # "account": an external fault, and no word on the model
    raise explained(reply, where="m at https://...", api_key_env="KEY", key=key, refused=ModelFault)

Statuses alone say little: gateways report money, overload and moderation as 400, 403, 404 or inside a reply of status
200. So `classify` reads codes and wording first (`_RULES`, the first that matches) and the status last (`_BY_STATUS`).
A refusal that no rule knows is `unclear`; a client may find out with a harmless request (openai_compatible).
Not here: retrying (remote), and the replies of Google's SDK (llm.gemini).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError
from rest_react.remote.retry import TryAgain, asked_wait_s, worth_retrying
from rest_react.remote.whole_reply import place_of

Meaning = Literal[
    "again",  # the same request may succeed later
    "account",  # no money, no quota, a closed account, a firewall: an external fault that waiting does not cure
    "key",  # the key is wrong or missing
    "settings",  # no request with these settings can succeed
    "request",  # this request alone is refused: too long, or filtered
    "unclear",  # a refusal of this request, or of all
]
# Names of settings in a provider's words. In quotes, since they are words of any text as well: `'n' : at most 1`.
_NAMES = "n|logprobs|top_logprobs|seed|stop|temperature|top_p|reasoning_effort"
# Parts of a key as error messages show them (`sk-ab***yz`, `sk-...wxyz`), and the digests of one.
_KEY_LIKE = re.compile(r"[^\s'\"`=:]*\*{3,}[^\s'\"`.,]*|\bsk-[\w.-]{4,}|\w+-[\w-]*\.{3}\w{2,}|\b[0-9a-f]{32,}\b")
_READ = 300  # characters of a message that are read; further on it may repeat the prompt


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


class ErrorInside(Exception):
    """An error that stands in a reply of status 200; never leaves a client."""

    def __init__(self, reply: ErrorReply) -> None:
        self.reply = reply
        super().__init__(reply.message)


def _any(patterns: str) -> re.Pattern[str]:
    """Matches any of the patterns, one a line. A space in them stands for every way in which codes and class names join
    words: `rate limit`, `rate_limit`, `RateLimit`."""
    lines = [line.strip().replace(" ", "[ _-]?") for line in patterns.strip().splitlines()]
    return re.compile("|".join(lines), re.IGNORECASE)


_EVERY = frozenset(range(100, 600))
_CLIENT = frozenset(range(400, 500)) - {429}
_NOT_429 = _EVERY - {429}

# A rate limit tells when to come again; some providers call it a quota (Gemini), which else is about money.
_WAIT = _any(r"(?:re ?try|try again) (?:in|after) [\d.]+ ?(?:s\b|ms|m\d|min|h\d|sec)")

# Money comes first: LiteLLM gives it the type `auth_error`, others the status 403.
_ACCOUNT = _any(
    r"""
    budget exceeded
    exceeded (?:\w+ ){0,2}budget
    (?<!thinking.)(?<!token.)\bbudgets?\b.{0,40}\bexceeded
    \bover budget|crossed (?:\w+ ){0,2}budget|spend(?:ing)? limit
    insufficient (?:\w+ )?(?:quota|credits?|balance|funds)
    (?:balance|credits?|funds) (?:is |are |has been |have been )?(?:\w+ )?(?:low|insufficient|exhaust|depleted|used up)
    (?:out of|\bno|not enough|any|more|all available|add) credits?\b
    credit limit|key limit exceeded
    out of (?:\w+ ){0,3}(?:quota|funds|balance)
    exceeded (?:your |the )?(?:\w+ ){0,2}(?:quota|credits|usage)
    (?:daily|monthly|weekly|free|usage) (?:\w+ )?(?:quota|usage|limits?) (?:\w+ ){0,2}(?:exceeded|exhausted|reached)
    api usage limits?|payment (?:is )?required|unpaid|past due|arrear
    billing (?:hard limit|not active|details|account|is disabled)|enable billing|good standing
    余额不足|欠费
    (?:account|organi[sz]ation|project|team)\b.{0,60}(?:suspended|deactivated|disabled|restricted|terminated)
    (?:account|organi[sz]ation) (?:suspended|deactivated|restricted|terminated)|access was terminated
    request too large\b.{0,120}(?:tokens per min|\bTPM\b)
    you have been blocked|attention required|just a moment
    """
)
_UNKNOWN_PARAMETER = _any(
    rf"""
    param=(?:model|{_NAMES})\b
    unsupported (?:parameter|value)|unknown (?:parameter|field|argument)|unrecogni[sz]ed (?:request )?argument
    extra (?:forbidden|inputs|fields)
    max (?:completion )?tokens.{{0,80}}(?:supports at most|less than or equal|<=)
    max tokens\S* (?:cannot|must not) be (?:greater|larger|more)
    (?:number of|maximum) (?:output|completion) tokens|valid range of max tokens
    not allowed to request
    """
)
_BROKEN_OR_BUSY = _any(
    r"""
    engine (?:core )?(?:is )?dead|engine core (?:\w+ )?(?:died|encountered|failed)|loop has errored
    cuda error|\bout of memory
    model\b.{0,80}\b(?:is|being) (?:currently |still |being )?load(?:ed|ing)|loading (?:the )?model
    no (?:\w+ )?(?:available|healthy|live|ready|running) (?:server|upstream|backend|worker|instance|replica|node)s?\b
    no (?:server|upstream|backend|worker|instance|replica|node)s? (?:is |are )?(?:available|ready|found)
    overload|over capacity|capacity (?:exceeded|constraint)|temporarily|service unavailable
    upstream (?:\w+ )?(?:error|time ?out|failure|failed)|bad gateway|gateway time ?out
    (?:re ?try|try again) (?:later|shortly|soon|in a\b|in [\d])
    timed ?out|\btime ?out\b|connection (?:error|refused|reset|aborted|closed)
    internal (?:server )?error|rate limit|too many requests|server (?:is )?(?:busy|error)
    high (?:load|demand|traffic)|not (?:yet )?ready|warming up|cold start|starting up|shutting down
    """
)
_WRONG_MODEL_OR_PLACE = _any(
    r"""
    model not found|(?:invalid|unknown|no such) model\b
    model\b.{0,100}(?:does not exist|not found|not available)
    model\b.{0,100}(?:decommissioned|deprecated|no longer|not (?:have )?access|not enabled)
    (?:access|allowed to access|access to|try pulling) (?:the )?model\b
    (?:country|region|territory|location)\b.{0,40}not (?:supported|available|allowed)|unsupported country
    no (?:endpoints|allowed providers)
    """
)
_WRONG_KEY = _any(
    r"""
    api key|auth(?:entication|orization)? ?error|unauthori[sz]ed|(?:no|missing) auth
    invalid (?:proxy server |access |bearer |auth )?(?:token\b|credentials)
    no connected db|no db connection|virtual key|(?:token|key) (?:has |is )?expired
    """
)
_FILTERED_OR_TOO_LONG = _any(
    r"""
    content (?:management )?(?:filter|policy)|responsible ?ai|usage (?:policy|policies|guidelines)
    \bflagged\b|moderat|safety (?:system|polic|filter|setting|reasons)|guardrail|prohibited content
    content exists risk|data inspection|(?:inappropriate|sensitive|harmful|unsafe) content|敏感
    context (?:length|window|size|limit)|max model len|maximum (?:model|prompt|input) length
    too (?:long|many (?:input |prompt )?tokens)|reduce the (?:length|number|prompt|size)|longer than
    (?:input|prompt|tokens?|context|request)\b.{0,60}\bexceed(?:s|ed)?\b
    must have less than \d+ tokens|new tokens\W* must be <=|input length should be
    string above max|above max length
    """
)
_UNSUPPORTED = _any(
    rf"""
    not supported|does not support|not permitted|no longer (?:available|supported)|you are not allowed to
    must alternate|(?:chat )?template error|jinja
    [`'\"](?:{_NAMES})[`'\"]|\b(?:top_)?logprobs\b|\breasoning_effort\b
    """
)
# (what it means, at which statuses, codes and wording): the first that matches.
_RULES: tuple[tuple[Meaning, frozenset[int], re.Pattern[str]], ...] = (
    ("account", _EVERY, _ACCOUNT),
    ("settings", _CLIENT, _UNKNOWN_PARAMETER),
    ("again", _EVERY, _BROKEN_OR_BUSY),
    ("settings", _CLIENT, _WRONG_MODEL_OR_PLACE),
    ("key", _CLIENT, _WRONG_KEY),
    ("request", _NOT_429, _FILTERED_OR_TOO_LONG),
    ("settings", _CLIENT, _UNSUPPORTED),
    ("request", _NOT_429, _any("too large")),
)

# The setting that cures a refusal: (what is refused, what to set); the first that matches.
_WAYS_OUT = (
    (
        _any(
            r"""
            unsupported.{0,40}max tokens
            max tokens\b.{0,20}not supported
            use\W{1,3}max completion tokens
            """
        ),
        "{block}token_limit=max_completion_tokens",
    ),
    (
        _any(
            r"""
            max completion tokens.{0,60}(?:not supported|unknown|unrecogni|unexpected|not permitted)
            (?:unknown|unrecogni|unexpected|unsupported|extra).{0,60}max completion tokens
            """
        ),
        "{block}token_limit=max_tokens",
    ),
    (_any(r"max (?:completion )?tokens|(?:output|completion) tokens"), "{max_tokens} to what {model} allows"),
    (_any("logprobs"), "{block}logprobs=false"),
    (_any(r"param=n\b|[`'\"]n[`'\"]"), "{block}n_per_request=false"),
    (_any("country|region|territory|location"), "{block}base_url to a provider that serves your country"),
    (
        _any(r"param=model|\bmodels?\b.{0,100}\bnot\b|(?:invalid|unknown|access) model"),
        "{block}model to one that is served",
    ),
)
_BY_STATUS: dict[int, Meaning] = {
    400: "unclear", 401: "key", 402: "account", 403: "unclear", 412: "unclear", 413: "request", 414: "request",
    422: "unclear", 423: "again", 424: "again", 451: "request", 498: "again", 499: "again",
}  # fmt: skip


def classify(reply: ErrorReply) -> Meaning:
    """What the error means for this request and for others."""
    if 300 <= reply.status < 400:
        return "settings"  # to follow it would carry the prompt to another address
    if reply.status == 429 and (_WAIT.search(reply.message) or (reply.retry_after and "EXHAUSTED" in reply.code)):
        return "again"
    said = f"{reply.code} param={reply.param}: {reply.message[:_READ]}"
    for meaning, statuses, pattern in _RULES:
        if reply.status in statuses and pattern.search(said):
            return meaning
    if worth_retrying(reply.status):
        return "again"
    if reply.status == 403 and reply.message.lstrip().startswith("<"):
        return "account"  # the page of a proxy or a firewall
    return _BY_STATUS.get(reply.status, "settings")


def tells_of_no_model(reply: ErrorReply) -> bool:
    """Whether the server does not know the model, or not yet."""
    said = f"{reply.code} param={reply.param}: {reply.message[:_READ]}"
    return reply.status == 404 or (reply.status in _CLIENT and _WRONG_MODEL_OR_PLACE.search(said) is not None)


def error_reply(status: int, raw: bytes, headers: Mapping[str, str]) -> ErrorReply:
    """Reads an error reply, whose body is JSON of one of several shapes or a proxy's HTML page."""
    text = raw.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = text
    read = read_error(status, body, asked_wait_s(headers))
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


def explained(
    reply: ErrorReply,
    *,
    where: str,
    api_key_env: str | None,
    key: str,
    refused: type[ModelFault] | type[UsageError],
    names: "SettingNames | None" = None,
) -> RestReactError | TryAgain:
    """The error to raise; `refused` is what a refusal of this one request counts as."""
    status = reply.status
    said = f"HTTP {status}: {quoted(reply.message, key)}"
    meaning = classify(reply)
    if 300 <= status < 400:
        setting = (names or SettingNames()).setting("base_url")
        return UsageError(
            f"{where}: HTTP {status}: it sends the request on to {place_of(reply.location)}, which is refused, since "
            f"the prompt would go along; set {setting} to the address that answers"
        )
    if meaning == "again":
        return TryAgain(said, reply.retry_after, refused=True)
    if meaning == "account":
        return OutsideFault(f"{where}: quota used up, or the account is closed ({said})")
    if meaning == "key" or (meaning == "unclear" and status == 403):
        names_key = f"the key in {api_key_env}" if api_key_env else ""
        hint = f"{names_key} is not accepted" if names_key else "it wants a key; name one in api_key_env"
        if meaning == "unclear":
            hint = f"check {names_key or 'api_key_env'} and what it may be used for"
        return UsageError(f"{where}: HTTP {status}, access refused: {hint} ({quoted(reply.message, key)})")
    if meaning == "settings":
        return UsageError(f"{where}: {said}; {(names or SettingNames()).way_out(reply)}")
    return refused(f"{where}: {said}")


@dataclass(frozen=True, slots=True)
class SettingNames:
    """What a client's settings are called, for messages: those in `block` (e.g. `grader`), and its token limit."""

    block: str = ""
    max_tokens: str = "max_tokens"

    def setting(self, name: str) -> str:
        """A setting of the block by its whole name."""
        return f"{self.block}.{name}" if self.block else name

    def way_out(self, reply: ErrorReply | None = None) -> str:
        """Which setting to change."""
        block = f"{self.block}." if self.block else ""
        said = f"{reply.code} param={reply.param}: {reply.message[:_READ]}" if reply else ""
        for pattern, setting in _WAYS_OUT:
            if pattern.search(said):
                return f"set {setting.format(block=block, max_tokens=self.max_tokens, model=self.block or 'the model')}"
        return f"check {block}model, {block}base_url and {block}token_limit"


def quoted(text: str, key: str, longest: int = 300) -> str:
    """A server's words on one line, bounded, the key and what looks like parts of one blotted out."""
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    # A short key ("none") is a placeholder, and blotting it out would maim words.
    if len(key) >= 8:
        line = line.replace(key, "***")
        line = _KEY_LIKE.sub("***", line)
    return line if len(line) <= longest else line[:longest] + " ..."
