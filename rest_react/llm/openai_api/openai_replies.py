"""Reads replies of OpenAI-compatible servers, tolerating missing and malformed fields.

    >>> raw = b'{"choices": [{"text": "Paris", "finish_reason": "eos", "logprobs": []}], "usage": null}'
    >>> read_reply(raw).completions
    [Completion(text='Paris', tokens=0, logprob=None, finish='stop', prompt_tokens=0)]

Only the text is required. Other fields that are missing or have another type count as unknown: a log-probability of
None, a count of 0, a finish of "". The reply may be a chat or a text completion, as one object or as server-sent
events. If a sample has no text, `elsewhere` names the field that has content instead: thinking, or a tool call.

A sample's tokens are counted by its log-probabilities, since llama.cpp reports the usage of one sample for all `n`.
Without log-probabilities the reply's usage is divided evenly; if it is impossible, the counts are unknown.
Not here: one choice (openai_choice), the bytes (event_stream), error replies (remote.failures.error_replies), and what
a sample without text means for the run (openai_compatible).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rest_react.llm.openai_api.event_stream import parse_body
from rest_react.llm.openai_api.openai_choice import (
    THOUGHTS,
    TOOLS,
    choice_token_ends,
    finish_of,
    in_order,
    is_logprob,
    is_thought,
    listed_tokens,
    message_of,
    split_echo,
    text_of,
    token_logprobs,
)
from rest_react.records import Completion
from rest_react.remote.failures.error_replies import ErrorInside, read_error
from rest_react.remote.retry import TryAgain
from rest_react.remote.usage import Tokens, Usage, told, with_thoughts
from rest_react.text_safety.redaction import redact_reply

_BROKEN_OFF = frozenset(
    ("error", "abort", "aborted", "cancelled", "canceled", "insufficient_system_resource", "network_error", "load")
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The samples of one reply in the order of their indexes, and what they took. `elsewhere` has one entry for each
    sample: the field that holds what its text should hold, or nothing. Of the first sample, `listed` are the likely
    first tokens, and `echoed` is the log-probability of the prompt that it repeats, if that was asked for."""

    completions: list[Completion]
    elsewhere: list[str]
    usage: Usage
    listed: Mapping[str, float] = field(default_factory=dict)
    echoed: float | None = None


def read_reply(raw: bytes, key: str = "", most: Tokens | None = None, *, echo: str | None = None) -> Reply:
    """Reads a reply of status 200 to a request that cannot take more than `most` tokens, thoughts aside; `echo` is the
    prompt that it was asked to repeat. Raises ErrorInside for one that holds an error in place of samples, and TryAgain
    for one that holds neither."""
    try:
        body = parse_body(raw)
    except (ValueError, RecursionError) as error:
        raise TryAgain(f"unreadable reply ({error}): {_shown(raw, key)}") from None
    given = in_order(body.get("choices") if isinstance(body, dict) else None)
    no_tokens = not _counts(_dict(_dict(body).get("usage")))[1]
    choices = [choice for choice in given if not _failed(choice) and not (no_tokens and _is_nothing(choice))]
    if not choices:
        # Gateways report an upstream's failure inside a reply with status 200.
        if (found := _error_in(body, given)) is not None:
            raise ErrorInside(read_error(200, found))
        raise TryAgain(f"the reply has no choices: {_shown(raw, key)}")
    echoed = None
    if echo is not None:
        choices[0], echoed = split_echo(choices[0], echo, _counts(_dict(body.get("usage")))[0] or 0)
    usage = _usage(body.get("usage"), choices, most)
    share, rest = divmod(usage.completion or 0, len(choices))
    completions = [_completion(choice, share + (i < rest), usage.prompt or 0) for i, choice in enumerate(choices)]
    hidden = _hidden_thoughts(body.get("usage"))
    elsewhere = [
        "" if one.text else _elsewhere(choice, hidden=hidden) for one, choice in zip(completions, choices, strict=True)
    ]
    if not usage.impossible and all(one.tokens for one in completions):
        # By the log-probabilities, where the usage tells fewer or none.
        generated = max(usage.completion or 0, sum(one.tokens for one in completions))
        usage = replace(usage, completion=generated)
    return Reply(completions, elsewhere, usage, listed_tokens(choices[0].get("logprobs")), echoed)


def _failed(choice: Mapping[str, Any]) -> bool:
    """Whether generation broke off: what is there of the text is no sample of the model's."""
    return bool(choice.get("error")) or finish_of(choice.get("finish_reason")) in _BROKEN_OFF


def _is_nothing(choice: Mapping[str, Any]) -> bool:
    """Whether a choice has neither a text, nor a reason that there is none, nor a token: an outage, not a sample."""
    message = message_of(choice)
    said = text_of(message.get("content")) or text_of(message.get("refusal")) or finish_of(choice.get("finish_reason"))
    return not said and not _elsewhere(choice, hidden=False) and not any(token_logprobs(choice.get("logprobs")))


def _error_in(body: object, choices: Sequence[Mapping[str, Any]]) -> object:
    if isinstance(body, dict) and any(body.get(name) for name in ("error", "message", "detail", "msg")):
        return body
    if choices:
        reason = choices[0].get("finish_reason")
        return choices[0].get("error") or (f"finish_reason: {reason}" if reason else None)
    return None


def _shown(raw: bytes, key: str) -> str:
    return redact_reply(raw[:500].decode("utf-8", "replace"), key)


def _completion(choice: Mapping[str, Any], token_share: int, prompt_tokens: int) -> Completion:
    message = message_of(choice)
    text = text_of(message.get("content"))
    refused = not text and bool(text_of(message.get("refusal")))
    values = list(token_logprobs(choice.get("logprobs")))
    known = [float(value) for value in values if is_logprob(value)]
    complete = bool(known) and len(known) == len(values)
    ends = choice_token_ends(text, choice.get("logprobs")) if complete else ()
    return Completion(
        text=text.encode("utf-8", "replace").decode("utf-8"),
        tokens=len(values) or token_share,
        logprob=math.fsum(known) if complete else None,
        finish="refusal" if refused else finish_of(choice.get("finish_reason")),
        prompt_tokens=prompt_tokens,
        token_ends=ends if len(ends) == len(known) else (),
        token_logprobs=tuple(known) if len(ends) == len(known) else (),
    )


def _elsewhere(choice: Mapping[str, Any], *, hidden: bool) -> str:
    message = message_of(choice)
    if used := next((name for name in TOOLS if message.get(name)), ""):
        return used
    content = message.get("content")
    if isinstance(content, list) and any(map(is_thought, content)):
        return "reasoning"
    thoughts = next((name for name in THOUGHTS if message.get(name)), "")
    return thoughts or ("reasoning" if hidden else "")


def _hidden_thoughts(usage: object) -> bool:
    """Whether the usage counts thoughts, which need not stand in the reply."""
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    return isinstance(details, dict) and (_count(details.get("reasoning_tokens")) or 0) > 0


def _usage(usage: object, choices: Sequence[Mapping[str, Any]], most: Tokens | None) -> Usage:
    """What the reply says that it took, as far as that is possible."""
    prompt, completion = _counts(_dict(usage))
    messages = [message_of(choice) for choice in choices]
    thought = _hidden_thoughts(usage) or any(message.get(name) for message in messages for name in THOUGHTS)
    if most is not None and thought:
        most = with_thoughts(most, len(choices))
    return told(prompt, completion, most=most, wrote=any(text_of(message.get("content")) for message in messages))


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _counts(usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens in and out, as they are told."""
    prompt = _first_count(usage, "prompt_tokens", "input_tokens")
    completion = _first_count(usage, "completion_tokens", "output_tokens")
    total = _count(usage.get("total_tokens"))
    if completion is None and total is not None and prompt is not None:
        completion = total - prompt
    return prompt, completion


def _first_count(usage: Mapping[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(usage.get(name))) is not None), None)


def _count(value: object) -> int | None:
    """A number of tokens, also as 12.0 or "12", possible or not; None where it is no whole number."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,40}", value):
        return int(value)
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else None
