"""Reuse: copies stages of another run that would be the same in this run (`grow.reuse`).

    locked = locked_settings(settings)
    reuse_stages(base, folder, locked, iteration=2)     # base's iteration 0 and first Grow

The settings that differ decide which stages are shared (`shared_stages`). Prompts of the steps, a question set or a
corpus whose content has changed under its name, since any command of the other run, count as settings that differ, such
as `grow.questions.content`. A stage that this run has is kept.
Not here: the settings (config.settings), the copying (copy_stages), and the stages (stages.grow, ...).
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rest_react.errors import UsageError
from rest_react.records import Question
from rest_react.stages.reuse.copy_stages import copy_repeats, copy_stage
from rest_react.stages.reuse.lost_records import stages_to_reopen
from rest_react.stages.rollouts import TRAJECTORIES, asked_questions
from rest_react.storage.files import write_json
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import (
    GRADER_PROMPTS,
    JUDGE_PROMPTS,
    TEXT_JUDGE_PROMPTS,
    differing_data,
    differing_settings,
    other_digest,
    read_environments,
    read_settings,
)
from rest_react.storage.summaries import read_summary
from rest_react.terminal.console import say

REUSED = "reused.json"
# Settings that may differ from those of the reused run: to share its first Grow; to share iteration 0; for a student,
# which trains on the data of another model.
_AFTER_GROW = (
    "improve.", "reward_model.", "learning_seed", "finetune.start_from", "finetune.mix_demonstrations",
    "finetune.steps", "evaluate.", "grader.", "task.baselines", "grow.reuse", "grow.trajectories_per_question",
)  # fmt: skip
_AFTER_START = (*_AFTER_GROW, "grow.")
_OF_A_STUDENT = (
    "policy.", "finetune.", "demonstrations.epochs", "demonstrations.learning_rate", "demonstrations.batch_size",
    "reward_model.", "evaluate.", "grader.", "grow.reuse", "learning_seed",
)  # fmt: skip

# What iteration 0 follows: the first that is set.
_SCHEDULE = (
    ("demonstrations.epochs", "finetune.epochs"),
    ("demonstrations.learning_rate", "finetune.supervised_learning_rate", "finetune.learning_rate"),
    ("demonstrations.batch_size", "finetune.batch_size"),
)
_OF_JUDGED_TEXTS = ("reward_model.", "improve.reward")  # on these iteration 0 depends where texts are synthetic
_OF_THE_EVALUATION = ("evaluate.", "grader.")
_TEXTS = "iter_0/synthetic"
_CONTENT = ".content"  # ends the names of digests of data and weights (storage.settings_file.differing_data)
_OF_JUDGES = {  # of iteration 0; with the settings on which they depend
    "judge": ("reward_model.", "grow.temperature"),
    "outcome_judge": ("reward_model.", "grow.temperature", "grow.samples", *_OF_THE_EVALUATION),
}


def reuse_stages(
    source: RunFolder,
    folder: RunFolder,
    settings: Mapping[str, Any],
    *,
    iteration: int,
    environment: Mapping[str, str] | None = None,
    tolerated: Mapping[str, float] | None = None,
    check: Callable[[Sequence[Question]], None] = lambda _: None,
) -> None:
    """Copies the complete stages of `source` that would be the same with these locked settings into `folder`, up to
    this iteration. `environment` has the digests of this run's prompts and data, `tolerated` the settings
    `tolerate_outside_faults` by their groups (grow, improve, evaluate). `check` gets the questions that the reused
    iterations were grown on, and raises, before anything is copied, if this run may not train on them.

    Raises UsageError if `source` is not a run folder, if no stage would be the same, or if one is not complete there.
    """
    if _has_all(source, folder, settings, iteration):  # the other run may be gone, or have gone on
        return
    if not read_settings(source.root):
        raise UsageError(f"grow.reuse: {source.root} is not a run folder; give the name of a run in the same folder")
    given = differing_stages(source.root, settings)
    changed = differing_data(source.root, environment or {})
    changed |= _other_judge_prompts(source, settings, environment or {})
    differing = given | changed
    _refuse_differing(source, differing, settings, iteration)
    wanted_here = _wanted(differing, settings, iteration)
    if _took_another_grow(source) and "iter_1/grow" in wanted_here and "iter_1/improve" not in wanted_here:
        wanted_here.remove("iter_1/grow")
        say(f"note: grow.reuse: {source.root} has its iteration 1 from another run, so its first Grow is not reused")
    stages = _complete_there(source, wanted_here)
    for key, difference in changed.items():
        wanted, without = (_wanted(keys, settings, iteration) for keys in (given, [*given, key]))
        if left := [stage for stage in wanted if stage not in without and (source.root / stage).exists()]:
            say(f"note: grow.reuse: not reused, because {key} differs ({difference}): {', '.join(left)}")
    reopened = stages_to_reopen(source, folder, stages, tolerated or {})
    grown = (stage for stage in stages if stage.endswith("/grow") and not stage.startswith("iter_0/"))
    check(asked_questions(source.root / stage / TRAJECTORIES for stage in grown))
    repeats = settings["grow.trajectories_per_question"] if "grow.trajectories_per_question" in differing else None
    for stage in stages:
        first_grow = stage == "iter_1/grow" and "iter_1/improve" not in stages
        if first_grow and repeats is not None and not (folder.root / stage / TRAJECTORIES).exists():
            copy_repeats(source, folder, stage, repeats)
        else:
            copy_stage(source, folder, stage, reopened)
    there = [stage for stage in stages if (folder.root / stage).exists()]  # a choice of models is rare
    told = {"run": source.root.name, "iteration": iteration, "differing_settings": list(differing), "stages": there}
    write_json(folder.root / REUSED, told)
    say(f"reused from {source.root}: {', '.join(there)}")


def refuse_unusable(source: RunFolder, folder: RunFolder, settings: Mapping[str, Any], iteration: int) -> None:
    """Raises the error of `reuse_stages` that depends on settings alone, for a forecast: the other run may come
    later."""
    if read_settings(source.root) and not _has_all(source, folder, settings, iteration):
        _refuse_differing(source, differing_stages(source.root, settings), settings, iteration)


def _refuse_differing(
    source: RunFolder, differing: Mapping[str, str], settings: Mapping[str, Any], iteration: int
) -> None:
    """Raises UsageError, naming the settings because of which nothing can be reused, if there are any."""
    start, through = settings["start"], settings["grow.reuse_through"]
    _, wrong = shared_stages(differing, start, iteration, through)
    if settings.get("synthetic.n") and settings.get("synthetic.judged"):
        wrong += [key for key in differing if key.startswith(_OF_JUDGED_TEXTS) and key not in wrong]
    chosen = settings.get("evaluate.choose_by") is not None or "evaluate.choose_by" in differing
    if chosen and not _is_student(differing) and (start == "demonstrations" or through):  # else no model is chosen
        wrong += [key for key in differing if key.startswith(_OF_THE_EVALUATION) and key not in wrong]
    if wrong:
        where = {key: settings.get(key.removesuffix(_CONTENT)) for key in wrong if key.endswith(_CONTENT)}
        told = "".join(f"\n  {key}: {differing[key]}{f' ({where[key]})' if where.get(key) else ''}" for key in wrong)
        raise UsageError(
            f"grow.reuse: no stage of {source.root} can be reused, because these settings differ:{told}\n"
            "Give them the values of that run (where a digest differs, restore the files), or leave out grow.reuse."
        )


def _wanted(differing: Collection[str], settings: Mapping[str, Any], iteration: int) -> list[str]:
    """The stages of `shared_stages`, the teacher's texts and the trained judges. The other run may not have all."""
    stages, _ = shared_stages(differing, settings["start"], iteration, settings["grow.reuse_through"])
    # There is no Grow after iteration 0, but for that behind a model that is reused.
    if settings.get("improve.max_examples") == 0 and not settings["grow.reuse_through"]:
        stages = [stage for stage in stages if stage != "iter_1/grow"]
    judges = [] if _is_student(differing) else shared_judges(differing)
    return [_TEXTS, *stages, *judges]


def _complete_there(source: RunFolder, stages: Sequence[str]) -> list[str]:
    """These stages without texts and judges that the run does not have. Raises UsageError if it lacks one that is not
    made here in its stead."""
    optional = (_TEXTS, *(f"iter_0/{judge}" for judge in _OF_JUDGES))
    grows = read_settings(source.root).get("improve.max_examples") != 0  # else it trained on the demonstrations alone
    found = []
    for stage in stages:
        complete = read_summary(source.root / stage) is not None
        made_here = stage.startswith("iter_0/") or stage.endswith(("/evaluate", "/choose"))
        if not complete and not made_here:
            if not grows and stage.endswith(("/grow", "/improve")):
                continue
            raise UsageError(f"grow.reuse: {source.root}/{stage} is not complete; finish that run first")
        if complete or stage not in optional:
            found.append(stage)
    return found


def _took_another_grow(source: RunFolder) -> bool:
    """Whether the first Grow of that run was made by yet another run, with settings that are not its own."""
    path = source.root / REUSED
    return path.exists() and "iter_1/improve" in json.loads(path.read_text(encoding="utf-8")).get("stages", ())


def _has_all(source: RunFolder, folder: RunFolder, settings: Mapping[str, Any], iteration: int) -> bool:
    """Whether an earlier command has copied all stages that iterations up to this one share from this run, and none of
    them was deleted since."""
    path = folder.root / REUSED
    if not path.exists():
        return False
    taken = json.loads(path.read_text(encoding="utf-8"))
    if taken["run"] != source.root.name or not all((folder.root / stage).exists() for stage in taken.get("stages", ())):
        return False
    before, differing = int(taken["iteration"]), taken["differing_settings"]
    now, then = (set(_wanted(differing, settings, k)) for k in (iteration, before))
    return iteration <= before or now <= then


def _other_judge_prompts(
    source: RunFolder, settings: Mapping[str, object], environment: Mapping[str, str]
) -> dict[str, str]:
    """Where the prompts of judges differ: what was judged with them, as settings that differ."""
    judges_texts = settings.get("synthetic.n") and settings.get("synthetic.judged")
    asked = {
        "evaluate.judge_prompts": GRADER_PROMPTS if settings.get("grader.kind") != "rule" else "",
        "reward_model.judge_prompts": TEXT_JUDGE_PROMPTS if judges_texts else "",
    }
    recorded = {name for one in read_environments(source.root) for name in one}
    # An earlier version recorded one hash for all judges.
    names = {key: name if name in recorded else JUDGE_PROMPTS for key, name in asked.items() if name}
    others = {key: other_digest(source.root, environment, name) for key, name in names.items()}
    return {
        key: f"hash {other} in the folder, {environment[names[key]]} now"
        for key, other in others.items()
        if other is not None
    }


def differing_stages(root: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """The settings that differ from those of the run in `root`, in words, for `shared_stages`. Those of training that
    only iterations after 0 follow are left out, if iteration 0 has the same value in both runs."""
    theirs, differing = read_settings(root), differing_settings(root, settings)
    for keys in _SCHEDULE:
        first = [next((run[key] for key in keys if run.get(key) is not None), None) for run in (theirs, settings)]
        if first[0] == first[1]:
            for key in keys:
                differing.pop(key, None)
    return differing


def shared_stages(
    differing: Collection[str], start: str, iteration: int, through: int = 0
) -> tuple[list[str], list[str]]:
    """The stages that two runs share if their settings differ in these keys, as folders below the run folder; and
    the keys because of which nothing can be reused. Iterations up to `through` are reused whatever their settings.

    >>> shared_stages(["improve.selector", "grader.kind"], "demonstrations", 2)
    (['iter_0/grow', 'iter_0/improve', 'iter_0/finetune', 'iter_1/grow'], [])
    """
    if _is_student(differing):
        data = [f"iter_{k}/{stage}" for k in range(1, iteration + 1) for stage in ("grow", "improve")]
        return data, [key for key in differing if not key.startswith(_OF_A_STUDENT)]
    untrained = ("finetune.",) if start == "prompted" else ()
    whole = ["grow", "improve", "finetune", "choose"]
    if not any(key.startswith(_OF_THE_EVALUATION) for key in differing):
        whole.append("evaluate")
    stages = [f"iter_{k}/{stage}" for k in range(min(through, iteration) + 1) for stage in whole]
    if iteration and not through and all(key.startswith((*_AFTER_GROW, *untrained)) for key in differing):
        stages.append("iter_1/grow")
    return stages, [key for key in differing if not key.startswith((*_AFTER_START, *untrained))]


def _is_student(differing: Collection[str]) -> bool:
    """Whether a run whose settings differ in these keys from the reused one learns from the texts of another policy.
    Other weights under the same path are no other policy by intention: nothing is reused then."""
    return any(key.startswith("policy.") and not key.endswith(_CONTENT) for key in differing)


def shared_judges(differing: Collection[str]) -> list[str]:
    """The stages of trained judges that two runs share if their settings differ in these keys and they share iteration
    0.

    >>> shared_judges(["improve.selector", "grow.samples"])
    ['iter_0/judge']
    """
    return [
        f"iter_0/{judge}" for judge, keys in _OF_JUDGES.items() if not any(key.startswith(keys) for key in differing)
    ]
