"""Every setting with its type and its meaning, read from where it is declared; its default from configs/.

    python -m rest_react.config.documentation > docs/settings.md

A setting's meaning is the comment behind it in its dataclass, or the comment lines above it where it needs more room.
The default is that of configs/config.yaml, or of the part's own file in configs/ (llm/openai.yaml, ...).
Not here: how settings are given on the command line (cli).
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from rest_react.config.groups import CONFIGS
from rest_react.config.settings import GrowSettings, Settings, Student

_FOLDERS = ("task", "llm", "search", "questions", "finetune")
# Files of configs/ that stand for a kind where none has its name.
_EXAMPLES = {
    "transformers": ("llm/smollm2",), "world": ("questions/world_train",), "hub": ("questions/hotpotqa",),
    "json": ("search/brave",),
}  # fmt: skip

_FIELD = re.compile(r"^    (\w+): (.+?)(?:\s+# (.+))?$")
_COMMENT = re.compile(r"^    # (.+)$")
_A_GROUP = "group"
_TYPES = {
    "Count": "whole number above 0", "NotNegative": "whole number, 0 or more", "Positive": "number above 0",
    "Share": "0 to 1", "Temperature": "0 to 2", "Name": "text", "str": "text", "bool": "true or false",
    "int": "whole number", "float": "number", "Mode": "chat, completion", "SystemTurn": "true, false, auto",
    "dict[str, object]": "mapping", "dict[str, str]": "mapping", "tuple[str, ...]": "list", "tuple[Name, ...]": "list",
    "tuple[Count, ...]": "list of whole numbers above 0", "tuple[Relation, ...]": "list of relations",
    "None": "null", "tuple[FamilyName, ...]": "list", "Isolation": "namespaces, limits_only", "RoleModel": "model",
    "Price": "input and output",
}  # fmt: skip


_HEAD = """\
# Settings

Every setting, with its type, its default and its meaning. A setting of a group is given as `group.setting=value`, for
example `agent.max_searches=5` or `policy.in_flight=8`. A part is chosen by the name of a file in `configs/`:
`policy=openai`, `search=http`, `finetune=lora`. Several files may have one kind and other values: a default below is
that of the file in the heading, not of the default run, which has `finetune=lora`. `--help` prints the values of the
default run, `--cfg job` those of a command.

This page is generated: `python -m rest_react.config.documentation > docs/settings.md`
"""


@dataclass(frozen=True, slots=True)
class SettingLine:
    """A setting as its dataclass declares it: its name, its type in words, and its meaning."""

    name: str
    type: str
    meaning: str


@cache
def setting_lines(record: type) -> tuple[SettingLine, ...]:
    """The settings of one dataclass, in their order; `kind` is left out, the group's heading names it.

    >>> [line for line in setting_lines(Settings) if line.name == "iteration"]
    [SettingLine(name='iteration', type='0 to 100', meaning='the last iteration to run; 0 is the starting policy')]
    """
    hints = get_type_hints(record)
    records = [part for part in reversed(record.__mro__) if is_dataclass(part)]
    # A record may declare a field of the one that it extends again, with a meaning of its own.
    found = {line.name: line for part in records for line in _declared(part, hints)}
    return tuple(found[field.name] for field in fields(record) if field.name in found)


def _declared(record: type, hints: Mapping[str, object]) -> Iterator[SettingLine]:
    """The settings that the dataclass itself declares."""
    above: list[str] = []
    for line in inspect.getsource(record).splitlines():
        if comment := _COMMENT.match(line):
            above.append(comment[1])
            continue
        if (field := _FIELD.match(line)) and field[1] in hints and field[1] != "kind":
            yield SettingLine(field[1], _in_words(field[2], hints[field[1]]), field[3] or " ".join(above))
        above = []


def _in_words(declared: str, hint: object = None) -> str:
    """A type as a user would put it; `hint` is what it stands for where it is a name for choices.

    >>> _in_words("Count | None"), _in_words('Literal["full", "lora"]')
    ('whole number above 0 or null', 'full, lora')
    """
    declared = declared.partition(" = ")[0]
    if bounds := re.match(r"Annotated\[\w+, Interval\(ge=([\d_]+), le=([\d_]+)\)\]$", declared):
        return f"{bounds[1]} to {bounds[2]}".replace("_", ",")
    if bounds := re.match(r"Annotated\[\w+, Ge\((-?\d+)\)(?:, Le\((\d+)\))?\](?: \| (None))?$", declared):
        limits = f"{bounds[1]} to {bounds[2]}" if bounds[2] else f"{bounds[1]} or more"
        return limits + (" or null" if bounds[3] else "")
    if declared.startswith("Annotated[str"):
        return "text"
    if declared.startswith("tuple[Annotated["):
        return "list"
    if choices := re.fullmatch(r"(tuple\[)?Literal\[(.+?)\](?:, \.\.\.\])?", declared):
        return ("any of " if choices[1] else "") + choices[2].replace('"', "").replace("False", "false")
    if declared in _TYPES:
        return _TYPES[declared]
    if get_origin(hint) is Literal:
        return ", ".join(get_args(hint))
    return " or ".join(_TYPES.get(part, _A_GROUP) for part in declared.split(" | "))


def sections() -> Iterator[tuple[str, type, Mapping[str, object]]]:
    """A heading, the dataclass below it and its defaults: the run, its groups, and each part that can be chosen."""
    ours = _yaml("config")
    yield "The run", Settings, {name: value for name, value in ours.items() if not isinstance(value, dict)}
    chosen: dict[str, list[type]] = {}
    family = {
        "task": "Tasks", "policy": "Models", "reward_model": "Models", "grader": "Models", "teacher": "Models",
        "search": "Search engines",
        "finetune": "Trainers", "questions": "Question sets",
    }  # fmt: skip
    hints = get_type_hints(Settings) | {"questions": get_type_hints(GrowSettings)["questions"]}
    for name, declared in hints.items():
        if name in family:
            known = chosen.setdefault(family[name], [])
            known += [record for record in get_args(declared) if record not in known]
        elif is_dataclass(declared) and isinstance(declared, type):
            yield name, declared, _yaml("tracking/wandb") if name == "tracking" else ours[name]
    for task in tuple(chosen["Tasks"]):
        for declared in get_type_hints(task).values():
            own = [model for model in get_args(declared) if isinstance(model, type) and is_dataclass(model)]
            chosen["Models"] += [model for model in own if model not in chosen["Models"]]
    yield "A student, in `students`", Student, {}
    for heading, records in chosen.items():
        for record in records:
            kind = get_args(get_type_hints(record)["kind"])[0]
            file = _first(*_EXAMPLES.get(kind, [f"{folder}/{kind}" for folder in _FOLDERS]))
            yield f"{heading}: {kind} (`configs/{file}.yaml`)", record, _yaml(file)


def _first(*names: str) -> str:
    """The first of these files of configs/ that exists."""
    return next(name for name in names if (CONFIGS / f"{name}.yaml").is_file())


def _yaml(name: str) -> dict[str, Any]:
    """The values of this file of configs/, and of files that it builds on."""
    file = CONFIGS / f"{name}.yaml"
    values: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    for base in values.pop("defaults", ()):
        if isinstance(base, str) and base != "_self_":
            values = _yaml(str(file.with_name(base).relative_to(CONFIGS))) | values
    return values


def page() -> str:
    """docs/settings.md."""
    parts = [_HEAD]
    for heading, record, defaults in sections():
        about = " ".join((inspect.getdoc(record) or "").split())
        rows = [
            f"| `{line.name}` | {line.type} | {_shown(line.name, defaults)} | {line.meaning} |"
            for line in setting_lines(record)
        ]
        table = ["| setting | type or choices | default | meaning |", "|---|---|---|---|", *rows] if rows else []
        parts.append("\n".join([f"## {heading}", "", about, *([""] if table else []), *table, ""]))
    return "\n".join(parts)


def _shown(name: str, defaults: Mapping[str, object]) -> str:
    """A default as it stands in a YAML file; nothing where the group has files of its own, or there is none."""
    if name not in defaults:
        return ""
    value = defaults[name]
    if value == "???":
        return "needed"
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=1000)
    return f"`{text.strip().removesuffix('...').strip()}`"


if __name__ == "__main__":
    print(page(), end="")
