"""What a reply of an OpenAI-shaped server says: its samples, however the server words the rest.

    >>> raw = b'{"choices": [{"text": "Paris", "finish_reason": "eos", "logprobs": []}], "usage": null}'
    >>> read_reply(raw).completions
    [Completion(text='Paris', tokens=0, logprob=None, finish='stop', prompt_tokens=0)]

The text counts. What is not needed, and missing or of another type, is unknown: a log-probability sum of None, a count
of 0, a finish of "". Read are chat and completions replies, text in parts, and a reply that comes as server-sent
events. A sample without text says where the server put it instead (`elsewhere`): thoughts, or a call of a tool.

Tokens are counted by the log-probabilities where there are any: llama.cpp counts those of one sample for all `n`.
Without them the reply's usage is shared out evenly, unless it is impossible: then the counts are unknown.
Not here: error replies (remote.error_replies), and what a sample without text means for the run (openai_compatible).
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from rest_react.llm.token_ends import token_ends
from rest_react.records import Completion
from rest_react.remote.error_replies import ErrorInside, read_error
from rest_react.remote.redaction import redact_reply
from rest_react.remote.retry import TryAgain
from rest_react.remote.usage import Tokens, Usage, told, with_thoughts

_STOPPED = frozenset(
    ("stop", "eos", "eos_token", "end", "end_turn", "end_of_text", "stop_sequence", "stop_str", "complete", "completed")
)
_CUT_OFF = frozenset(
    ("length", "max_tokens", "max_length", "max_output_tokens", "max_completion_tokens", "model_length", "incomplete")
)
_FILTERED = frozenset(
    (
        "content_filter",
        "content_filtered",
        "safety",
        "sensitive",
        "moderation",
        "blocklist",
        "prohibited_content",
        "recitation",
        "spii",
    )
)
_BROKEN_OFF = frozenset(
    ("error", "abort", "aborted", "cancelled", "canceled", "insufficient_system_resource", "network_error", "load")
)
_TOOLS = ("tool_calls", "function_call")
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
_DEEPEST = 3  # of the lists and objects that text may lie in
_LARGEST_LOGPROB = 0.01  # rounding makes some of them a little more than 0


@dataclass(frozen=True, slots=True)
class Reply:
    """The samples of one reply in the order of their indexes, and what they took. `elsewhere` has one entry for each
    sample: the field that holds what its text should hold, or nothing."""

    completions: list[Completion]
    elsewhere: list[str]
    usage: Usage


def read_reply(raw: bytes, key: str = "", most: Tokens | None = None) -> Reply:
    """Reads a reply of status 200 to a request that cannot take more than `most` tokens, thoughts aside. Raises
    ErrorInside for one that holds an error in place of samples, and TryAgain for one that holds neither."""
    try:
        body = _parse(raw)
    except (ValueError, RecursionError) as error:
        raise TryAgain(f"unreadable reply ({error}): {_shown(raw, key)}") from None
    given = _in_order(body.get("choices") if isinstance(body, dict) else None)
    choices = [choice for choice in given if not _failed(choice)]
    if not choices:
        # Gateways report an upstream's failure inside a reply with status 200.
        if (found := _error_in(body, given)) is not None:
            raise ErrorInside(read_error(200, found))
        raise TryAgain(f"a reply without choices: {_shown(raw, key)}")
    usage = _usage(body.get("usage"), choices, most)
    share, rest = divmod(usage.completion or 0, len(choices))
    completions = [_completion(choice, share + (i < rest), usage.prompt or 0) for i, choice in enumerate(choices)]
    hidden = _hidden_thoughts(body.get("usage"))
    elsewhere = [
        "" if one.text else _elsewhere(choice, hidden) for one, choice in zip(completions, choices, strict=True)
    ]
    if not usage.impossible and all(one.tokens for one in completions):
        # By the log-probabilities, where the usage tells fewer or none.
        generated = max(usage.completion or 0, sum(one.tokens for one in completions))
        usage = replace(usage, completion=generated)
    return Reply(completions, elsewhere, usage)


def _failed(choice: Mapping[str, Any]) -> bool:
    """Whether generation broke off: what is there of the text is no sample of the model's."""
    return bool(choice.get("error")) or _finish(choice.get("finish_reason")) in _BROKEN_OFF


def _error_in(body: object, choices: Sequence[Mapping[str, Any]]) -> object:
    if isinstance(body, dict) and any(body.get(name) for name in ("error", "message", "detail", "msg")):
        return body
    if choices:
        return choices[0].get("error") or f"finish_reason: {choices[0].get('finish_reason')}"
    return None


def _shown(raw: bytes, key: str) -> str:
    return redact_reply(raw[:500].decode("utf-8", "replace"), key)


# ── from bytes to an object ───────────────────────────────────────────────────────────────────────────────────────────


def _parse(raw: bytes) -> Any:
    raw = raw.removeprefix(b"\xef\xbb\xbf").strip()
    if raw.startswith((b"data:", b"event:", b"id:", b":")):
        return _of_events(raw.decode("utf-8", "replace"))
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        return _parse_slowly(raw.decode("utf-8", "replace"))


def _parse_slowly(text: str) -> Any:
    """What msgspec refuses: NaN and Infinity, which become null, and half of a surrogate pair."""
    return json.loads(text, parse_constant=lambda _: None)


def _of_events(text: str) -> Any:
    """The reply that a stream of events spells out: its last whole reply, else all deltas put together."""
    chunks: list[dict[str, Any]] = []
    ended = False
    for event in text.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].strip() for line in event.split("\n") if line.startswith("data:"))
        if data == "[DONE]":
            ended = True
        elif data:
            chunk = _parse_slowly(data)
            if not isinstance(chunk, dict) or chunk.get("error"):
                return chunk
            chunks.append(chunk)
    parts = [choice for chunk in chunks for choice in _in_order(chunk.get("choices"))]
    whole = [chunk for chunk in chunks if any("message" in choice for choice in _in_order(chunk.get("choices")))]
    if whole:
        return whole[-1]
    if not ended and not any(part.get("finish_reason") for part in parts):
        raise ValueError("a stream of events that breaks off")
    usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    return {"choices": list(_put_together(parts)), "usage": usage[-1] if usage else None}


def _put_together(parts: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One choice for each index from its pieces."""
    by_index: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        by_index.setdefault(str(part.get("index", 0)), []).append(part)
    for pieces in by_index.values():
        messages = [_message(piece) for piece in pieces]
        message = {
            name: "".join(_text(one.get(name)) for one in messages) for name in ("content", *_THOUGHTS, "refusal")
        }
        message |= {name: one[name] for one in messages for name in _TOOLS if one.get(name)}
        logprobs = [list(_token_logprobs(piece.get("logprobs"))) for piece in pieces]
        yield {
            "index": pieces[0].get("index"),
            "message": message,
            "finish_reason": next((p["finish_reason"] for p in reversed(pieces) if p.get("finish_reason")), None),
            "logprobs": {"token_logprobs": [value for piece in logprobs for value in piece]},
        }


# ── from an object to samples ─────────────────────────────────────────────────────────────────────────────────────────


def _in_order(choices: object) -> list[dict[str, Any]]:
    """The choices by their indexes; as they came where a server leaves these out, or gives each the same."""
    given = choices if isinstance(choices, list) else [choices]
    found = [choice for choice in given if isinstance(choice, dict) and _is_readable(choice)]
    indexes = [choice.get("index") for choice in found]
    told = all(type(index) is int for index in indexes) and len(set(indexes)) == len(indexes)
    return sorted(found, key=lambda choice: int(choice["index"])) if told else found


def _is_readable(choice: Mapping[str, Any]) -> bool:
    """Whether its text is of a known kind: one that is not is no empty sample, but none at all."""
    content = _message(choice).get("content")
    return content is None or isinstance(content, str | list | dict)


def _completion(choice: Mapping[str, Any], token_share: int, prompt_tokens: int) -> Completion:
    message = _message(choice)
    text = _text(message.get("content"))
    refused = not text and bool(_text(message.get("refusal")))
    values = list(_token_logprobs(choice.get("logprobs")))
    known = [float(value) for value in values if isinstance(value, int | float) and _is_logprob(value)]
    complete = bool(known) and len(known) == len(values)
    ends = _token_ends(text, choice.get("logprobs")) if complete else ()
    return Completion(
        text=text.encode("utf-8", "replace").decode("utf-8"),
        tokens=len(values) or token_share,
        logprob=math.fsum(known) if complete else None,
        finish="refusal" if refused else _finish(choice.get("finish_reason")),
        prompt_tokens=prompt_tokens,
        token_ends=ends if len(ends) == len(known) else (),
        token_logprobs=tuple(known) if len(ends) == len(known) else (),
    )


def _message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a choice; one with a text alone, or with a piece of a message, is read alike."""
    for name in ("message", "delta"):
        if isinstance(message := choice.get(name), dict):
            return message if message.get("content") is not None else {**message, "content": choice.get("text")}
    said = (choice.get(name) for name in ("message", "text", "content"))
    return {"content": next((value for value in said if value is not None), None)}


def _text(content: object, deepest: int = _DEEPEST) -> str:
    """A string, or all parts of text in a list of parts; thoughts among them are none."""
    if isinstance(content, str):
        return content
    if deepest and isinstance(content, list):
        return "".join(_text(part, deepest - 1) for part in content if not _is_thought(part))
    if deepest and isinstance(content, dict):
        held = (content.get(name) for name in ("text", "content", "value"))
        return next((text for value in held if (text := _text(value, deepest - 1))), "")
    return ""


def _is_thought(part: object) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and kind.startswith(("think", "reason"))


def _elsewhere(choice: Mapping[str, Any], hidden: bool) -> str:
    message = _message(choice)
    if used := next((name for name in _TOOLS if message.get(name)), ""):
        return used
    content = message.get("content")
    if isinstance(content, list) and any(map(_is_thought, content)):
        return "reasoning"
    thoughts = next((name for name in _THOUGHTS if message.get(name)), "")
    return thoughts or ("reasoning" if hidden else "")


def _hidden_thoughts(usage: object) -> bool:
    """Whether the usage counts thoughts, which need not stand in the reply."""
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    return isinstance(details, dict) and (_count(details.get("reasoning_tokens")) or 0) > 0


def _finish(reason: object) -> str:
    """Why a sample ended, in OpenAI's words where it can be told: stop, length, content_filter."""
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    word = reason.lower() if isinstance(reason, str) else ""
    for name, words in (("stop", _STOPPED), ("length", _CUT_OFF), ("content_filter", _FILTERED)):
        if word in words:
            return name
    return word


def _token_logprobs(logprobs: object) -> Iterator[object]:
    """One entry for each token, a number where the server is right."""
    if isinstance(logprobs, dict):
        held = (logprobs.get(name) for name in ("content", "token_logprobs"))
        logprobs = next((value for value in held if isinstance(value, list)), None)
    for entry in logprobs if isinstance(logprobs, list) else ():
        yield entry.get("logprob") if isinstance(entry, dict) else entry


def _token_ends(text: str, logprobs: object) -> tuple[int, ...]:
    """Where each token ends in the text; nothing where the tokens are not told, or do not spell it."""
    held = logprobs if isinstance(logprobs, dict) else {}
    content, tokens = held.get("content"), held.get("tokens")
    told = content if isinstance(content, list) else tokens if isinstance(tokens, list) else []
    words = [entry.get("token") if isinstance(entry, dict) else entry for entry in told]
    spelled = [word.encode("utf-8", "replace") if isinstance(word, str) else b"" for word in words]
    # A token that is a part of a character is told by its bytes alone.
    return token_ends(text, spelled) or token_ends(text, [_bytes(entry) for entry in told])


def _bytes(entry: object) -> bytes:
    given = entry.get("bytes") if isinstance(entry, dict) else None
    known = isinstance(given, list) and all(type(byte) is int and 0 <= byte < 256 for byte in given)
    return bytes(given) if known and given else b""


def _is_logprob(value: float) -> bool:
    return type(value) is not bool and -math.inf < value < _LARGEST_LOGPROB


def _usage(usage: object, choices: Sequence[Mapping[str, Any]], most: Tokens | None) -> Usage:
    """What the reply says that it took, as far as that is possible."""
    prompt, completion = _counts(usage if isinstance(usage, dict) else {})
    messages = [_message(choice) for choice in choices]
    thought = _hidden_thoughts(usage) or any(message.get(name) for message in messages for name in _THOUGHTS)
    if most is not None and thought:
        most = with_thoughts(most, len(choices))
    return told(prompt, completion, most=most, wrote=any(_text(message.get("content")) for message in messages))


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
