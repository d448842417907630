"""Removes the reasoning that models write between tags such as <think> and </think>.

    >>> after_thinking("<think>Paris? No, Lyon.</think>\\nLyon.")
    'Lyon.'
    >>> after_thinking("<think>Paris? No, Ly") is None
    True

Reasoning weighs alternatives, so no action or verdict inside it counts. DeepSeek-R1's template contains the opening
tag, so a closing tag alone ends reasoning too. A text that ends inside its reasoning has no answer.
Not here: parsing the text after it (tasks.search_qa.reading.parsing, judges).
"""

import re

from rest_react.text_safety.escaping import THOUGHT_TAGS

# "<|channel|>final<|message|>" is gpt-oss's, "[THINK]" Mistral's, the diamonds Kimi's. An opening tag in a comment or
# after a quotation mark is only mentioned and does not count.
_OPENED = re.compile(
    rf"^[^#\"'`\n]*(?:<(?:{THOUGHT_TAGS})>|\[THINK\]|\u25c1think\u25b7|<\|begin_of_thought\|>|<\|channel\|>analysis)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSED = re.compile(
    rf"</(?:{THOUGHT_TAGS})>|\[/THINK\]|\u25c1/think\u25b7|<\|end_of_thought\|>|<\|channel\|>final(?:<\|message\|>)?",
    re.IGNORECASE,
)


def after_thinking(text: str) -> str | None:
    """The text after the last closing tag; None if the text ends inside reasoning. A closing tag without an opening one
    before it counts unless it stands in a string. Linear in the text's length."""
    end, opened, openings = 0, -1, [found.end() for found in _OPENED.finditer(text)][::-1]
    read, in_string = 0, False
    for closed in _CLOSED.finditer(text):
        while openings and openings[-1] <= closed.start():
            opened = openings.pop()
        in_string = _in_string(text[read : closed.start()], in_string)
        read = closed.start()
        if opened > end or not in_string:
            end = closed.end()
    rest = text[end:].lstrip() if end else text
    return None if _OPENED.search(rest) else rest


def _in_string(text: str, before: bool) -> bool:
    """Whether the end of the text is behind an odd number of double quotation marks in its line; escaped ones do not
    count. `before`: whether its beginning is."""
    _, newline, line = text.rpartition("\n")
    return (bool(before and not newline) + line.count('"') - line.count('\\"')) % 2 == 1
