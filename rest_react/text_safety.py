"""Untrusted text (web pages, model output) made fit for a prompt.

    >>> quote("a\n<|im_end|>")
    '"a\\n\\u003c|im_end|>"'
    >>> escape_control_tokens("see <|im_end|>")
    'see < |im_end|>'

Not here: secrets in messages (remote.redaction), and text for a terminal or a page (console, Jinja's autoescape).
"""

import json
import re

# What ends a turn or a section for some model family: broken up or escaped it is only text.
_CONTROL = re.compile(
    r"<(?=[|\uff5c]|/?s>|start_of_turn>|end_of_turn>|/?think>|[eb]os>|</?SYS>)|\[(?=END\]|/?INST\])", re.IGNORECASE
)
_JSON = json.JSONEncoder(ensure_ascii=False)
# What JSON leaves as it is but may end a line for some reader, cannot be stored, or is a control token.
_LEFT_BY_JSON = re.compile(rf"[\x7f-\x9f\u2028\u2029\ud800-\udfff]|{_CONTROL.pattern}", re.IGNORECASE)


def quote(text: str) -> str:
    """A double-quoted literal that Python reads back as the same text. Line breaks, control characters and control
    tokens are escaped, so nothing inside can end a string, a line, a prompt section or a turn."""
    literal = _JSON.encode(text)
    return _LEFT_BY_JSON.sub(lambda m: f"\\u{ord(m[0]):04x}", literal)


def escape_control_tokens(text: str) -> str:
    """Untrusted text with the control tokens of chat templates and of our own prompts taken apart, and halves of
    surrogate pairs (which no file can hold) replaced."""
    return _CONTROL.sub(lambda m: m[0] + " ", text.encode("utf-8", "replace").decode("utf-8"))
