"""Reads which tool a dispatcher chose, in a reply of any model.

    read_choice("`word_sorting`.", state)        # "word_sorting", where the state lists it; "none"; "" for neither

Not here: what the dispatcher is shown (states).
"""

import ast
import re

from rest_react.model_output.thinking import after_thinking
from rest_react.tasks.tool_maker.states import NONE

_MARKS = " \t\n*`.,:;'\"()[]"
_TOOLS = re.compile(r'^TOOLS = (".*")$', re.MULTILINE)


def names_in(state: str) -> list[str]:
    """The names of the tools that a state lists."""
    shown = _TOOLS.search(state)
    return [line.partition(":")[0] for line in ast.literal_eval(shown[1]).splitlines()] if shown else []


def read_choice(text: str, state: str) -> str:
    """The tool of the state that the first line of a reply names, or `none`; empty if it names neither. Thoughts before
    it, quotes and marks around it do not count, nor does case, unless two names differ in nothing else."""
    names = names_in(state)
    lines = [line for line in (after_thinking(text) or "").splitlines() if line.strip()]
    said = lines[0].strip(_MARKS) if lines else ""
    meant = [name for name in (*names, NONE) if name.casefold() == said.casefold()]
    return said if said in meant else next(iter(meant), "")
