"""Answers one question and prints each step: `python -m rest_react.ask "Who ...?" run=default iteration=1`.

Prints thoughts, searches, selected results, checks and citations as they happen. The model is the one that the
iteration trained; it searches the corpus of the run's first benchmark. The settings are those of the command that made
the run, but for those that are given; if they differ from those of the run folder, a note says so. Nothing is written
to disk.
Not here: many questions (stages.evaluate), and the report of a run (report).
"""

from rest_react.processes.command import start

if __name__ == "__main__":  # before the other imports; the reason is in processes/command.py
    start("rest_react.ask")

import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import yaml

from rest_react.build import Parts
from rest_react.config import cli
from rest_react.config.compose import compose
from rest_react.config.groups import group_names, spell_out
from rest_react.config.settings import Settings
from rest_react.errors import (
    ConfigError,
    ModelFault,
    OutsideFault,
    RestReactError,
    RunFolderError,
    UsageError,
    disk_errors,
)
from rest_react.processes.command import run_async
from rest_react.records import ModelRef, Question, Trajectory
from rest_react.seeds import derive_seed
from rest_react.stages.choose_model import model_of_iteration
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import differing_settings
from rest_react.storage.summaries import refuse_damaged_stages
from rest_react.terminal.console import say
from rest_react.text_safety.escaping import printable
from rest_react.trajectories.parsed import ParsedStep

INDENT = " " * len("answer    ")
HELP = """\
usage: python -m rest_react.ask "your question" [run=<name>] [iteration=<k>] [setting=value ...]

Answers one question, in quotation marks, with the model that the run trained in this iteration, and prints each step.
The settings are those of the run, but for the given ones. A run of a sweep needs its settings again."""

COMMAND = Path("hydra", "overrides.yaml")  # in a run folder: the overrides of its last command


async def ask(settings: Settings, text: str) -> tuple[Trajectory, list[str]]:
    """Answers one question and prints each step. Returns the trajectory and the sources that its answer cites. Raises
    UsageError if the iteration has no model yet."""
    folder = RunFolder(cli.output_root(settings) / settings.run)
    parts = Parts(settings, folder)
    model = _model(settings, parts)
    if differing := differing_settings(folder.root, locked_settings(settings)):
        told = "".join(f"\n  {key}: {difference}" for key, difference in differing.items())
        say(f"note: these settings differ from those of {folder.root}; give the same settings as for the run:{told}")
    s = settings.evaluate
    if settings.agent.select == "verified" and s.samples > 1 and text not in parts.question_sets.built_in.plans:
        say(
            "note: agent.select=verified chooses samples by rules that are valid only for questions of the built-in "
            "world, and this question is not one of them; set agent.select=perplexity"
        )
    first = next(iter(s.benchmarks.values()))
    task = parts.task(parts.question_sets.open(first).passages if settings.search.wants_passages() else None)
    llm = parts.llm(model)
    policy = parts.policy(llm, samples=s.samples, temperature=s.temperature, tuned=model.tuned)
    seed, steps = derive_seed(settings.seed, text), list[ParsedStep]()

    def show(parsed: ParsedStep) -> None:
        steps.append(parsed)
        for line in task.render(steps)[-1].lines:
            # One line each, so that a snippet cannot imitate other lines.
            print(printable(line.replace("\n", " ")), flush=True)

    try:
        trajectory = await task.rollout(Question("asked", text), policy, trajectory_id="asked.0", seed=seed, watch=show)
        return trajectory, list(task.citations(trajectory))
    finally:
        await llm.aclose()


def settings_of_run(overrides: Sequence[str]) -> Settings:
    """The settings of the command that made the run, with `overrides` in place of its own. A job of a sweep has no
    command of its own in its folder: `overrides` alone. Raises ConfigError as `compose` does, RunFolderError if the
    file of the command is damaged."""
    named = _with_run_named(overrides)
    file = cli.output_root(named) / named.run / COMMAND
    if not file.is_file():
        return compose(overrides)
    given = {_key(spell_out(word)) for word in overrides}
    try:
        recorded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        recorded = None
    if not isinstance(recorded, list):  # such as an empty file, after a power cut
        raise RunFolderError(f"{file} is damaged; delete it, and give the settings of the run again")
    return compose([*(word for word in map(str, recorded) if _key(word) not in given), *overrides])


def _with_run_named(overrides: Sequence[str]) -> Settings:
    """Settings that name the run. Where the words alone make none, because one is of a group that only the recorded
    command chooses, those that name the run count. Raises ConfigError for all words."""
    try:
        return compose(overrides)
    except ConfigError as error:
        try:
            return compose([word for word in overrides if _key(spell_out(word)) in ("run", "output", "experiment")])
        except ConfigError:
            raise error from None


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").strip("'\"")


def _model(settings: Settings, parts: Parts) -> ModelRef:
    refuse_damaged_stages(parts.folder.root)
    model = model_of_iteration(parts.folder.stage(settings.iteration))
    if model is not None:
        return model
    if settings.iteration == 0 and settings.start == "prompted":
        return parts.starting_model()
    raise UsageError(
        f"{parts.folder.root} has no model of iteration {settings.iteration}; train it with\n"
        f"  python -m rest_react.run run={settings.run} iteration={settings.iteration} <and its other settings>"
    )


def _asks_with_equals_sign(word: str) -> bool:
    """Whether an argument such as "E=mc2 was published by whom?" is a question: a space stands before any quote or
    bracket, and what stands before its "=" is no setting."""
    known = {*(setting.name for setting in fields(Settings)), *group_names(), "hydra"}
    name = re.split(r"[.@/]", _key(word))[0]
    return word[:1].isalnum() and name == _key(word) and name not in known and " " in re.split(r"[\"'\[{(]", word)[0]


def main() -> None:
    """The command line."""
    plain = [word for word in sys.argv[1:] if "=" not in word.split(" ")[0] and not word.startswith("~")]
    words = plain or [word for word in sys.argv[1:] if _asks_with_equals_sign(word)]
    overrides = [word for word in sys.argv[1:] if word not in words]
    if len(words) > 1 and not any(word.startswith("-") for word in words):
        cli.stop(UsageError(f"{' '.join(words[:4])}: several words; put the question in quotation marks"))
    if len(words) != 1 or not words[0].strip() or words[0].startswith("-"):
        print(HELP)
        raise SystemExit(0 if words and words[0] in ("-h", "--help") else 2)
    try:
        with disk_errors():
            trajectory, cited = run_async(ask(settings_of_run(overrides), words[0]))
    except RestReactError as error:
        cli.stop(error)
    if (fault := trajectory.fault) is not None:
        print(printable(f"\nno answer: {fault.message}"))
        raise SystemExit((OutsideFault if fault.whose == "outside" else ModelFault).exit_status)
    print(printable("\nanswer    " + trajectory.answer.replace("\n", f"\n{INDENT}")))
    for line in cited:
        print(printable(INDENT + line.replace("\n", " ")))
