"""Where a sample ended: at the end mark, at its token limit, or where its server says.

    text, finish = ended(completion, max_tokens=256)      # ("ACTION_SELECTED = ...  ", "length")

Not here: stop strings of a request (llm), and the end of a model's reasoning (model_output.thinking).
"""

import re

from rest_react.records import Completion
from rest_react.trajectories.parsed import CUT_OFF

END_MARK = re.compile(r"#\s*\[END\]")  # the stop string, however it is spaced


def ended(completion: Completion, max_tokens: int) -> tuple[str, str]:
    """The text before the end mark, and how the sample ended. A text with the end mark is complete, even if its last
    token was the last that the limit allowed. Where a server does not say how a sample ended, the number of tokens
    shows whether the limit was reached."""
    text = completion.text
    if mark := END_MARK.search(text):
        return text[: mark.start()], "stop" if completion.finish == CUT_OFF else completion.finish
    unsaid = not completion.finish and completion.tokens >= max_tokens
    return text, CUT_OFF if unsaid else completion.finish
