"""Finds the position in a sample's text at which each token ends.

    >>> token_ends("née", [b"n", b"\\xc3", b"\\xa9e", b"<eos>"])
    (1, 2, 4, 4)

Positions are bytes of the text in UTF-8, since a token may end inside a character. Servers cut the text (stop strings,
white space, thinking) but list every token, so the text is searched in the joined tokens.
Not here: log-probabilities, and which tokens count (tasks.search_qa.step).
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any


def token_ends(text: str, pieces: Sequence[bytes]) -> tuple[int, ...]:
    """One position per token, in bytes; empty if the tokens do not spell the text."""
    spelled, wanted = b"".join(pieces), text.encode("utf-8", "replace")
    start = 0 if spelled.startswith(wanted) else spelled.rfind(wanted)
    if start < 0:
        return ()
    return tuple(min(max(end - start, 0), len(wanted)) for end in accumulate(map(len, pieces)))


def decoded_pieces(tokenizer: Any, tokens: Sequence[int]) -> list[bytes]:
    """What each token adds to the text. Of a character that takes several tokens, each but the last gets one byte.
    Empty where the tokenizer is not one of the `tokenizers` library."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return []
    from tokenizers.decoders import DecodeStream

    stream, special = DecodeStream(skip_special_tokens=True), set(tokenizer.all_special_ids)
    pieces: list[bytes] = []
    waiting: list[int] = []
    for token in tokens:
        added = stream.step(backend, token)
        spelled = (added or "").encode("utf-8", "replace")
        if added is None and token not in special:
            waiting.append(len(pieces))
        elif added is not None:
            for n, place in enumerate(waiting):
                pieces[place] = spelled[n : n + 1]
            spelled = spelled[len(waiting) :]
            waiting.clear()
        pieces.append(spelled)
    if waiting:  # the text ends in U+FFFD, by which the stream takes it for incomplete, or within a character
        whole = tokenizer.decode(list(tokens), skip_special_tokens=True).encode("utf-8", "replace")
        rest = whole[len(b"".join(pieces)) :]
        for n, place in enumerate(waiting):
            pieces[place] = rest[n:] if place == waiting[-1] else rest[n : n + 1]
    return pieces
