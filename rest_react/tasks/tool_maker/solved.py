"""Solved questions of a user's own families, from which the maker makes their tools (`task.solved`).

    {"kind": "tips", "question": "A meal costs 40 euros, the tip is 5%. How many euros in all?", "answers": ["42"]}

    solved_families(Path("solved.jsonl"))["tips"]      # its first six questions

A question file (docs/data_formats.md) in which `kind` names the family. The maker sees the first three questions of a
family with their answers and calls its function for the next three, as for the built-in families.
Not here: the built-in families (families), and who chooses a family for a question (task).
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from rest_react.errors import ConfigError
from rest_react.questions.labelled_questions import read_questions
from rest_react.records import LabelledQuestion
from rest_react.tasks.tool_maker.families import FAMILIES
from rest_react.tasks.tool_maker.items import SHOWN
from rest_react.tasks.tool_maker.states import NONE

_NAME = re.compile(r"[A-Za-z]\w{0,99}", re.ASCII)  # names a folder, and a line of the dispatcher's list


@cache  # read once: a file that is edited during a run must not mix two contents in one folder of tools
def solved_families(path: Path) -> Mapping[str, tuple[LabelledQuestion, ...]]:
    """The solved questions by family, as many as a tool is made from. Raises ConfigError for an unreadable file, and
    with every wrong family."""
    families: dict[str, list[LabelledQuestion]] = {}
    for question in read_questions(path):
        families.setdefault(question.kind, []).append(question)
    if wrong := [problem for name, found in families.items() if (problem := _problem(name, len(found), families))]:
        raise ConfigError([f"{path}: {problem}" for problem in wrong])
    return {name: tuple(found[: 2 * SHOWN]) for name, found in families.items()}


def _problem(name: str, size: int, families: Mapping[str, object]) -> str:
    if not name:
        return f"{size} of its questions name no family; write its name into the column kind"
    if not _NAME.fullmatch(name):
        return f"the family {name!r} needs a name of letters, digits and underscores, 100 at most"
    if name.casefold() in FAMILIES or name.casefold() == NONE:
        return f"the family {name} has the name of a built-in one, or of no tool; choose another name"
    if sum(other.casefold() == name.casefold() for other in families) > 1:
        return f"the family {name} differs from another one in case alone; write both in the same way"
    if size < 2 * SHOWN:
        return f"the family {name} has {size} questions; a tool is made from {2 * SHOWN} or more"
    return ""
