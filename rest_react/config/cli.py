"""The command line: checks the overrides, then starts Hydra.

`checked` reports all problems of the settings at once, in about a second, before anything is written:

    $ python -m rest_react.run agnt.select=first iteration=x
    2 problems in the settings:
      agnt.select: there is no such setting; did you mean agent.select?
      iteration: input should be a valid integer, ... (given: 'x')

Not here: how the settings are composed (config.compose).
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import yaml

from rest_react.config.compose import compose
from rest_react.config.groups import CONFIGS, spell_out
from rest_react.config.load import secret_problem, secrets_in
from rest_react.config.overrides import as_text, text
from rest_react.config.settings import Settings
from rest_react.errors import ConfigError, DiskError, RestReactError
from rest_react.storage.files import refuse_unwritable
from rest_react.terminal.console import say
from rest_react.text_safety.redaction import secret_in

MULTIRUN = ("-m", "--multirun")
_CONFIG_FOLDERS, _CONFIG_NAMES = ("--config-dir", "-cd", "--config-path", "-cp"), ("--config-name", "-cn")
_TRUE = ("true", "True", "TRUE", "1", "yes", "on")
_SWEEP_DIR = "hydra.sweep.dir"
# Hydra's options of two dashes; `--run`, its default, is left out: who writes it means the setting.
_HYDRA = (
    "help", "hydra-help", "version", "cfg", "resolve", "package", "multirun", "shell-completion", "config-path",
    "config-name", "config-dir", "experimental-rerun", "info",
)  # fmt: skip


def checked(arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra, with short names expanded. Prints all problems, if any, and exits with 2."""
    if problems := [*filter(None, map(_secret, arguments)), *_secrets_of_files(arguments)]:
        stop(ConfigError(problems))  # before anything is written or printed, --cfg included
    if dashed := list(_dashed(arguments)):
        stop(ConfigError(dashed))
    # Hydra accepts -m before or after all overrides, not between them.
    sweeps = [argument for argument in arguments if argument in MULTIRUN][:1]
    multirun = bool(sweeps) or "hydra.mode=MULTIRUN" in arguments
    others = [spell_out(argument, multirun=multirun) for argument in arguments if argument not in MULTIRUN]
    spelt = [*sweeps, *others]
    if options := {argument.partition("=")[0] for argument in others if argument.startswith("-")}:
        if multirun and options <= {*_CONFIG_FOLDERS, *_CONFIG_NAMES}:  # the user's own files, which only Hydra reads
            folder = _new_sweep(
                Path(_plainly(others, "output") or "outputs").resolve(), dry_run=_plainly(others, "dry_run") in _TRUE
            )
            return [*sweeps, as_text(_SWEEP_DIR, str(folder)), *others]
        return spelt  # --help, --cfg job and the like start no run
    try:
        settings = compose(others, multirun=multirun)
    except ConfigError as error:
        stop(error)
    root = output_root(settings)
    folder = _new_sweep(root, dry_run=settings.dry_run) if multirun else root / settings.run / "hydra"
    try:
        if not settings.dry_run:
            refuse_unwritable(folder)  # Hydra writes its own files first, and would end in a traceback
    except DiskError as error:
        stop(error)
    if multirun:
        return [*sweeps, as_text(_SWEEP_DIR, str(folder)), *others]  # first, so that a value of the user replaces it
    if settings.dry_run:
        # Hydra makes the run's folder before the job starts; a forecast leaves nothing behind.
        return [*spelt, "hydra.run.dir=.", "hydra.output_subdir=null"]
    return spelt


def _dashed(arguments: Sequence[str]) -> Iterator[str]:
    """The message for each setting that is written as an option: `--iteration 3`."""
    for option, following in pairwise([*arguments, ""]):
        name, _, value = option.removeprefix("--").partition("=")
        if option.startswith("--") and name and not any(known.startswith(name) for known in _HYDRA):
            value = value or ("<value>" if not following or "=" in following or following[0] == "-" else following)
            yield f"{option}: settings have no dashes; write {name.replace('-', '_')}={value}"


def _secret(argument: str) -> str:
    """The message for an argument whose address contains a password or a key; empty if it contains none."""
    key, _, value = argument.lstrip("+").partition("=")
    return secret_problem(key, value.strip("'\" ")) if value else secret_problem("argument", argument)


def _secrets_of_files(arguments: Sequence[str]) -> Iterator[str]:
    """The same for configuration files of the user: only Hydra reads them, and it copies them into the run's folder."""
    for option, following in pairwise([*arguments, ""]):
        name, _, value = option.partition("=")
        if name in _CONFIG_FOLDERS:
            for path in sorted(Path(value or following).rglob("*.yaml")):
                text = path.read_text(encoding="utf-8", errors="replace")
                if secret := secret_in(text):
                    yield f"{path}: holds {secret}, and settings are saved in files; use api_key_env instead"
                with suppress(yaml.YAMLError):  # Hydra says what is wrong with it
                    yield from (f"{path}: {problem}" for problem in secrets_in(yaml.safe_load(text)))


def sweep_folder(arguments: Sequence[str]) -> Path | None:
    """Where a sweep records the outcomes of its jobs, from the arguments that `checked` returned; None for one run."""
    if not any(word.startswith(f"{_SWEEP_DIR}=") for word in arguments[:2]):
        return None
    ours = next(word for word in arguments if word.startswith(f"{_SWEEP_DIR}="))
    return Path(_plainly(arguments, _SWEEP_DIR) or text(ours.partition("=")[2]))


def _plainly(words: Sequence[str], key: str) -> str:
    """The last value that the words give this setting; empty without one, or if it is swept or interpolated."""
    *_, last = ("", *(text(word.partition("=")[2]) for word in words if word.startswith(f"{key}=")))
    return "" if "," in last or "${" in last else last


def _new_sweep(root: Path, *, dry_run: bool) -> Path:
    """A new folder for a sweep, named by time and process; for a dry run, in the folder for temporary files."""
    root = Path(tempfile.gettempdir()) if dry_run else root
    return root / "multirun" / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{os.getpid()}"


def with_hydra(job: Callable[[Any], None]) -> None:
    """Runs a job under Hydra, which handles --help, --cfg and -m."""
    import hydra

    hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="config")(job)()


def overrides() -> tuple[str, ...]:
    """The overrides of the command that Hydra runs; none outside Hydra."""
    from hydra.core.hydra_config import HydraConfig

    return tuple(HydraConfig.get().overrides.task) if HydraConfig.initialized() else ()


def stop(error: RestReactError) -> NoReturn:
    """Prints the message and exits with the status of the error."""
    say(str(error))
    raise SystemExit(error.exit_status)


def output_root(settings: Settings) -> Path:
    """The folder of the run folders: `output`, relative to the working directory."""
    return Path(settings.output).resolve()
