"""Stores a run folder's locked settings in settings.yaml, and refuses other values of them.

    lock_settings(folder.root, locked_settings(settings), environment)   # refuses other settings, naming each
    differing_settings(folder.root, locked_settings(settings))           # {"seed": "0 in the folder, 1 now"}
    read_settings(folder.root)                                     # {"seed": 0, "agent.select": "perplexity", ...}

Settings are flat (dotted key to value). A setting may still change while no finished work depends on it.
Not here: the choice of locked settings (locked_settings), and which may still change (unused_settings).
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from rest_react.errors import RunFolderError
from rest_react.storage.files import write_file
from rest_react.storage.run_folder import BASELINES, SCHEMA
from rest_react.storage.unused_settings import is_unused, nothing_finished

# Of an environment: the hash of the texts with which the policy is asked, and of those for its judges; and of these
# those for the grader and those for the judge of a teacher's texts, which do not depend on Improve's filters.
STEP_PROMPTS, JUDGE_PROMPTS = "step_prompts", "judge_prompts"
GRADER_PROMPTS, TEXT_JUDGE_PROMPTS = "grader_prompts", "text_judge_prompts"
_ABSENT = "(absent)"
_NAME = "settings.yaml"


class _SettingsFile(msgspec.Struct, frozen=True):
    """The content of settings.yaml."""

    schema: int
    settings: dict[str, Any]
    environments: Annotated[list[dict[str, str]], msgspec.Meta(min_length=1)]


def lock_settings(root: Path, settings: Mapping[str, object], environment: Mapping[str, str]) -> list[str]:
    """Writes settings.yaml on the first run; afterwards raises RunFolderError where settings differ, naming each.

    If nothing has finished yet, the first settings may have been wrong, so the folder accepts others. The `environment`
    (package versions, the hashes of prompts) may change; each change is recorded and returned as a warning. What the
    last environment did not name is recorded too: nobody knows whether it is a change.
    """
    kept = _read(root)
    if kept is None:
        _write(root, _SettingsFile(SCHEMA, dict(settings), [dict(environment)]))
        return []
    refuse_other_settings(root, settings)
    differing = differing_settings(root, settings)
    if differing and nothing_finished(root):
        for begun in (*root.glob("iter_*"), *root.glob(BASELINES)):
            shutil.rmtree(begun)
        _write(root, _SettingsFile(SCHEMA, dict(settings), [dict(environment)]))
        return ["settings changed; no stage had finished with the previous ones"]
    last = kept.environments[-1]
    changes = [
        f"{name}: {value} before, {environment.get(name, _ABSENT)} now"
        for name, value in sorted(last.items())
        if environment.get(name) != value
    ]
    gained = not environment.keys() <= last.keys()
    environments = [*kept.environments, dict(environment)] if changes or gained else kept.environments
    if differing:
        _write(root, _SettingsFile(SCHEMA, dict(settings), environments))
        return [f"{', '.join(differing)} changed; no finished work depends on it", *changes]
    if changes or gained:
        _write(root, _SettingsFile(kept.schema, kept.settings, environments))
    return changes


def refuse_other_settings(root: Path, settings: Mapping[str, object]) -> None:
    """Raises RunFolderError, naming each setting that differs from the folder's, where finished work depends on one."""
    differing = differing_settings(root, settings)
    if (
        not differing
        or nothing_finished(root)
        or all(is_unused(root, key, settings.get(key, ...)) for key in differing)
    ):
        return
    raise RunFolderError(
        f"{root} was created with other settings:\n"
        + "".join(f"  {key}: {difference}\n" for key, difference in differing.items())
        + "Use another name for the new settings (run=<name>), or restore the folder's settings."
    )


def differing_settings(root: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """Both values, in words, of each setting that differs from the folder's; empty if the folder has none yet."""
    kept = _read(root)
    if kept is None:
        return {}
    before = kept.settings
    return {
        key: f"{_shown(before, key)} in the folder, {_shown(settings, key)} now"
        for key in sorted({*before, *settings})
        if key not in before or key not in settings or before[key] != settings[key]
    }


def differing_data(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Both digests, in words, of the steps' prompts and of each question set or corpus whose content differs from that
    with which any command ran in the folder: which of the commands made a stage is not recorded."""
    names = (name for name in environment if "." in name or name == STEP_PROMPTS)
    others = {name: other_digest(root, environment, name) for name in names}
    return {
        f"{name}.content": f"digest {other} in the folder, {environment[name]} now"
        for name, other in others.items()
        if other is not None
    }


def other_digest(root: Path, environment: Mapping[str, str], name: str) -> str | None:
    """The first digest of that name in the folder's environments that differs from that in `environment`; None if there
    is none. Versions of this package are not compared: since digests are recorded their form has not changed, and
    another form needs another name."""
    now = environment.get(name)
    digests = (one[name] for one in read_environments(root) if name in one)
    return next((digest for digest in digests if now is not None and digest != now), None)


def read_settings(root: Path) -> dict[str, Any]:
    """The folder's settings, flat; empty if it has none yet."""
    kept = _read(root)
    return {} if kept is None else kept.settings


def read_environments(root: Path) -> list[dict[str, str]]:
    """The environments that the folder's run had, oldest first."""
    kept = _read(root)
    return [] if kept is None else kept.environments


def _shown(settings: Mapping[str, object], key: str) -> str:
    return repr(settings[key]) if key in settings else _ABSENT


def _read(root: Path) -> _SettingsFile | None:
    path = root / _NAME
    if not path.exists():
        return None
    try:
        return msgspec.convert(yaml.safe_load(path.read_bytes()), type=_SettingsFile)
    except (yaml.YAMLError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); restore it, or choose another run=<name>") from error


def _write(root: Path, value: _SettingsFile) -> None:
    write_file(root / _NAME, yaml.safe_dump(msgspec.to_builtins(value), sort_keys=False))
