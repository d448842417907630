r"""Decodes the bytes of a reply: one JSON object, or a stream of server-sent events, which are merged into one.

    >>> events = b'data: {"choices": [{"text": "Par"}]}\n\ndata: {"choices": [{"text": "is"}]}\n\ndata: [DONE]\n\n'
    >>> parse_body(events)["choices"][0]["message"]["content"]
    'Paris'

Not here: reading the object (openai_choice, openai_replies).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rest_react.llm.openai_api.openai_choice import THOUGHTS, TOOLS, in_order, message_of, text_of, token_logprobs
from rest_react.remote.json_reply import decode_reply


def parse_body(raw: bytes) -> Any:
    """The decoded reply. Raises ValueError or RecursionError if the bytes are neither JSON nor complete events."""
    raw = raw.removeprefix(b"\xef\xbb\xbf").strip()
    if raw.startswith((b"data:", b"event:", b"id:", b":")):
        return _of_events(raw.decode("utf-8", "replace"))
    return decode_reply(raw, "replace")


def _of_events(text: str) -> Any:
    """The reply of a stream of events: its last complete reply if there is one, else all deltas merged."""
    chunks: list[dict[str, Any]] = []
    ended = False
    for event in text.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].strip() for line in event.split("\n") if line.startswith("data:"))
        if data == "[DONE]":
            ended = True
        elif data:
            chunk = decode_reply(data.encode())
            if not isinstance(chunk, dict) or chunk.get("error"):
                return chunk
            chunks.append(chunk)
    parts = [choice for chunk in chunks for choice in in_order(chunk.get("choices"))]
    whole = [chunk for chunk in chunks if any("message" in choice for choice in in_order(chunk.get("choices")))]
    if whole:
        return whole[-1]
    # Of a stream that breaks off, only the samples that had ended are whole.
    choices = [choice for choice in _put_together(parts) if ended or choice["finish_reason"]]
    if not choices and not ended:
        raise ValueError("the event stream ended early")
    usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    return {"choices": choices, "usage": usage[-1] if usage else None}


def _put_together(parts: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One choice for each index, merged from its deltas."""
    by_index: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        by_index.setdefault(str(part.get("index", 0)), []).append(part)
    for pieces in by_index.values():
        messages = [message_of(piece) for piece in pieces]
        message = {
            name: "".join(text_of(one.get(name)) for one in messages) for name in ("content", *THOUGHTS, "refusal")
        }
        message |= {name: one[name] for one in messages for name in TOOLS if one.get(name)}
        logprobs = [list(token_logprobs(piece.get("logprobs"))) for piece in pieces]
        yield {
            "index": pieces[0].get("index"),
            "message": message,
            "finish_reason": next((p["finish_reason"] for p in reversed(pieces) if p.get("finish_reason")), None),
            "logprobs": {"token_logprobs": [value for piece in logprobs for value in piece]},
        }
