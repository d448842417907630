"""Classifies error replies of servers: retry, account, key, settings, or this one request.

    reply = error_reply(400, b'{"error": {"message": "Budget has been exceeded! ..."}}', headers={})
    meaning_of(reply)                              # "account": an external fault, which says nothing about the model
    raise classify_error(reply, where="m at https://...", api_key_env="KEY", key=key, refused=ModelFault)

The status alone is not enough: gateways report quota, overload and moderation as 400, 403, 404, or inside a reply of
status 200. So the codes and the message are matched first (`_RULES`, first match) and the status last (`_BY_STATUS`). A
refusal that matches no rule is `unclear`; a client can resolve it with a harmless request
(llm.openai_api.openai_compatible).
Not here: reading a reply (error_replies), and which setting to change (setting_names).
"""

import re
from typing import Literal

from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError
from rest_react.remote.failures.error_replies import ErrorReply, any_spelling
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.retry import TryAgain, worth_retrying
from rest_react.remote.whole_reply import place_of
from rest_react.text_safety.redaction import redact_reply

Meaning = Literal[
    "again",  # the same request may succeed later
    "account",  # no money, no quota, a closed account, a firewall: an external fault that waiting does not fix
    "key",  # the key is wrong or missing
    "settings",  # no request with these settings can succeed
    "request",  # only this request is refused: it is too long, or filtered
    "unclear",  # either this request or every request is refused
]
# Parameters as providers name them. Matched in quotes, since they are also ordinary words: `'n' : at most 1`.
_NAMES = "n|logprobs|top_logprobs|seed|stop|temperature|top_p|reasoning_effort"

_EVERY = frozenset(range(100, 600))
_CLIENT = frozenset(range(400, 500)) - {429}
_NOT_429 = _EVERY - {429}
_NOT_A_WAIT = _EVERY - {408, 429, 502, 503, 504}  # in these, what exceeds a limit may be a time

# A rate limit says when to retry. Some providers (Gemini) call it a quota, a word that otherwise means money.
_WAIT = any_spelling(r"(?:re ?try|try again) (?:in|after) [\d.]+ ?(?:s\b|ms|m\d|min|h\d|sec)")

# Account errors are matched first: LiteLLM gives them the type `auth_error`, others the status 403.
_ACCOUNT = any_spelling(
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
    exceed(?:s|ed) (?:[\w']+ ){0,3}usage limit|api usage limits?|payment (?:is )?required|unpaid|past due|arrear
    billing (?:hard limit|not active|details|account|is disabled)|enable billing|good standing
    余额不足|欠费
    (?:account|organi[sz]ation|project|team)\b.{0,60}(?:suspended|deactivated|disabled|restricted|terminated)
    (?:account|organi[sz]ation) (?:suspended|deactivated|restricted|terminated)|access was terminated
    request too large\b.{0,120}(?:tokens per min|\bTPM\b)
    you have been blocked|attention required|just a moment
    """
)
_UNKNOWN_PARAMETER = any_spelling(
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
_BROKEN_OR_BUSY = any_spelling(
    r"""
    engine (?:core )?(?:is )?dead|engine core (?:\w+ )?(?:died|encountered|failed)|loop has errored
    cuda error|\bout of memory
    model\b.{0,80}\b(?:is|being) (?:currently |still |being )?load(?:ed|ing)|loading (?:the )?model
    no (?:\w+ )?(?:available|healthy|live|ready|running) (?:server|upstream|backend|worker|instance|replica|node)s?\b
    no (?:server|upstream|backend|worker|instance|replica|node)s? (?:is |are )?(?:available|ready|found)
    overload|over capacity|capacity (?:exceeded|constraint)|temporarily|service unavailable
    upstream (?:\w+ )?(?:error|time ?out|failure|failed)|bad gateway|gateway time ?out
    (?:re ?try|try again) (?:later|shortly|soon|in a\b|in [\d])
    timed ?out|\btime ?out\b|deadline exceeded|took longer than|request (?:rate|quota|concurrency)
    connection (?:error|refused|reset|aborted|closed)
    internal (?:server )?error|rate limit|too many requests|server (?:is )?(?:busy|error)
    high (?:load|demand|traffic)|not (?:yet )?ready|warming up|cold start|starting up|shutting down
    """
)
_WRONG_MODEL_OR_PLACE = any_spelling(
    r"""
    model not found|(?:invalid|unknown|no such) model\b
    model\b.{0,100}(?:does not exist|not found|not available)
    model\b.{0,100}(?:decommissioned|deprecated|no longer|not (?:have )?access|not enabled)
    (?:access|allowed to access|access to|try pulling) (?:the )?model\b
    (?:country|region|territory|location)\b.{0,40}not (?:supported|available|allowed)|unsupported country
    no (?:endpoints|allowed providers)
    """
)
_WRONG_KEY = any_spelling(
    r"""
    api key|auth(?:entication|orization)? ?error|unauthori[sz]ed|(?:no|missing) auth
    invalid (?:proxy server |access |bearer |auth )?(?:token\b|credentials)
    no connected db|no db connection|virtual key|(?:token|key) (?:has |is )?expired
    """
)
_FILTERED_OR_TOO_LONG = any_spelling(
    r"""
    content (?:management )?(?:filter|policy)|responsible ?ai|usage (?:policy|policies|guidelines)
    \bflagged\b|moderat|safety (?:system|polic|filter|setting|reasons)|guardrail|prohibited content
    content exists risk|data inspection|(?:inappropriate|sensitive|harmful|unsafe) content|敏感
    context (?:length|window|size|limit)|max model len|maximum (?:model|prompt|input) length
    too (?:long|many (?:input |prompt )?tokens)|reduce the (?:length|number|prompt|size)
    must have less than \d+ tokens|new tokens\W* must be <=|input length should be
    string above max|above max length
    """
)
_EXCEEDS = any_spelling(
    r"""
    longer than|(?:input|prompt|tokens?|context|request)\b.{0,60}\bexceed(?:s|ed)?\b
    """
)
_UNSUPPORTED = any_spelling(
    rf"""
    not supported|does not support|not permitted|no longer (?:available|supported)|you are not allowed to
    must alternate|(?:chat )?template error|jinja
    [`'\"](?:{_NAMES})[`'\"]|\b(?:top_)?logprobs\b|\breasoning_effort\b
    """
)
# (meaning, statuses, pattern for codes and message); the first match decides.
_RULES: tuple[tuple[Meaning, frozenset[int], re.Pattern[str]], ...] = (
    ("account", _EVERY, _ACCOUNT),
    ("settings", _CLIENT, _UNKNOWN_PARAMETER),
    ("again", _EVERY, _BROKEN_OR_BUSY),
    ("settings", _CLIENT, _WRONG_MODEL_OR_PLACE),
    ("key", _CLIENT, _WRONG_KEY),
    ("request", _NOT_429, _FILTERED_OR_TOO_LONG),
    ("request", _NOT_A_WAIT, _EXCEEDS),
    ("settings", _CLIENT, _UNSUPPORTED),
    ("request", _NOT_429, any_spelling("too large")),
)
_BY_STATUS: dict[int, Meaning] = {
    400: "unclear", 401: "key", 402: "account", 403: "unclear", 412: "unclear", 413: "request", 414: "request",
    422: "unclear", 423: "again", 424: "again", 451: "request", 498: "again", 499: "again",
}  # fmt: skip


def meaning_of(reply: ErrorReply) -> Meaning:
    """The meaning of an error reply (see `Meaning`)."""
    if 300 <= reply.status < 400:
        return "settings"  # a redirect; following it would send the prompt to another address
    if reply.status == 429 and (_WAIT.search(reply.message) or (reply.retry_after and "EXHAUSTED" in reply.code)):
        return "again"
    said = reply.words
    for meaning, statuses, pattern in _RULES:
        if reply.status in statuses and pattern.search(said):
            return meaning
    if worth_retrying(reply.status):
        return "again"
    if reply.status == 403 and reply.message.lstrip().startswith("<"):
        return "account"  # the page of a proxy or a firewall
    return _BY_STATUS.get(reply.status, "settings")


def tells_of_no_model(reply: ErrorReply) -> bool:
    """Whether the server says that the model does not exist (yet)."""
    said = reply.words
    return reply.status == 404 or (reply.status in _CLIENT and _WRONG_MODEL_OR_PLACE.search(said) is not None)


def classify_error(
    reply: ErrorReply,
    *,
    where: str,
    api_key_env: str | None,
    key: str,
    refused: type[ModelFault] | type[UsageError],
    names: SettingNames | None = None,
) -> RestReactError | TryAgain:
    """The error to raise for a reply: TryAgain, OutsideFault (account), UsageError (key or settings), or `refused` if
    only this request is refused. `where` begins the message; `key` is redacted; `names` names the settings."""
    status = reply.status
    said = f"HTTP {status}: {redact_reply(reply.message, key)}"
    meaning = meaning_of(reply)
    if 300 <= status < 400:
        setting = (names or SettingNames()).setting("base_url")
        return UsageError(
            f"{where}: HTTP {status}: the server redirects to {place_of(reply.location)}. Redirects are not followed, "
            f"because they would send the prompt to another address; set {setting} to the final address"
        )
    if meaning == "again":
        return TryAgain(said, reply.retry_after, refused=True)
    if meaning == "account":
        return OutsideFault(f"{where}: quota used up or account closed ({said})")
    if meaning == "key" or (meaning == "unclear" and status == 403):
        names_key = f"the key in {api_key_env}" if api_key_env else ""
        hint = f"{names_key} is not accepted" if names_key else "the server requires a key; set api_key_env"
        if meaning == "unclear":
            hint = f"check {names_key or 'api_key_env'} and its permissions"
        return UsageError(f"{where}: HTTP {status}, access refused: {hint} ({redact_reply(reply.message, key)})")
    if meaning == "settings":
        return UsageError(f"{where}: {said}; {(names or SettingNames()).way_out(reply)}")
    return refused(f"{where}: {said}")
