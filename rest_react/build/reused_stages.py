"""Copies the stages that a run shares with the run that `grow.reuse` names.

    reuse_other_run(parts, grown, asked, digests)       # with `grow.reuse`

Not here: which stages these are (stages.reuse).
"""

from collections.abc import Mapping, Sequence

from rest_react.build.parts import Parts
from rest_react.build.shared_questions import refuse_grown_questions
from rest_react.config.environment import environment
from rest_react.records import Question
from rest_react.stages.reuse.reuse import reuse_stages
from rest_react.stages.rollouts import TRAJECTORIES, asked_questions
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder


def reuse_other_run(
    parts: Parts, grown: Sequence[Question], asked: Mapping[str, Sequence[Question]], digests: Mapping[str, str]
) -> None:
    """Copies the stages that are shared. Raises ConfigError if an iteration was grown on questions of the benchmarks,
    `asked`; those that this run is `grown` on were compared already. `digests` are those of its data."""
    s, folder = parts.settings, parts.folder
    assert s.grow.reuse is not None
    own = {question.text for question in grown}

    def check(questions: Sequence[Question]) -> None:
        others = [question for question in questions if question.text not in own]
        refuse_grown_questions(s, others, asked, setting=f"grow.reuse={s.grow.reuse}")

    stages = (folder.stage(k, "grow") for k in range(1, s.iteration + 1))  # some may be reused already
    check(asked_questions(stage / TRAJECTORIES for stage in stages))
    reuse_stages(
        RunFolder(folder.root.parent / s.grow.reuse),
        folder,
        locked_settings(s),
        iteration=s.iteration,
        environment={**environment(parts.prompts.digests()), **digests},
        tolerated={
            "grow": s.grow.tolerate_outside_faults,
            "improve": s.improve.tolerate_outside_faults,
            "evaluate": s.evaluate.tolerate_outside_faults,
        },
        check=check,
    )
