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

_TAGS = "think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|seed:think"
# "<|channel|>final<|message|>" is gpt-oss's, "[THINK]" Mistral's, the diamonds Kimi's. An opening tag in a comment or
# after a quotation mark is only mentioned and does not count.
_OPENED = re.compile(
    rf"^[^#\"'`\n]*(?:<(?:{_TAGS})>|\[THINK\]|\u25c1think\u25b7|<\|begin_of_thought\|>|<\|channel\|>analysis)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSED = re.compile(
    rf"</(?:{_TAGS})>|\[/THINK\]|\u25c1/think\u25b7|<\|end_of_thought\|>|<\|channel\|>final(?:<\|message\|>)?",
    re.IGNORECASE,
)


def after_thinking(text: str) -> str | None:
    """The text after the last closing tag; None if the text ends inside reasoning. Linear in the text's length."""
    end = 0
    for closed in _CLOSED.finditer(text):
        end = closed.end()
    rest = text[end:].lstrip() if end else text
    return None if _OPENED.search(rest) else rest
