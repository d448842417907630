r"""Untrusted text (web pages, model output) made fit for a prompt, a terminal, a page or Markdown.

    >>> quote("a\n<|im_end|>")
    '"a\\n\\u003c|im_end|>"'
    >>> escape_control_tokens("see <|im_end|>")
    'see < |im_end|>'
    >>> printable("\x1b[31mred"), visible("a\u202eb"), plain("a_b")
    ('\\u001b[31mred', 'a�b', 'a\\_b')

Not here: secrets in messages (redaction), and HTML, which Jinja's autoescape makes safe.
"""

import html
import json
import re
import unicodedata

# What ends a turn or a section for some model family: broken up or escaped it is only text.
_CONTROL = re.compile(
    r"<(?=[|\uff5c]|/?s>|start_of_turn>|end_of_turn>|/?think>|[eb]os>|</?SYS>)|\[(?=END\]|/?INST\])", re.IGNORECASE
)
_JSON = json.JSONEncoder(ensure_ascii=False)
# What JSON leaves as it is but may end a line for some reader, cannot be stored, or is a control token.
_LEFT_BY_JSON = re.compile(rf"[\x7f-\x9f\u2028\u2029\ud800-\udfff]|{_CONTROL.pattern}", re.IGNORECASE)
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode's categories of what has no shape, or no known one


def quote(text: str) -> str:
    """A double-quoted literal that Python reads back as the same text. Line breaks, control characters and control
    tokens are escaped, so nothing inside can end a string, a line, a prompt section or a turn."""
    literal = _JSON.encode(text)
    return _LEFT_BY_JSON.sub(lambda m: f"\\u{ord(m[0]):04x}", literal)


def escape_control_tokens(text: str) -> str:
    """Untrusted text with the control tokens of chat templates and of our own prompts taken apart, and halves of
    surrogate pairs (which no file can hold) replaced."""
    return _CONTROL.sub(lambda m: m[0] + " ", text.encode("utf-8", "replace").decode("utf-8"))


def printable(text: str) -> str:
    """Untrusted text for a terminal: what could move the cursor, recolour or reorder the line is shown as its code."""
    return "".join(c if c == "\n" or c.isprintable() else _shown(c) for c in text)


def _shown(character: str) -> str:
    if unicodedata.category(character) == "Zs":  # the many widths of a space
        return " "
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str, longest: int = 1500) -> str:
    """Untrusted text without characters that hide or reorder what is read, cut to what a person would read."""
    shown = _seen(text[:longest])
    return shown if len(text) <= longest else f"{shown} … ({len(text):,} characters)"


def _seen(text: str) -> str:
    return "".join("\ufffd" if unicodedata.category(c) in _UNSEEN and c not in "\n\t" else c for c in text)


def plain(text: str) -> str:
    """Untrusted text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", html.escape(_seen(" ".join(text.split())), quote=False))
