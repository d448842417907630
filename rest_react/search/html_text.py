"""Converts HTML of a web page or snippet into the text that a reader sees.

    >>> clean_html("Founded by <b>Ada</b> Mell &amp; sons")
    'Founded by Ada Mell & sons'

Passages and snippets are often not HTML (`x <5`, `List<int>`, `<f(x)>`, a text cut inside a tag), so only tags with
the name of an element are removed. An HTML5 parser (selectolax) drops such words, and joins the cells of a table row
without its table. `web_text` cuts it: an engine that sends whole pages as snippets would fill the policy's context.
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
    rf"""|<!doctype[^<>]*>|</?(?P<name>[a-z][a-z0-9:-]*+){_REST}""",
    re.IGNORECASE | re.DOTALL,
)
_OPENS_HIDDEN = re.compile(rf"<({_HIDDEN}){_REST}", re.IGNORECASE)
_CLOSES_HIDDEN = {name: re.compile(rf"</{name}{_REST}", re.IGNORECASE) for name in _HIDDEN.split("|")}
_CODE = re.compile(r"[{}=<>]|;\s*$")
_TOO_LONG_REFERENCE = re.compile(r"&#[0-9]{20,}+;?")  # no character, and Python converts no number of 4,300 digits
_MOST_CHARACTERS = 4000
_NAMES = frozenset(
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink blockquote body br "
    "button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em "
    "embed fieldset figcaption figure font footer form frame frameset g h1 h2 h3 h4 h5 h6 head header hgroup hr "
    "html i iframe img input ins kbd label legend li link main map mark marquee math menu meta meter nav nobr "
    "noframes noscript object ol optgroup option output p param path picture pre progress q rp rt ruby s samp "
    "script search section select slot small source span strike strong style sub summary sup svg table tbody td "
    "template textarea tfoot th thead time title tr track tt u ul use var video wbr".split()
)
_INLINE = frozenset(
    ("a", "abbr", "b", "cite", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u")
)


def clean_html(text: str) -> str:
    """The visible text on one line, with single spaces. Never raises; linear in the text's length."""
    without_tags = _TOO_LONG_REFERENCE.sub("\ufffd", _MARKUP.sub(_in_place_of, _without_hidden(text)))
    return visible_line(html.unescape(without_tags))


def visible_line(text: str) -> str:
    """The characters of a text that a reader sees, on one line, with single spaces."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if char.isspace() else char for char in composed if _visible(char)).split())


def _without_hidden(text: str) -> str:
    """The text without scripts and the like. One that is never closed hides all that follows if that has signs of code
    or markup (a page that is cut off); otherwise it is only named."""
    parts, at, unclosed = [], 0, set[str]()
    while opened := _OPENS_HIDDEN.search(text, at):
        name = opened[1].lower()
        closed = None if name in unclosed else _CLOSES_HIDDEN[name].search(text, opened.end())
        if closed is None and name not in unclosed and _CODE.search(text, opened.end()):
            parts.append(text[at : opened.start()])
            return " ".join(parts)
        if closed is None:
            unclosed.add(name)
        parts.append(text[at : opened.end() if closed is None else opened.start()])
        at = opened.end() if closed is None else closed.end()
    return " ".join([*parts, text[at:]])


def _in_place_of(found: re.Match[str]) -> str:
    """What stands in place of a tag or a comment; the text itself if it is no tag: `List<int>`, `a<b and c>d`."""
    name = (found["name"] or "").lower()
    if not name:
        return " "
    inside = found[0][1 + found[0].startswith("</") + len(name) : -1].strip(" /")
    known = name in _NAMES or "-" in name or ":" in name  # a custom element, or one of another vocabulary
    if not known or (len(name) == 1 and inside and "=" not in inside):
        return found[0]
    return "" if name in _INLINE else " "


def web_text(text: str) -> str:
    """The visible text of a title or snippet from the web, at most 4,000 characters."""
    return clean_html(text)[:_MOST_CHARACTERS]


def _visible(char: str) -> bool:
    """Whether the character is a space or not a control, format, surrogate or unassigned character."""
    return char.isspace() or unicodedata.category(char)[0] != "C"
