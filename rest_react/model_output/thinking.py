"""What a model says after it has thought: the tags that reasoning models put around their thoughts.

    >>> after_thinking("<think>Paris? No, Lyon.</think>\\nLyon.")
    'Lyon.'
    >>> after_thinking("<think>Paris? No, Ly") is None
    True

Thoughts weigh alternatives, so nothing inside them is an action or a verdict. DeepSeek-R1's template writes the opening
tag itself, so a closing one alone ends thoughts as well; a text that ends inside its thoughts says nothing.
Not here: reading what is said (parsing, judges).
"""

import re

_TAGS = "think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|seed:think"
# "<|channel|>final<|message|>" is gpt-oss's, "[THINK]" Mistral's, the diamonds Kimi's. An opening tag in a comment or
# behind a quote is only mentioned.
_OPENED = re.compile(
    rf"^[^#\"'`\n]*(?:<(?:{_TAGS})>|\[THINK\]|\u25c1think\u25b7|<\|begin_of_thought\|>|<\|channel\|>analysis)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSED = re.compile(
    rf"</(?:{_TAGS})>|\[/THINK\]|\u25c1/think\u25b7|<\|end_of_thought\|>|<\|channel\|>final(?:<\|message\|>)?",
    re.IGNORECASE,
)


def after_thinking(text: str) -> str | None:
    """What stands after the last thought; None where the text ends inside one. Linear in the text's length."""
    end = 0
    for closed in _CLOSED.finditer(text):
        end = closed.end()
    said = text[end:].lstrip() if end else text
    return None if _OPENED.search(said) else said
