"""The command: `python -m rest_react.run iteration=3` runs all stages up to iteration 3 that are not complete on disk.

If a run is interrupted, run the same command again; it resumes. Hydra reads the configuration; configs/config.yaml has
all settings. A sweep (`-m seed=0,1`) is one run for each value.
Not here: the order of the stages (loop); the clients, trainer and task (build); the table of a sweep (sweep).
"""

from rest_react.processes.command import start

if __name__ == "__main__":  # before the other imports; the reason is in processes/command.py
    start("rest_react.run")

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rest_react.build import Parts
from rest_react.config import cli
from rest_react.config.checks.needs import lacking_here, missing_keys
from rest_react.config.checks.question_sets import asks_hub
from rest_react.config.compose import plain
from rest_react.config.environment import environment, number_types
from rest_react.config.load import load_settings
from rest_react.config.notes import notes
from rest_react.config.settings import Settings
from rest_react.config.students import settings_of_student
from rest_react.errors import ConfigError, RestReactError, disk_errors
from rest_react.forecast.machine_speed import with_speed
from rest_react.forecast.sbatch import SCRIPT, expected_minutes, has_slurm, sbatch_script, why_no_script
from rest_react.forecast.table import duration_line, forecast_table
from rest_react.loop import Loop
from rest_react.processes.command import run_async
from rest_react.stages.reopen import reopen_where_limits_changed
from rest_react.stages.reuse.reuse import refuse_unusable
from rest_react.storage.files import write_file
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings, refuse_other_settings
from rest_react.storage.summaries import refuse_damaged_stages
from rest_react.sweep.jobs import Ended, sweep
from rest_react.terminal.console import console, say


def run(settings: Settings, overrides: Sequence[str] = (), *, loop: Callable[[Settings, Parts], Loop] = Loop) -> None:
    """Runs the loop to `settings.iteration`, then its students. Raises RestReactError; complete work is kept on
    disk. `overrides` are the words of the command, for a script for SLURM; none if it was not a command."""
    folder = RunFolder(cli.output_root(settings) / settings.run)
    parts = Parts(settings, folder)
    prompts = parts.prompts.digests()
    missing = [*missing_keys(settings), *lacking_here(settings)]
    students = [settings_of_student(settings, student) for student in settings.students]
    for student in students:  # before the work of the teacher
        refuse_other_settings(cli.output_root(student) / student.run, locked_settings(student))
    if settings.dry_run:
        locked = locked_settings(settings)
        refuse_other_settings(folder.root, locked)
        if settings.grow.reuse is not None:
            other = RunFolder(folder.root.parent / settings.grow.reuse)
            refuse_unusable(other, folder, locked, settings.iteration)
            if not other.root.is_dir():
                say(f"note: grow.reuse: there is no run {other.root} yet; the forecast counts what it would share")
        if not missing and not asks_hub(settings):
            loop(settings, parts)  # reads and compares the question sets: their errors are told now
        _say_notes(settings)
        for lack in missing:
            say(f"note: this machine lacks what the run needs: {lack}")
        timed = with_speed(settings, folder)
        console.print(forecast_table(timed, folder))
        if script := _script(timed, overrides, folder):
            print(script)
        return
    if missing:
        raise ConfigError(missing)
    prepared = loop(settings, parts)
    _say_notes(settings)
    with folder.locked():
        locked = {**locked_settings(settings), **prepared.locked}
        reopen_where_limits_changed(folder, locked, settings.iteration)
        here = environment(prompts) | number_types(settings)
        _record(folder, locked, here | prepared.data_digests())
        refuse_damaged_stages(folder.root)
        parts.models.budget.keep_in(folder.root / "spending.json")
        timed = with_speed(settings, folder)
        if line := duration_line(timed, folder):
            say(line)
        if script := _script(timed, overrides, folder):
            write_file(folder.root / SCRIPT, script)
        elif why_no_script(settings):
            (folder.root / SCRIPT).unlink(missing_ok=True)  # of another command
        run_async(prepared.run_to(settings.iteration))
        _record(folder, locked, here | prepared.data_digests())  # with what it made, such as tools
    for student in students:
        run(student, loop=loop)


def _script(settings: Settings, overrides: Sequence[str], folder: RunFolder) -> str:
    """The command as a script for SLURM; empty where there is no SLURM, or, which is said, where no script can start
    the run."""
    if not overrides or not has_slurm():
        return ""
    if why := why_no_script(settings):
        say(f"note: {why}")
        return ""
    return sbatch_script(settings, overrides, expected_minutes(settings, folder))


def _record(folder: RunFolder, locked: Mapping[str, object], here: Mapping[str, str]) -> None:
    """Locks the settings and records the environment; says what has changed of it."""
    for change in lock_settings(folder.root, locked, here):
        say(f"note: since this run began, {change}")


def _say_notes(settings: Settings) -> None:
    for note in notes(settings):
        say(f"note: {note}")


def main() -> None:
    """The command line: checks the settings, then starts Hydra."""
    sys.argv[1:] = arguments = cli.checked(sys.argv[1:])
    if (folder := cli.sweep_folder(arguments)) is not None:
        raise SystemExit(sweep(job, folder))
    cli.with_hydra(_single)


def job(config: Any) -> Ended:
    """One run with a composed configuration; returns how it ended. Hydra calls it by name, also in other processes."""
    place, iteration = "", None
    try:
        with disk_errors():
            settings = load_settings(plain(config))
            place, iteration = str(cli.output_root(settings) / settings.run), settings.iteration
            run(settings, cli.overrides())
    except RestReactError as error:
        return Ended(error.exit_status, place, str(error), iteration)
    return Ended(0, place, "", iteration)


def _single(config: Any) -> None:
    ended = job(config)
    if ended.status:
        say(ended.message)
        raise SystemExit(ended.status)
