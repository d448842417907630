"""Reads one choice of an OpenAI-compatible reply: text, finish reason and log-probabilities, in any known field.

    >>> choice = {"message": {"content": [{"type": "text", "text": "Paris"}]}, "finish_reason": "eos"}
    >>> text_of(message_of(choice).get("content")), finish_of(choice["finish_reason"])
    ('Paris', 'stop')

Not here: the whole reply (openai_replies), and decoding its bytes (event_stream).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard, cast

from rest_react.llm.token_ends import token_ends

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
TOOLS = ("tool_calls", "function_call")
THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
_LARGEST_LOGPROB = 0.01  # rounding makes some of them a little more than 0
_NOT_LISTED = -9999.0  # what OpenAI gives a token outside the likeliest 20: unknown
_DEEPEST = 3  # of the lists and objects that text may lie in


def in_order(choices: object) -> list[dict[str, Any]]:
    """The choices sorted by index, or in the given order if indexes are missing or not unique."""
    given = choices if isinstance(choices, list) else [choices]
    found = [choice for choice in given if isinstance(choice, dict) and _is_readable(choice)]
    indexes = [choice.get("index") for choice in found]
    told = all(type(index) is int for index in indexes) and len(set(indexes)) == len(indexes)
    return sorted(found, key=lambda choice: int(choice["index"])) if told else found


def _is_readable(choice: Mapping[str, Any]) -> bool:
    """Whether the type of the text is known. A choice with another type is dropped, not read as an empty sample."""
    content = message_of(choice).get("content")
    return content is None or isinstance(content, str | list | dict)


def message_of(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a choice, which may also be a delta or a text."""
    for name in ("message", "delta"):
        if isinstance(message := choice.get(name), dict):
            return message if message.get("content") is not None else {**message, "content": choice.get("text")}
    said = (choice.get(name) for name in ("message", "text", "content"))
    return {"content": next((value for value in said if value is not None), None)}


def text_of(content: object, deepest: int = _DEEPEST) -> str:
    """The text of a string, or the joined text parts of a list, without thinking parts."""
    if isinstance(content, str):
        return content
    if deepest and isinstance(content, list):
        return "".join(text_of(part, deepest - 1) for part in content if not is_thought(part))
    if deepest and isinstance(content, dict):
        held = (content.get(name) for name in ("text", "content", "value"))
        return next((text for value in held if (text := text_of(value, deepest - 1))), "")
    return ""


def is_thought(part: object) -> bool:
    """Whether a part of a message's content is thinking."""
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and kind.startswith(("think", "reason"))


def finish_of(reason: object) -> str:
    """The finish reason, as OpenAI's `stop`, `length` or `content_filter` if it is known, else unchanged."""
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    word = reason.lower() if isinstance(reason, str) else ""
    for name, words in (("stop", _STOPPED), ("length", _CUT_OFF), ("content_filter", _FILTERED)):
        if word in words:
            return name
    return word


def token_logprobs(logprobs: object) -> Iterator[object]:
    """One entry per token; an entry may be something else than a number."""
    if isinstance(logprobs, dict):
        held = (logprobs.get(name) for name in ("content", "token_logprobs"))
        logprobs = next((value for value in held if isinstance(value, list)), None)
    for entry in logprobs if isinstance(logprobs, list) else ():
        yield entry.get("logprob") if isinstance(entry, dict) else entry


def is_logprob(value: object) -> TypeGuard[float]:
    """Whether a value can be a log-probability."""
    return type(value) in (int, float) and _NOT_LISTED < cast(float, value) < _LARGEST_LOGPROB


def split_echo(choice: dict[str, Any], prompt: str, prompt_tokens: int) -> tuple[dict[str, Any], float | None]:
    """A choice that begins with the prompt (`echo`), without it, and the log-probability of the prompt's tokens behind
    the first one, which has none; the choice as it is and None if it has another beginning. The log-probability is None
    if one is missing. Without a count of the prompt's tokens all but the last one, which was generated, are its own."""
    text = text_of(message_of(choice).get("content"))
    if not text.startswith(prompt):
        return choice, None
    values = list(token_logprobs(choice.get("logprobs")))
    place = prompt_tokens if 0 < prompt_tokens <= len(values) else len(values) - 1
    echoed = values[1:place]
    known = [float(value) for value in echoed if is_logprob(value)]
    rest = choice | {"text": text[len(prompt) :], "logprobs": {"token_logprobs": values[place:]}}
    return rest, math.fsum(known) if known and len(known) == len(echoed) else None


def listed_tokens(logprobs: object) -> dict[str, float]:
    """The log-probabilities of the likely first tokens (`top_logprobs`), by text; of the first token itself if no other
    is given; empty without it."""
    held = logprobs if isinstance(logprobs, dict) else {}
    content, tops = held.get("content"), held.get("top_logprobs")
    first = content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else {}
    listed = first.get("top_logprobs", tops[0] if isinstance(tops, list) and tops else None)
    if isinstance(listed, dict):
        return _by_text(listed.items())
    return _by_text(map(_pair, listed if isinstance(listed, list) else ())) or _by_text([_pair(first)])


def _pair(entry: object) -> tuple[object, object]:
    return (entry.get("token"), entry.get("logprob")) if isinstance(entry, dict) else (None, None)


def _by_text(pairs: Iterable[tuple[object, object]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for token, value in pairs:
        if isinstance(token, str) and is_logprob(value):
            found.setdefault(token, float(value))
    return found


def choice_token_ends(text: str, logprobs: object) -> tuple[int, ...]:
    """The end of each token in the text, in bytes; empty if the tokens are missing or do not spell the text."""
    held = logprobs if isinstance(logprobs, dict) else {}
    content, tokens = held.get("content"), held.get("tokens")
    told = content if isinstance(content, list) else tokens if isinstance(tokens, list) else []
    words = [entry.get("token") if isinstance(entry, dict) else entry for entry in told]
    spelled = [word.encode("utf-8", "replace") if isinstance(word, str) else b"" for word in words]
    # A token that is part of a character is only given as bytes.
    return token_ends(text, spelled) or token_ends(text, [_bytes(entry) for entry in told])


def _bytes(entry: object) -> bytes:
    given = entry.get("bytes") if isinstance(entry, dict) else None
    known = isinstance(given, list) and all(type(byte) is int and 0 <= byte < 256 for byte in given)
    return bytes(given) if known and given else b""
