"""The trajectories of a run's Grow with the labels of their questions, for benchmarks alone.

    run = labelled_run(Path("outputs/default"), iteration=1)
    run.right("w17.0")                     # whether its answer is correct
    await run.judged_steps()               # every step, judged by the gold passages

The question set and its corpus are read again by the run's own settings. A question file whose settings do not name
the column with the ids of the gold passages can be given it as `passages`. Steps can only be judged where all gold
passages of the question, by its chain or by their ids, are in a closed corpus.
Not here: verdicts on candidates (gold).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, TypeAdapter

from benchmarks.gold import JudgedStep, gold_passages, judge_steps
from rest_react.config.groups import CONFIGS
from rest_react.config.settings import Questions
from rest_react.errors import UsageError
from rest_react.judges.grader import rule_verdict
from rest_react.questions import read_corpus
from rest_react.questions.labelled_questions import FileQuestions
from rest_react.questions.question_settings import OpenedQuestions, QuestionContext
from rest_react.records import LabelledQuestion, Passage, Trajectory
from rest_react.search.bm25 import Bm25Search
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import read_settings
from rest_react.tasks.search_qa.scripted.chain_plans import Titles
from rest_react.tasks.search_qa.world import World, build_world

_SIZES = ("passages", "demonstrations", "train", "evaluation")


@dataclass(frozen=True)
class LabelledRun:
    """The trajectories of one Grow, with `labelled` questions by id and the `passages` of their corpus, if closed."""

    folder: RunFolder
    iteration: int
    settings: Mapping[str, Any]
    trajectories: tuple[Trajectory, ...]
    labelled: Mapping[str, LabelledQuestion]
    passages: tuple[Passage, ...] | None

    @property
    def name(self) -> str:
        """The run and the iteration."""
        return f"{self.folder.root.name}, iteration {self.iteration}"

    @cached_property
    def finished(self) -> tuple[Trajectory, ...]:
        """The trajectories with an answer."""
        return tuple(one for one in self.trajectories if one.outcome == "finished")

    def right(self, trajectory: Trajectory) -> bool:
        """Whether its answer is correct by the rules."""
        return rule_verdict(self.labelled[trajectory.question_id], trajectory.answer).verdict == "correct"

    async def judged_steps(self) -> list[JudgedStep]:
        """Every step of each trajectory whose question has all its gold passages; none without a closed corpus. Queries
        are judged by what BM25 finds, whatever the run searched with."""
        if self.passages is None:
            return []
        titles, ids = Titles(self.passages), {passage.title: passage.id for passage in self.passages}
        search, hits = Bm25Search(self.passages), int(self.settings["agent.hits_per_search"])
        judged = []
        for trajectory in self.trajectories:
            asked, gold = gold_passages(self.labelled[trajectory.question_id], titles, ids)
            if gold:
                judged += await judge_steps(trajectory, asked, gold, search, hits)
        return judged


def labelled_run(root: Path, iteration: int, passages: Sequence[str] = (), kinds: Collection[str] = ()) -> LabelledRun:
    """Reads a Grow, complete or not; with `kinds`, its questions of these kinds alone. The trajectories of a question
    are neighbours, as in a complete Grow: the file of an incomplete one is in order of arrival. Raises UsageError if
    nothing is finished, or if it asked unknown questions."""
    folder, settings = RunFolder(root), read_settings(root)
    path = folder.stage(iteration, "grow") / TRAJECTORIES
    if not settings or not path.exists():
        raise UsageError(f"--run: {root} has no Grow of iteration {iteration}; run it first, or set --iteration")
    sets = {"": _opened(_below(settings, "grow.questions"), settings, passages)}
    for name in {key.split(".")[2] for key in settings if key.startswith("grow.also.")}:
        sets[f"{name}-"] = _opened(_below(settings, f"grow.also.{name}"), settings, passages)
    labelled = {
        prefix + one.question.id: replace(one, question=replace(one.question, id=prefix + one.question.id))
        for prefix, opened in sets.items()
        for one in opened.labelled
    }
    corpora = [opened.passages for opened in sets.values() if opened.passages is not None]
    corpus = tuple(passage for one in corpora for passage in one)
    if not corpus and (file := settings.get("search.corpus", "questions")) != "questions":
        corpus = tuple(read_corpus(Path(file)))
    trajectories = tuple(chain(*_by_question(read_lines(path, Trajectory))))
    if unknown := {one.question_id for one in trajectories} - labelled.keys():
        raise UsageError(f"--run: {root} asked {len(unknown)} questions that its question set no longer has")
    if kinds:
        known = sorted({labelled[one.question_id].kind for one in trajectories})
        trajectories = tuple(one for one in trajectories if labelled[one.question_id].kind in kinds)
        if not trajectories:
            raise UsageError(f"--kinds: {root} has no question of these kinds; it has {', '.join(known)}")
    if not any(one.outcome == "finished" for one in trajectories):
        raise UsageError(f"--run: no trajectory of {path} is finished; let the Grow go on")
    return LabelledRun(folder, iteration, settings, trajectories, labelled, corpus or None)


def _by_question(trajectories: Iterable[Trajectory]) -> Iterator[list[Trajectory]]:
    """The trajectories of each question, by their repeats."""
    found: dict[str, list[Trajectory]] = {}
    for one in trajectories:
        found.setdefault(one.question_id, []).append(one)
    for of_question in found.values():
        yield sorted(of_question, key=lambda one: int(one.id.rpartition(".")[2]))


def _opened(given: Mapping[str, Any], settings: Mapping[str, Any], passages: Sequence[str]) -> OpenedQuestions:
    by_kind: Any = TypeAdapter(Annotated[Questions, Field(discriminator="kind")])
    source: Questions = by_kind.validate_python({**_defaults(given["kind"]), **given})
    if isinstance(source, FileQuestions) and "passages" not in source.fields:
        text = Path(source.path).read_text("utf-8")
        if column := next((name for name in passages if f'"{name}"' in text), None):
            source = replace(source, fields={**source.fields, "passages": column})
    world_seed = int(settings["world.seed"])

    def world() -> World:
        return build_world(world_seed, **{size: int(settings[f"world.{size}"]) for size in _SIZES})

    context = QuestionContext(world, world_seed, lambda path: tuple(read_corpus(Path(path))))
    return source.open_with_chains(context)


def _defaults(kind: str) -> dict[str, Any]:
    """The values of a kind of question set in configs/, for settings that are newer than the run."""
    files = (yaml.safe_load(path.read_text("utf-8")) for path in sorted((CONFIGS / "questions").glob("*.yaml")))
    found: dict[str, Any] = next((values for values in files if values.get("kind") == kind), {})
    return {name: value for name, value in found.items() if value != "???"}


def _below(settings: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The settings below a path, as a nested mapping."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if key.startswith(f"{path}."):
            *parents, last = key.removeprefix(f"{path}.").split(".")
            inner = found
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
    return found
