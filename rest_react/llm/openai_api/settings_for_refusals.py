"""Finds the setting to change when a server refuses a field of the request, or returns a sample without text.

    >>> refusal = ErrorReply(400, "Unsupported parameter: 'max_tokens' is not supported with this model.")
    >>> remedy(refusal, SettingNames("grader"), sent={"model": "o", "max_tokens": 512}, omit=(), extra_body={})
    'set grader.token_limit=max_completion_tokens'

If a refusal names a field of the request and says that it is not supported, the settings are wrong, whatever the
status: no request of this client can succeed. Only the beginning of a message is read, since its end may repeat the
prompt.
Not here: refusals of one prompt, the key, quotas and outages (remote.failures.error_meanings).
"""

import re
from collections.abc import Collection, Mapping

from rest_react.remote.failures.error_replies import ErrorReply
from rest_react.remote.failures.setting_names import SettingNames

_BEGINNING = 200
_REFUSING = (400, 403, 404, 405, 415, 422, 500, 501)  # 403: logprobs; 500: llama.cpp
_NOT_TAKEN = re.compile(
    r"unsupported|unknown|unrecognized|unexpected|forbidden|deprecated|no longer|extra (?:inputs|fields)|must be"
    r"|only the|not one of|invalid (?:argument|parameter|field|value)|n[o']t (?:support|allow|accept)\b"
    r"|n[o']t (?:\w+ )?(?:be )?(?:supported|allowed|permitted|enabled|recognized|available|implemented|used|set)",
    re.IGNORECASE,
)
_TOO_MUCH = re.compile(
    r"too (?:large|long|high|many)|exceed|at most|must be|between|maximum|greater|less", re.IGNORECASE
)
_CODES = frozenset(("unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"))
# Words that mean a field without quotes around them; `n`, `stop`, `seed` and `model` are words of any prompt.
_PLAIN_NAMES = (
    "max_tokens",
    "max_completion_tokens",
    "logprobs",
    "top_logprobs",
    "temperature",
    "chat_template_kwargs",
)
_TEXTS = ("model", "messages", "prompt")
_NO_SYSTEM_TURN = re.compile(
    r"(?<!system message, )conversation roles must alternate|only user and assistant roles are supported(?!, with)"
    r"|(?:system|developer) (?:role|turn|message|prompt|instruction)s?\b.{0,25}?(?:\bnot\b|n't\b|unsupported)"
    r"|not support (?:a |the )?\W?(?:system|developer)\b|(?:unknown|invalid|unsupported|unexpected)[\w ]* role\W+system"
    r"|\bsystem\W+is not (?:one of|a valid|supported|allowed)",
    re.IGNORECASE,
)


def remedy(
    reply: ErrorReply,
    names: SettingNames,
    *,
    sent: Mapping[str, object],
    omit: Collection[str],
    extra_body: Collection[str],
) -> str:
    """What to set where a refusal names a field that was sent; empty where it is about something else."""
    said = reply.message[:_BEGINNING]
    refused = reply.code in _CODES or reply.param in extra_body or _NOT_TAKEN.search(said)
    if reply.status not in _REFUSING or not refused:
        return ""
    field = _named(reply, said, sent)
    if field in ("max_tokens", "max_completion_tokens") and _TOO_MUCH.search(said):
        return ""
    if field in extra_body:
        return f"leave {field} out of {names.setting('extra_body')}"
    return _setting(field, names, omit)


def refuses_system_turn(reply: ErrorReply) -> bool:
    """Whether the server says that its template has no system turn."""
    said = reply.message[:_BEGINNING]
    return reply.status in (400, 422, 500) and bool(_NO_SYSTEM_TURN.search(said))


def refuses_so_many_listed(reply: ErrorReply) -> bool:
    """Whether the server says that it lists fewer likely tokens than `top_logprobs` asks for."""
    said = reply.message[:_BEGINNING]
    return reply.status in (400, 422, 500) and "logprobs" in said + reply.param and bool(_TOO_MUCH.search(said))


def why_empty(field: str, cut_off: bool, names: SettingNames) -> str:
    """What to say of samples whose text went into another field of the reply."""
    extra_body, template = names.setting("extra_body"), names.setting("chat_template_kwargs")
    if field in ("tool_calls", "function_call"):
        return (
            f"the reply has {field} instead of text: the server parses the answer as a tool call; start it without a "
            f"tool-call parser, or set '+{extra_body}={{tool_choice: none}}'"
        )
    why = (
        f"thinking used all tokens; raise {names.max_tokens}, or"
        if cut_off
        else "the server parses the whole reply as thinking;"
    )
    return (
        f"the reply has {field} instead of text: {why} turn thinking off: "
        f"'+{template}={{enable_thinking: false}}', or "
        f"'+{extra_body}={{reasoning_effort: none}}', or start the server without a reasoning parser"
    )


def _named(reply: ErrorReply, said: str, sent: Mapping[str, object]) -> str:
    if reply.param in sent and reply.param not in _TEXTS:
        return reply.param
    quoted = re.findall(r"[`'\"]([a-z_]+)[`'\"]", said)
    after = re.findall(r"(?:parameters?|arguments?|fields?|inputs?|params?|body\.)[ :.]*\W?([a-z_]+)", said)
    last = re.findall(r": \W?([a-z_]+)\W*$", said)
    before = re.findall(r"\b([a-z_]+)\W? (?:parameter|argument|field)\b", said)
    plain = [name for name in _PLAIN_NAMES if re.search(rf"\b{name}\b", said, re.IGNORECASE)]
    return next((name for name in (*quoted, *after, *before, *last, *plain) if name in sent and name not in _TEXTS), "")


def _setting(field: str, names: SettingNames, omit: Collection[str]) -> str:
    match field:
        case "max_tokens":
            return f"set {names.setting('token_limit')}=max_completion_tokens"
        case "max_completion_tokens":
            return f"set {names.setting('token_limit')}=max_tokens"
        case "logprobs" | "top_logprobs":
            return f"set {names.setting('logprobs')}=false"
        case "n":
            return f"set {names.setting('n_per_request')}=false"
        case "temperature" | "seed" | "stop":
            return f"set {names.setting('omit')}=[{','.join(sorted({*omit, field}))}]"
        case "chat_template_kwargs":
            return f"set {names.setting('chat_template_kwargs')} to null"
    return ""
