"""The groups of configs/: their short names, and the choices that each role has.

    >>> spell_out("policy=vllm")
    'llm@policy=vllm'

The files of a group may be for several roles: those of `llm` are for the policy, the reward model, the grader, ...
Not here: composing them (config.compose).
"""

import re
from pathlib import Path
from typing import Any

from rest_react.config.overrides import as_typed

_HERE = Path(__file__).resolve().parents[1]
# Inside the package once it is installed (others may install a `configs` beside it); at the top of a checkout.
CONFIGS = next(folder for folder in (_HERE / "configs", _HERE.parent / "configs") if folder.is_dir())
# Short names of groups whose files are in one folder and whose settings are in another group.
MOUNTS = {
    "policy": "llm@policy",
    "reward_model": "llm@reward_model",
    "grader": "llm@grader",
    "teacher": "llm@teacher",
    "grow.questions": "questions@grow.questions",
    "demonstrations.questions": "questions@demonstrations.questions",
    "task.maker": "llm@task.maker",
    "task.dispatcher": "llm@task.dispatcher",
}

# Choices of the group `llm` that are for some roles alone.
_ONLY_FOR = {
    "same": ("reward_model", "grader", "teacher"),
    "rule": ("grader",),
    "trained": ("reward_model",),
    "scripted": ("policy", "reward_model", "grader", "teacher"),
    "scripted_maker": ("task.maker", "task.dispatcher"),
}

_MAY_BE_NULL = ("task.maker", "task.dispatcher")  # roles that need no model


def spell_out(argument: str, *, multirun: bool = False) -> str:
    """An argument as Hydra needs it: the long name of a group, and quotes around text.

    >>> spell_out("policy=vllm")
    'llm@policy=vllm'
    """
    key, equals, value = argument.partition("=")
    if value == "null" and key in _MAY_BE_NULL:  # Hydra can only remove the choice of a group
        return f"~{MOUNTS[key]}"
    return f"{MOUNTS[key]}={value}" if equals and key in MOUNTS else as_typed(argument, multirun=multirun)


def group_names() -> list[str]:
    """The groups and their short names."""
    return [folder.name for folder in CONFIGS.iterdir() if folder.is_dir()] + list(MOUNTS)


def group_problem(override: Any) -> str | None:
    """The message for a choice that the group of this override does not have, or not for this role; else None."""
    value = override.value()
    mount = override.input_line.partition("=")[0]
    name = next((short for short, long in MOUNTS.items() if long == mount), mount)
    found = sorted(path.stem for path in (CONFIGS / override.key_or_group).glob("*.yaml"))
    choices = [choice for choice in found if name not in MOUNTS or name in _ONLY_FOR.get(choice, (name,))]
    unknown = [choice for choice in (value if isinstance(value, list) else [value]) if choice not in choices]
    if override.is_delete() or not unknown:
        return None
    choice = unknown[0]
    if choice is None and re.search(r"@(evaluate\.benchmarks|grow\.also)\.", mount):
        return f"{mount}: null is not a choice; to remove the entry, give '~{mount.lstrip('+')}'"
    model = f" (a model's name goes into {name}.model)" if "/" in str(choice) and mount.startswith("llm@") else ""
    told = "null" if choice is None else repr(choice)
    return f"{name}: there is no {told}; choose one of {', '.join(choices)}{model}"


def left_open(group: Any) -> set[str]:
    """The settings that cannot be checked because the choice of this group is unknown."""
    if group.key_or_group == "experiment":
        return {*MOUNTS, "search", "finetune", "tracking", "evaluate.benchmarks"}
    return {group.package or group.key_or_group}
