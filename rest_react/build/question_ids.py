"""Writes the ids of the questions of each stage into the run folder, before the first stage.

    demonstrations = await write_question_ids(settings, parts, grow_set, benchmarks.sets)       # questions.json

Not here: the question sets (question_sets), and questions that two stages share (shared_questions).
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from rest_react.build.parts import Parts
from rest_react.build.question_sets import QuestionSet
from rest_react.config.settings import Settings
from rest_react.errors import ConfigError
from rest_react.records import LabelledQuestion
from rest_react.stages.rollouts import TRAJECTORIES, asked_questions
from rest_react.storage.files import write_file
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import read_summary
from rest_react.terminal.console import say

QUESTIONS = "questions.json"


async def write_question_ids(
    settings: Settings, parts: Parts, grown: QuestionSet, benchmarks: Mapping[str, QuestionSet]
) -> Sequence[LabelledQuestion]:
    """Writes questions.json, and returns the demonstrations without those that the expert cannot demonstrate; a note
    counts these. Raises ConfigError if none is left."""
    shown = settings.start == "demonstrations"
    every = parts.question_sets.demonstrated.demonstrations if shown else ()
    left_out = await _left_out(parts, _ids(every)) if shown else {}
    demonstrations = [item for item in every if item.question.id not in left_out]
    ids = {
        "demonstrations": _ids(demonstrations),
        "left_out_demonstrations": left_out,
        "grow": _grown(settings, parts.folder, _ids(grown.labelled)),
        "evaluate": {name: _ids(benchmark.labelled) for name, benchmark in benchmarks.items()},
    }
    write_file(parts.folder.root / QUESTIONS, json.dumps(ids, indent=1, ensure_ascii=False) + "\n")
    if left_out:
        counts = ", ".join(f"{n}: {reason}" for reason, n in Counter(left_out.values()).most_common())
        if not demonstrations:
            told = f"demonstrations: no question can be demonstrated ({counts})"
            way_out = (
                "raise agent.max_searches, or give rows whose chains (`evidence` or `decomposition`) the search can "
                "follow, or start=prompted"
            )
            raise ConfigError([f"{told}; {way_out}"])
        say(f"note: {len(demonstrations)} of {len(every)} demonstrations; left out: {counts}")
    return demonstrations


async def _left_out(parts: Parts, every: Collection[str]) -> Mapping[str, str]:
    """The demonstrations that are left out, each with the reason. Once demonstrations are stored, those of
    questions.json, if it is about the same questions: a search engine may find other passages today."""
    written, stored = parts.folder.root / QUESTIONS, parts.folder.stage(0, "grow") / TRAJECTORIES
    if written.is_file() and stored.is_file() and stored.stat().st_size:
        with suppress(ValueError, KeyError, TypeError):  # a damaged file is written anew
            told = json.loads(written.read_text(encoding="utf-8"))
            left_out = dict(told["left_out_demonstrations"])
            if {*told["demonstrations"], *left_out} == set(every):
                return left_out
    return await parts.left_out_demonstrations()


def _grown(settings: Settings, folder: RunFolder, own: Sequence[str]) -> list[str]:
    """The ids of the questions of Grow: those that reused iterations were grown on, and the run's `own` unless it has
    taken every iteration from another run."""
    if settings.grow.reuse is None:
        return list(own)
    stages = [folder.stage(k, "grow") for k in range(1, settings.iteration + 1)]
    complete = [stage for stage in stages if read_summary(stage) is not None]
    found = [question.id for question in asked_questions(stage / TRAJECTORIES for stage in complete)]
    return list(dict.fromkeys(found if complete and len(complete) == len(stages) else [*found, *own]))


def _ids(questions: Iterable[LabelledQuestion]) -> list[str]:
    return [item.question.id for item in questions]
