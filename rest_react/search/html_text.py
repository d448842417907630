"""The words that a reader of a web page or snippet would see.

    clean_html("Founded by <b>Ada</b> Mell &amp; sons")      # "Founded by Ada Mell & sons"

Not here: taking control tokens of a model apart (the agent does that to every hit).
"""

import html
import re
import unicodedata

# No `<` inside a tag: an unfinished one ends where the next begins, and no text makes the scan go back.
_TAG = re.compile(r"<!--|-->|<!doctype[^<>]*>|<(?P<close>/?)(?P<name>[a-z][a-z0-9:-]*)(?:[\s/][^<>]*)?>", re.IGNORECASE)
_INLINE = frozenset(
    ("a", "abbr", "b", "cite", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u")
)
_HIDDEN = frozenset(("script", "style", "noscript", "template"))


def clean_html(text: str) -> str:
    """The words a reader of the page would see."""
    shown: list[str] = []
    hidden_until, start = "", 0
    for tag in _TAG.finditer(text):
        if not hidden_until:
            shown.append(text[start : tag.start()])
        start = tag.end()
        name = (tag["name"] or "").lower()
        mark = f"/{name}" if tag["close"] else name or tag[0]
        if hidden_until:
            hidden_until = "" if mark == hidden_until else hidden_until
        elif mark == "<!--":
            hidden_until = "-->"
        elif mark in _HIDDEN:
            hidden_until = f"/{mark}"
        if name not in _INLINE:
            shown.append(" ")
    if not hidden_until:
        shown.append(text[start:])
    plain = unicodedata.normalize("NFC", html.unescape("".join(shown)))
    return " ".join("".join(" " if char.isspace() else char for char in plain if _visible(char)).split())


def _visible(char: str) -> bool:
    """Not a control, format, surrogate or unassigned character; line breaks and tabs are space."""
    return char.isspace() or unicodedata.category(char)[0] != "C"
