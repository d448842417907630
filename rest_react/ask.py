"""One question, answered before your eyes: `python -m rest_react.ask "Who ...?" run=default iteration=1`.

Shows thoughts, searches, what was selected, checks and citations as they happen, by the model that iteration left in
the run's folder, over the corpus of the run's first benchmark. Settings are the command's own, as in `run`: give those
that the run was given; where they differ from the folder's, a note says so. Nothing is written.
Not here: many questions (evaluate), and an account of what happened (report).
"""

from rest_react.start import start

if __name__ == "__main__":  # in front of the imports, see there
    start("rest_react.ask")

import sys
from collections.abc import Iterator

from rest_react.build import Parts
from rest_react.config import cli
from rest_react.config.settings import Bm25, Settings
from rest_react.console import say
from rest_react.errors import RestReactError, UsageError, disk_errors
from rest_react.parsed import ParsedStep
from rest_react.records import ModelRef, Question, Step, Trajectory
from rest_react.seeds import derive_seed
from rest_react.stages.finetune import read_model
from rest_react.start import run_async
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import differing_settings
from rest_react.storage.summaries import read_summary, refuse_damaged_stages
from rest_react.tasks.search_qa.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
)
from rest_react.text_safety import printable

INDENT = " " * len("answer    ")
HELP = 'usage: python -m rest_react.ask "your question" [run=<name>] [iteration=<k>] [setting=value ...]'


def describe(step: Step, action: Action | None) -> Iterator[str]:
    """What a step did, in a few plain lines."""
    if step.forced:
        yield "no searches remain"
        return
    match action:
        case None:
            yield f"{step.kind}: no sample could be read ({step.candidates[0].problem if step.candidates else 'none'})"
        case Search(query, thoughts):
            yield f"thinks    {thoughts}"
            yield f"searches  {query}"
        case LinkSelection(summary, thoughts, ids, comments):
            for i, hit in enumerate(step.hits, start=step.first_link):
                yield f"  {'*' if i in ids else ' '} [{i}] {hit.title}: {hit.snippet[:100]}"
            yield from (f"  # {comment}" for comment in comments)
            yield f"notes     {summary if ids else 'nothing is selected'}"
            yield f"thinks    {thoughts}"
        case Terminate(thoughts):
            yield f"thinks    {thoughts}"
            yield "stops searching"
        case Answer(thoughts, answer):
            yield f"thinks    {thoughts}"
            yield f"drafts    {answer}"
        case CheckAnswer(passed, comments):
            yield from (f"  # {comment}" for comment in comments)
            yield f"{step.kind} check {'passed' if passed else 'not passed'}"
        case ReviseAnswer(revised, comments):
            yield from (f"  # {comment}" for comment in comments)
            yield f"{step.kind} check revises: {revised}"


def sources(trajectory: Trajectory) -> Iterator[str]:
    """The cited hits, one line each."""
    for step in trajectory.steps:
        for i, hit in enumerate(step.hits, start=step.first_link):
            if f"[link_id={i}]" in trajectory.answer:
                yield f"[link_id={i}] {hit.title} ({hit.source})"


async def ask(settings: Settings, text: str) -> Trajectory:
    """Answers one question, printing each step. Raises UsageError where the iteration has no model yet."""
    folder = RunFolder(cli.output_root(settings) / settings.run)
    parts = Parts(settings, folder)
    model = _model(settings, parts)
    if differing := differing_settings(folder.root, locked_settings(settings)):
        told = "".join(f"\n  {key}: {difference}" for key, difference in differing.items())
        say(f"note: {folder.root} was made with other settings; give those to ask what it was trained for:{told}")
    s = settings.evaluate
    if settings.agent.select == "verified" and s.samples > 1 and text not in parts.built_in.plans:
        say(
            "note: agent.select=verified chooses samples by rules that are valid only for questions of the built-in "
            "world, and this is none of them; if you ask about anything else, set agent.select=perplexity"
        )
    first = next(iter(s.benchmarks.values()))
    closed = isinstance(settings.search, Bm25) and settings.search.corpus == "questions"
    task = parts.task(parts.questions(first).passages if closed else None)
    llm = parts.policy(model)
    policy = parts.sampled(llm, samples=s.samples, temperature=s.temperature, tuned=model.tuned)
    seed = derive_seed(settings.seed, text)
    try:
        return await task.rollout(Question("asked", text), policy, trajectory_id="asked.0", seed=seed, watch=_show)
    finally:
        await llm.aclose()


def _show(parsed: ParsedStep) -> None:
    for line in describe(parsed.step, parsed.chosen.action if parsed.chosen else None):
        # One line each: a snippet must not be able to write a line of its own.
        print(printable(line.replace("\n", " ")), flush=True)


def _model(settings: Settings, parts: Parts) -> ModelRef:
    refuse_damaged_stages(parts.folder.root)
    stage = parts.folder.stage(settings.iteration, "finetune")
    if read_summary(stage) is not None:
        return read_model(stage)
    if settings.iteration == 0 and settings.start == "prompted":
        return parts.starting_model()
    raise UsageError(
        f"{parts.folder.root} has no model of iteration {settings.iteration}; make it with\n"
        f"  python -m rest_react.run run={settings.run} iteration={settings.iteration} <and its other settings>"
    )


def main() -> None:
    """The command line."""
    words = [word for word in sys.argv[1:] if "=" not in word.split(" ")[0]]
    overrides = [word for word in sys.argv[1:] if word not in words]
    if len(words) != 1 or not words[0].strip() or words[0].startswith("-"):
        print(HELP)
        raise SystemExit(0 if words and words[0] in ("-h", "--help") else 2)
    try:
        with disk_errors():
            trajectory = run_async(ask(cli.compose(overrides), words[0]))
    except UsageError as error:
        cli.stop(error, code=2)
    except RestReactError as error:
        cli.stop(error, code=1)
    if trajectory.fault is not None:
        print(printable(f"\nno answer: {trajectory.fault.message}"))
        raise SystemExit(1)
    print(printable("\nanswer    " + trajectory.answer.replace("\n", f"\n{INDENT}")))
    for line in sources(trajectory):
        print(printable(INDENT + line.replace("\n", " ")))
