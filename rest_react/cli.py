"""What stands between the shell and the loop: overrides checked by us, then Hydra.

Hydra stops at the first misspelt override, with a text about structs. `checked` composes the configuration once
beforehand and tells every problem at once, each with its path and the nearest name, in about a second:

    $ python -m rest_react.run agnt.select=first iteration=x
    2 problems in the settings:
      agnt.select: there is no such setting; did you mean agent.select?
      iteration: input should be a valid integer, ... (given: 'x')

It also spells short names out: `policy=vllm` is Hydra's `llm@policy=vllm`.
Not here: what the settings mean (settings) and what else is wrong with them (config).
"""

import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rest_react.config import flatten, load_settings, nearest
from rest_react.console import say
from rest_react.errors import ConfigError, RestReactError
from rest_react.settings import Settings

_HERE = Path(__file__).resolve().parent
# At the top of a checkout; inside the package once it is installed.
CONFIGS = next(folder for folder in (_HERE.parent / "configs", _HERE / "configs") if folder.is_dir())
# Short names of groups that are mounted elsewhere than where they lie.
MOUNTS = {
    "policy": "llm@policy",
    "reward_model": "llm@reward_model",
    "grader": "llm@grader",
    "grow.questions": "questions@grow.questions",
}
PACKAGES = (
    "hydra-core",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "openai",
    "google-genai",
    "ddgs",
    "bm25s",
)


def checked(arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra, short names spelt out. Ends the process with every problem when there is one."""
    spelt = [_spell_out(argument) for argument in arguments]
    if any(argument.startswith("-") for argument in spelt):
        return spelt
    try:
        compose(spelt)
    except ConfigError as error:
        stop(error, code=2)
    return spelt


def compose(overrides: Sequence[str]) -> Settings:
    """The settings that these overrides make. Raises ConfigError with all problems at once."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    problems: list[str] = []
    parser = OverridesParser.create()
    groups, values = [], []
    for text in map(_spell_out, overrides):
        try:
            override = parser.parse_override(text)
        except HydraException:
            problems.append(f"{text}: is no override; write setting=value, with quotes around odd characters")
            continue
        key = override.key_or_group
        if (CONFIGS / key).is_dir():
            problem = _group_problem(text.partition("=")[0], key, override.value())
            problems += [problem] if problem else []
            groups += [] if problem else [text]
        else:
            values.append(override)
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            config = hydra_compose("config", overrides=groups)
    except HydraException as error:
        raise ConfigError([*problems, f"{' '.join(groups)}: cannot be composed: {error}"]) from None
    OmegaConf.set_struct(config, False)
    known = [path for path, _ in flatten(OmegaConf.to_container(config, resolve=False))]
    for override in values:
        key = override.key_or_group
        if not override.is_add() and not _has(config, key):
            problems.append(f"{key}: there is no such setting; {nearest(key, [*known, *_groups()])}")
        else:
            OmegaConf.update(config, key, override.value(), force_add=True)
    try:
        settings = load_settings(plain(config))
    except ConfigError as error:
        problems += error.problems
    except OmegaConfBaseException as error:
        problems.append(f"the configuration cannot be resolved: {error}")
    if problems:
        raise ConfigError(problems)
    return settings


def _has(config: Any, key: str) -> bool:
    """Whether the key exists, be its value null or still missing."""
    from omegaconf import DictConfig, OmegaConf

    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and leaf in list(node.keys())


def plain(config: Any) -> Any:
    """A composed config as nested dicts and lists, without Hydra's own part; missing values say so."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    assert isinstance(values, dict)
    values.pop("hydra", None)
    values.pop("experiment", None)
    missing = [path for path, value in flatten(values) if value == "???"]
    if missing:
        raise ConfigError([f"{path}: needs a value; give {path}=..." for path in missing])
    return values


def with_hydra(job: Callable[[Any], None]) -> None:
    """Runs a job under Hydra: --help, --cfg, -m and the rest."""
    import hydra

    hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="config")(job)()


def stop(error: RestReactError, *, code: int) -> NoReturn:
    """Ends the process with one message."""
    say(str(error))
    raise SystemExit(code)


def output_root(settings: Settings) -> Path:
    """Where run folders lie: `output` from the folder the command was given in."""
    return Path(settings.output).expanduser().resolve()


def environment(prompts: str) -> dict[str, str]:
    """What may change under a run and is recorded: versions of what can move a result, and the prompts' hash."""
    versions = {name: _version(name) for name in ("rest-react", *PACKAGES)}
    return {"prompts": prompts, "python": sys.version.split()[0], **versions}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _spell_out(argument: str) -> str:
    key, equals, value = argument.partition("=")
    return f"{MOUNTS[key]}={value}" if equals and key in MOUNTS else argument


def _groups() -> list[str]:
    return [folder.name for folder in CONFIGS.iterdir() if folder.is_dir()] + list(MOUNTS)


def _group_problem(mount: str, key: str, value: object) -> str | None:
    choices = sorted(path.stem for path in (CONFIGS / key).glob("*.yaml"))
    if value is None or value in choices:
        return None
    name = next((short for short, long in MOUNTS.items() if long == mount), mount)
    return f"{name}: there is no {value!r}; choose one of {', '.join(choices)}"


def printable(text: str) -> str:
    """Untrusted text for a terminal: what could move the cursor, recolour or reorder the line is shown as its code."""
    return "".join(c if c == "\n" or c.isprintable() else f"\\u{ord(c):04x}" for c in text)
