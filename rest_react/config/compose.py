"""Composes the settings of a command from configs/ and its overrides, and reports all problems at once.

    >>> compose(["policy=tiny", "iteration=0"]).policy.model
    'tiny-random'

Hydra stops at the first misspelt override, with a message about structs. Here each problem is one line, with the
setting and the nearest name. Text stays as it was typed (config.overrides).
Not here: the choices of a group (config.groups), what the settings mean (config.settings), wrong values (config.load),
impossible combinations (config.checks).
"""

import copy
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from rest_react.config.groups import CONFIGS, group_names, group_problem, left_open, spell_out
from rest_react.config.load import load_settings, nearest
from rest_react.config.settings import Settings
from rest_react.errors import ConfigError
from rest_react.storage.locked_settings import flatten, locked_settings


def compose(overrides: Sequence[str], *, multirun: bool = False) -> Settings:
    """The settings for these overrides; for a sweep, those of its first job. Raises ConfigError with all problems, also
    those of later jobs: each value of a sweep is checked together with the first value of the other settings. The
    values that an experiment sweeps by itself count too."""
    problems: list[str] = []
    words = [spell_out(override, multirun=multirun) for override in overrides]
    swept = list(_jobs([*(_swept_by_experiment(words) if multirun else ()), *words], multirun, problems))
    first = [job for job, *_ in swept]
    jobs = [first, *([*first[:i], other, *first[i + 1 :]] for i, (_, *others) in enumerate(swept) for other in others)]
    found: list[Settings] = []
    for job in jobs:
        try:
            found.append(_composed(job))
        except ConfigError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    shared = [job for job in found if (job.output, job.run) == (found[0].output, found[0].run) and not job.dry_run]
    if not problems and len({job.iteration for job in shared}) > 1:
        problems.append("iteration: the jobs of a sweep share a folder, which has all iterations; give the last one")
    if not problems and any(locked_settings(job) != locked_settings(found[0]) for job in shared):
        keys = [job.key_or_group for job, *others in swept if others and not (CONFIGS / job.key_or_group).is_dir()]
        name = "_".join(["mine", *(f"${{{key}}}" for key in keys)])
        problems.append(
            f"run: the jobs of a sweep need different folders; put the swept settings into the name: 'run={name}'"
        )
    if problems:
        raise ConfigError(problems)
    return found[0]


def _swept_by_experiment(words: Sequence[str]) -> list[str]:
    """What the experiment of a sweep sweeps by itself (hydra.sweeper.params), without what the command gives. Nothing
    of an experiment that is wrong: that is told elsewhere."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException

    given = {word.partition("=")[0].lstrip("+~") for word in words}
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            chosen = [word for word in words if word.startswith("experiment=")]
            config = hydra_compose("config", overrides=chosen, return_hydra_config=True)
    except HydraException:
        return []
    params = config.hydra.sweeper.params or {}
    return [f"{key}={values}" for key, values in params.items() if key not in given]


def _composed(overrides: Sequence[Any]) -> Settings:
    """One job's settings."""
    from hydra.errors import HydraException

    open_: set[str] = set()
    groups, values, experiments, problems = [], [], [""], []
    for override in overrides:
        if not (CONFIGS / override.key_or_group).is_dir():
            values.append(override)
        elif wrong := group_problem(override):
            problems.append(wrong)
            open_ |= left_open(override)
        else:
            groups.append(override.input_line)
            if override.key_or_group == "experiment":
                chosen = override.value()
                experiments += chosen if isinstance(chosen, list) else [chosen]
    try:
        config = _of_groups(tuple(groups))
    except HydraException as error:
        raise ConfigError([*problems, _uncomposable(groups, str(error))]) from None
    settings, found = _with_values(config, values, open_, experiments[-1])
    sound = [value for value in values if not any(problem.startswith(value.key_or_group) for problem in found)]
    if found and len(sound) < len(values):
        # Wrong values hide wrong combinations: check again without them.
        open_ |= {value.key_or_group for value in values if value not in sound}
        found += [problem for problem in _with_values(config, sound, open_, "")[1] if problem not in found]
    if settings is None or problems or found:
        raise ConfigError([*problems, *found])
    return settings


def _uncomposable(groups: Sequence[str], why: str) -> str:
    """The message for groups that Hydra cannot compose."""
    if changing := re.match(r"In 'experiment/([^']+)': Could not override", why):
        return _on_another(changing[1])
    return f"{' '.join(groups)}: Hydra cannot compose these groups: {why}"


def _on_another(experiment: str) -> str:
    """The message for an experiment that changes another one, if that is not named before it: with its command, which
    is the first comment of its file."""
    text = (CONFIGS / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    command = re.search(r"^# (?!@package)(.+)$", text, re.MULTILINE)
    shown = f", as in its command: {command[1]}" if command else ""
    return f"experiment: {experiment} changes another experiment, which must be named before it{shown}"


@lru_cache(maxsize=16)
def _of_groups(groups: tuple[str, ...]) -> Any:
    """The configuration of these groups, without values; the jobs of a sweep share it. Never changed: copy it."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = hydra_compose("config", overrides=list(groups))
    OmegaConf.set_struct(config, False)
    return config


def _jobs(overrides: Sequence[str], multirun: bool, problems: list[str]) -> Iterator[list[Any]]:
    """Each override as Hydra parses it, a sweep as one override per job. Skips hydra.*, which Hydra checks itself."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob, Transformer
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    for given in overrides:
        try:
            override = parser.parse_override(given)
        except HydraException:
            override = None
        if override is None or not override.key_or_group:
            problems.append(
                f"{given}: is not an override; write setting=value without spaces; quote special characters"
            )
            continue
        key = override.key_or_group
        if key.startswith(("hydra.", "hydra/")):
            continue
        if not override.is_sweep_override():
            yield [override]
        elif not multirun:
            problems.append(f"{key}: several values make a sweep; add -m to run them all, or write a list as [a,b]")
        elif override.is_discrete_sweep() and not isinstance(override.value(), Glob):
            choices = override.sweep_iterator(transformer=Transformer.encode)
            yield [parser.parse_override(f"{given.partition('=')[0]}={choice}") for choice in choices]


def _with_values(
    config: Any, values: Sequence[Any], open_: set[str], experiment: str
) -> tuple[Settings | None, list[str]]:
    """The settings with these values, or their problems; without problems that depend on a setting in `open_`.
    `experiment` is the last one of the config, which may lack the one that it changes; empty: none."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = copy.deepcopy(config)
    known = [path for path, _ in flatten(OmegaConf.to_container(config, resolve=False))]
    settings, problems = None, []
    try:
        for override in values:
            key = override.key_or_group
            if not override.is_add() and not _has(config, key):
                problems.append(f"{key}: there is no such setting; {nearest(key, [*known, *group_names()])}")
            elif override.is_delete():
                parent, _, leaf = key.rpartition(".")
                del (OmegaConf.select(config, parent) if parent else config)[leaf]
            else:
                OmegaConf.update(config, key, override.value(), force_add=True)
        settings = load_settings(plain(config))
    except ConfigError as error:
        problems += error.problems
    except OmegaConfBaseException as error:
        where = getattr(error, "full_key", None) or "the configuration"
        why = str(error).splitlines()[0]
        if experiment and "is not a container" in why and where not in [value.key_or_group for value in values]:
            problems.append(_on_another(experiment))
        else:
            problems.append(f"{where}: cannot be resolved: {why}; name an existing setting in ${{...}}")
    hanging = re.compile("|".join(rf"(?<![\w.]){re.escape(name)}(?!\w)" for name in open_) or r"(?!)")
    return settings, [problem for problem in problems if not hanging.search(problem)]


def _has(config: Any, key: str) -> bool:
    """Whether the key exists, also if its value is null or missing."""
    from omegaconf import DictConfig, OmegaConf

    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and leaf in list(node.keys())


def plain(config: Any) -> Any:
    """A composed config as nested dicts and lists, without Hydra's own part. Raises ConfigError for missing values."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(values, dict)
    values.pop("hydra", None)
    values.pop("experiment", None)
    missing = [path for path, value in flatten(values) if value == "???"]
    if missing:
        raise ConfigError([f"{path}: needs a value; give {path}=..." for path in missing])
    return values
