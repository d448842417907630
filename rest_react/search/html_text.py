"""The words that a reader of a web page or snippet would see.

    clean_html("Founded by <b>Ada</b> Mell &amp; sons")      # "Founded by Ada Mell & sons"

Passages and snippets are often no HTML at all (`x <5`, `List<int>`, `<f(x)>`, a text cut inside a tag), so what is no
tag stays. A parser of HTML5 (selectolax) drops such words and joins the cells of a table row that stands alone.
Not here: taking control tokens of a model apart (the agent does that to every hit).
"""

import html
import re
import unicodedata

# A quoted value may hold `>`. No `<` inside a tag, quoted or not: an unfinished tag ends where the next begins, so no
# text makes the scan go back far.
_REST = r"""(?:[\s/](?:(?>(?:[^<>"']|"[^"<]*"|'[^'<]*')*)|[^<>]*))?>"""
_HIDDEN = r"script|style|noscript|template"
_MARKUP = re.compile(
    rf"""<!--(?:-?>|.*?(?:--!?>|\Z))"""  # a comment; one without an end hides all that follows, as in a browser
    rf"""|<(?P<hidden>{_HIDDEN}){_REST}.*?(?:</(?P=hidden){_REST}|\Z)"""
    rf"""|<!doctype[^<>]*>|</?(?P<name>[a-z][a-z0-9:-]*+){_REST}""",
    re.IGNORECASE | re.DOTALL,
)
_INLINE = frozenset(
    ("a", "abbr", "b", "cite", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u")
)


def clean_html(text: str) -> str:
    """The words a reader of the page would see."""
    shown = _MARKUP.sub(lambda tag: "" if (tag["name"] or "").lower() in _INLINE else " ", text)
    plain = unicodedata.normalize("NFC", html.unescape(shown))
    return " ".join("".join(" " if char.isspace() else char for char in plain if _visible(char)).split())


def _visible(char: str) -> bool:
    """Not a control, format, surrogate or unassigned character; line breaks and tabs are space."""
    return char.isspace() or unicodedata.category(char)[0] != "C"
