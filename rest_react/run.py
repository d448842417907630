"""The loop. `python -m rest_react.run iteration=3` brings a run to iteration 3, doing only what is missing on disk.

    iteration 0      grow and improve demonstrations, finetune (a small model), or none of it (a large one); evaluate
    iteration k      grow → improve → finetune → evaluate
    at the end       report

If a run is interrupted, run the same command again; it resumes. Configuration is Hydra's: configs/config.yaml holds
every setting. Not here: what a stage does (stages) and which clients, trainer and task there are (build).
"""

from rest_react.start import start

if __name__ == "__main__":  # in front of the imports, see there
    start("rest_react.run")

import hashlib
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from rest_react.build import Parts
from rest_react.config import cli
from rest_react.config.checks import benchmarks_for_testing, missing_keys
from rest_react.config.load import load_settings
from rest_react.config.settings import Settings
from rest_react.config.students import settings_of_student
from rest_react.console import console, say
from rest_react.errors import ConfigError, RestReactError, disk_errors
from rest_react.forecast.forecast import duration_line, forecast_table, with_speed
from rest_react.metrics.costs import NO_PRICE
from rest_react.prompts import exemplar_rows
from rest_react.protocols import LLM
from rest_react.questions import unlabelled
from rest_react.records import Example, ModelRef
from rest_react.report import show_results
from rest_react.reporting.tracking.track_iteration import IterationTracking
from rest_react.seeds import derive_seed
from rest_react.stages.evaluate import evaluate
from rest_react.stages.finetune import finetune
from rest_react.stages.grow import grow, refuse_overlap
from rest_react.stages.improve import EXAMPLES, RANKINGS, Rules, improve
from rest_react.stages.preferences import preferences
from rest_react.stages.reopen import reopen_where_limits_changed
from rest_react.stages.reuse import reuse_stages
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.start import run_async
from rest_react.storage.jsonl import read_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings
from rest_react.storage.summaries import read_summary, refuse_damaged_stages
from rest_react.sweep import Ended, sweep


class Loop:
    """One run: its settings, its parts, its folder, and the questions that it grows and is evaluated on."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings, self.parts, self.folder = settings, parts, parts.folder
        self.grow_set = parts.grow_questions()
        self.benchmarks = {name: parts.questions(source) for name, source in settings.evaluate.benchmarks.items()}
        locked = locked_settings(settings)
        self.tracking = IterationTracking(
            self.folder, settings.tracking.kind, settings.tracking.mode, lambda k, mode: parts.tracker(k, locked, mode)
        )
        asked = {name: unlabelled(benchmark.labelled) for name, benchmark in self.benchmarks.items()}
        grown, allowed = unlabelled(self.grow_set.labelled), settings.grow.allow_overlap
        for note in refuse_overlap(grown, asked, allowed, benchmarks_for_testing(settings)):
            say(f"note: {note}")

    async def run_to(self, iteration: int) -> None:
        """Runs every stage up to `iteration` that is not complete yet."""
        s = self.settings
        if s.grow.reuse is not None:
            reuse_stages(
                RunFolder(self.folder.root.parent / s.grow.reuse),
                self.folder,
                locked_settings(s),
                start=s.start,
                iteration=s.iteration,
                through=s.grow.reuse_through,
                repeats=s.grow.trajectories_per_question,
            )
        model = self.parts.starting_model()
        policy = self.parts.policy(model)
        try:
            for k in range(iteration + 1):
                if k > 0 or s.start == "demonstrations":
                    await self.run_grow(k, policy, model)
                    await policy.aclose()  # leaves its memory to the reward model and to training
                    await self.run_improve(k)
                    model = await self.run_finetune(k, model)
                    policy = self.parts.policy(model)
                await self.run_evaluate(k, policy, model)
                if self.tracking.track(k) or k == iteration:
                    show_results(self.folder.root, smoke=s.smoke)
        finally:
            await policy.aclose()

    async def run_grow(self, k: int, llm: LLM, model: ModelRef) -> None:
        """Samples trajectories with the previous iteration's policy; in iteration 0 with the scripted expert, as
        demonstrations."""
        s, stage = self.settings, self.folder.stage(k, "grow")
        if read_summary(stage) is not None:
            return
        if k == 0:
            policy = self.parts.sampled(self.parts.expert(), samples=1, temperature=s.grow.temperature, tuned=True)
            questions, task = self.parts.built_in.demonstrations, self.parts.demonstrated_task()
        else:
            policy = self.parts.sampled(llm, samples=s.grow.samples, temperature=s.grow.temperature, tuned=model.tuned)
            questions, task = self.grow_set.labelled, self.parts.task(self.grow_set.passages)
        await grow(
            task,
            policy,
            unlabelled(questions),
            stage,
            repeats=s.grow.trajectories_per_question if k else 1,
            seed=derive_seed(s.seed, "grow", k),
            in_flight=s.policy.in_flight,
            prices=self.parts.prices if k else {"policy": NO_PRICE},
            tolerated=s.grow.tolerate_outside_faults,
            title=f"iteration {k}: " + ("grow" if k else "demonstrate"),
        )

    async def run_improve(self, k: int) -> None:
        """Selects training examples from the trajectories of Grow."""
        reward_model = self.parts.reward_model() if k else None
        try:
            await improve(
                self.parts.task_reader(filters=k > 0),
                self.folder.stage(k, "grow") / TRAJECTORIES,
                self.folder.stage(k, "improve"),
                rules=self.parts.rules() if k else Rules("perplexity"),
                reward_model=reward_model,
                seed=derive_seed(self.training_seed(k), "improve", k),
                in_flight=self.settings.policy.in_flight,
                prices=self.parts.prices,
                title=f"iteration {k}: improve",
            )
        finally:
            if reward_model is not None:
                await reward_model.llm.aclose()

    async def run_finetune(self, k: int, model: ModelRef) -> ModelRef:
        """Tunes the base model, or `model`, on the examples; returns the next model."""
        base = self.parts.starting_model() if self.settings.finetune.start_from == "base" else model
        seed = derive_seed(self.training_seed(k), "finetune", k) % 2**31
        return await finetune(
            self.parts.trainer(k), self.examples(k), base, self.folder.stage(k, "finetune"), seed=seed
        )

    def training_seed(self, k: int) -> int:
        """`learning_seed` where it is set, else `seed`: runs that share Grow may differ in what follows it."""
        s = self.settings
        return s.seed if k == 0 or s.learning_seed is None else s.learning_seed

    def examples(self, k: int) -> Iterator[Example]:
        """The examples that iteration k trains on: its own, and demonstrations where the settings mix them in; or
        preferences, for trainers that learn from these."""
        improved = self.folder.stage(k, "improve")
        own: Iterable[Example] = read_lines(improved / EXAMPLES, Example)
        if k and self.settings.finetune.learns_from == "preferences":
            grown = self.folder.stage(k, "grow") / TRAJECTORIES
            task = self.parts.task_reader(filters=True)
            return preferences(task, grown, improved / RANKINGS, own, self.parts.rules())
        shown: Iterable[Example] = ()
        if k and self.settings.finetune.mix_demonstrations and self.settings.start == "demonstrations":
            shown = read_lines(self.folder.stage(0, "improve") / EXAMPLES, Example)
        if self.settings.demonstrations.exemplars and (k == 0 or self.settings.finetune.mix_demonstrations):
            shown = chain(shown, exemplar_rows(self.parts.prompts))
        return chain(shown, own)

    async def run_evaluate(self, k: int, llm: LLM, model: ModelRef) -> None:
        """Answers and grades the questions of every benchmark."""
        s = self.settings.evaluate
        grader = self.parts.grader()
        policy = self.parts.sampled(llm, samples=s.samples, temperature=s.temperature, tuned=model.tuned)
        try:
            for name, benchmark in self.benchmarks.items():
                await evaluate(
                    self.parts.task(benchmark.passages),
                    policy,
                    benchmark.labelled,
                    grader,
                    self.folder.stage(k, "evaluate", name),
                    repeats=s.repeats,
                    seed=derive_seed(self.settings.seed, "evaluate", k, name),
                    in_flight=self.settings.policy.in_flight,
                    prices=self.parts.prices,
                    tolerated=s.tolerate_outside_faults,
                    make_room=self.parts.grader_needs_room,
                    title=f"iteration {k}: evaluate {name}",
                )
        finally:
            await grader.aclose()

    def data_digests(self) -> dict[str, str]:
        """Digests of the question sets and the corpus, whose content may change though their paths stay."""
        sets = {"grow.questions": self.grow_set} | {f"evaluate.{name}": one for name, one in self.benchmarks.items()}
        found = {name: one.digest() for name, one in sets.items()}
        if (file := self.settings.search.corpus_file()) is not None:
            with file.open("rb") as corpus:
                found["search.corpus"] = hashlib.file_digest(corpus, "sha256").hexdigest()[:16]
        return found


def run(settings: Settings) -> None:
    """Runs the loop to `settings.iteration`, then its students. Raises RestReactError; finished work stays."""
    folder = RunFolder(cli.output_root(settings) / settings.run)
    parts = Parts(settings, folder)
    prompts = parts.prompts_hash()
    if settings.dry_run:
        console.print(forecast_table(with_speed(settings), folder))
        return
    if missing := missing_keys(settings):
        raise ConfigError(missing)
    loop = Loop(settings, parts)
    with folder.locked():
        locked = locked_settings(settings)
        reopen_where_limits_changed(folder, locked)
        for change in lock_settings(folder.root, locked, cli.environment(prompts) | loop.data_digests()):
            say(f"note: since this run began, {change}")
        refuse_damaged_stages(folder.root)
        parts.budget.keep_in(folder.root / "spending.json")
        if line := duration_line(settings, folder):
            say(line)
        run_async(loop.run_to(settings.iteration))
    for student in settings.students:
        run(settings_of_student(settings, student))


def main() -> None:
    """The command line: checks everything, then hands over to Hydra."""
    sys.argv[1:] = arguments = cli.checked(sys.argv[1:])
    if (folder := cli.sweep_folder(arguments)) is not None:
        raise SystemExit(sweep(job, folder))
    cli.with_hydra(_single)


def job(config: Any) -> Ended:
    """One run, from its composed configuration to how it ended. Hydra calls it by its name, in other processes too."""
    place = ""
    try:
        with disk_errors():
            settings = load_settings(cli.plain(config))
            place = str(cli.output_root(settings) / settings.run)
            run(settings)
    except RestReactError as error:
        return Ended(error.exit_status, place, str(error))
    return Ended(0, place, "")


def _single(config: Any) -> None:
    ended = job(config)
    if ended.status:
        say(ended.message)
        raise SystemExit(ended.status)
