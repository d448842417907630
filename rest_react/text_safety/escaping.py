r"""Makes untrusted text (web pages, model output) safe for a prompt, a terminal, a page or Markdown.

    >>> quote("a\n<|im_end|>")
    '"a\\n\\u003c|im_end|>"'
    >>> escape_control_tokens("see <|im_end|>")
    'see < |im_end|>'
    >>> printable("\x1b[31mred"), visible("a\u202eb"), plain("a_b")
    ('\\u001b[31mred', 'a�b', 'a\\_b')

Not here: secrets in messages (redaction); HTML, which Jinja's autoescape escapes.
"""

import html
import json
import re
import unicodedata

# The tags between which models write their reasoning; what stands behind a closing one is read as the answer.
THOUGHT_TAGS = "think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|seed:think"
# Starts of the tokens that end a turn or a section in some model family. Broken up or escaped, they are only text.
_CONTROL_TOKEN = re.compile(
    rf"<(?=[|\uff5c]|/?s>|start_of_turn>|end_of_(?:turn|utterance)>|/?(?:{THOUGHT_TAGS})>|[eb]os>|</?SYS>|sop>|\w+\|>|extra_id_"
    r"|[A-Z]+_TOKEN>|/?(?:seed|minimax):\w+>|/?tool_(?:call|response)s?>|/?function_calls?>)"
    r"|\[(?=END\]|/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK)\]|\||g?MASK\]|e~\[)|\](?=~!?b[\[\]])"
    r"|[\u25c1](?=/?think)",
    re.IGNORECASE,
)
_JSON = json.JSONEncoder(ensure_ascii=False)
# JSON does not escape these; they may end a line for some readers, cannot be stored, or are control tokens.
_NOT_ESCAPED_BY_JSON = re.compile(rf"[\x7f-\x9f\u2028\u2029\ud800-\udfff]|{_CONTROL_TOKEN.pattern}", re.IGNORECASE)
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode categories without a visible or known shape


def quote(text: str) -> str:
    """The text as a double-quoted literal; `ast.literal_eval` gives the same text back.

    Line breaks, control characters and control tokens are escaped, so the text cannot end a string, a line, a section
    of a prompt or a turn.
    """
    literal = _JSON.encode(text)
    return _NOT_ESCAPED_BY_JSON.sub(lambda m: f"\\u{ord(m[0]):04x}", literal)


def escape_control_tokens(text: str) -> str:
    """The text with a space inside each control token of chat templates and of our prompts ("<|im_end|>" becomes
    "< |im_end|>"). Lone surrogates, which no file can store, become "?"."""
    return _CONTROL_TOKEN.sub(lambda m: m[0] + " ", text.encode("utf-8", "replace").decode("utf-8"))


def inert(text: str) -> str:
    """The text for use between code fences: it cannot close the fence or the turn of a chat."""
    return re.sub("`{3,}", lambda fence: " ".join(fence[0]), escape_control_tokens(text)).rstrip()


def fill_in(template: str, **parts: str) -> str:
    """Replaces the placeholders in one pass, so that braces in a value are not replaced."""
    return re.sub(r"\{(\w+)\}", lambda mark: parts.get(mark[1], mark[0]), template)


def printable(text: str) -> str:
    """The text for a terminal: characters that could move the cursor, recolour or reorder a line become codes."""
    return "".join(c if c == "\n" or c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    if unicodedata.category(character) == "Zs":  # the many widths of a space
        return " "
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str, longest: int = 1500) -> str:
    """The text for a page: characters that hide or reorder text become a replacement character; cut to `longest`."""
    text_shown = _replace_invisible(text[:longest])
    return text_shown if len(text) <= longest else f"{text_shown} … ({len(text):,} characters)"


def _replace_invisible(text: str) -> str:
    return "".join("\ufffd" if unicodedata.category(c) in _INVISIBLE and c not in "\n\t" else c for c in text)


def plain(text: str) -> str:
    """The text on one line, escaped so that Markdown shows it unchanged."""
    return re.sub(r"([\\`*_~|\[\]])", r"\\\1", html.escape(_replace_invisible(" ".join(text.split())), quote=False))
