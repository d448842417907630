"""Converts HTML of a web page or snippet into the text that a reader sees.

    >>> clean_html("Founded by <b>Ada</b> Mell &amp; sons")
    'Founded by Ada Mell & sons'

Passages and snippets are often not HTML (`x <5`, `List<int>`, `<f(x)>`, a text cut inside a tag), so only real tags are
removed. An HTML5 parser (selectolax) drops such words, and joins the cells of a table row without its table.
`web_text` cuts it: an engine that sends whole pages as snippets would fill the policy's context.
Not here: escaping a model's control tokens, which the agent does for every hit.
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
_MOST_CHARACTERS = 4000
_INLINE = frozenset(
    ("a", "abbr", "b", "cite", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u")
)


def clean_html(text: str) -> str:
    """The visible text on one line, with single spaces. Never raises; linear in the text's length."""
    without_tags = _MARKUP.sub(lambda tag: "" if (tag["name"] or "").lower() in _INLINE else " ", text)
    unescaped = unicodedata.normalize("NFC", html.unescape(without_tags))
    return " ".join("".join(" " if char.isspace() else char for char in unescaped if _visible(char)).split())


def web_text(text: str) -> str:
    """The visible text of a title or snippet from the web, at most 4,000 characters."""
    return clean_html(text)[:_MOST_CHARACTERS]


def _visible(char: str) -> bool:
    """Whether the character is a space or not a control, format, surrogate or unassigned character."""
    return char.isspace() or unicodedata.category(char)[0] != "C"
