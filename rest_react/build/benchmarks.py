"""The benchmarks of a run: their questions, and how baselines and models answer them.

    benchmarks = Benchmarks(settings, parts)
    await benchmarks.run_baselines()                       # baselines/tfidf/validation, ...
    await benchmarks.run_evaluate(1, llm, model)           # iter_1/evaluate/world, ...
    model = await benchmarks.run_choose(1, last_model)     # iter_1/choose, with `evaluate.choose_by`

Not here: one evaluation (stages.evaluate), and which model is the best (stages.choose_model).
"""

from pathlib import Path

from rest_react.build.parts import Parts
from rest_react.config.settings import Settings
from rest_react.errors import RunFolderError
from rest_react.judges.grader import Grader
from rest_react.protocols import LLM
from rest_react.records import ModelRef
from rest_react.seeds import derive_seed
from rest_react.stages.choose_model import choose_model
from rest_react.stages.evaluate import evaluate
from rest_react.stages.reuse.copy_stages import copy_complete
from rest_react.storage.summaries import read_summary
from rest_react.tasks.protocol import Policy, Task
from rest_react.training.hosted.progress import CHECKPOINTS
from rest_react.training.process.loss_curve import last_step
from rest_react.training.process.snapshots import SNAPSHOTS, snapshot_steps


class Benchmarks:
    """The question sets of `evaluate.benchmarks`, by name, and their evaluations."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings, self.parts, self.folder = settings, parts, parts.folder
        self.sets = {name: parts.question_sets.open(source) for name, source in settings.evaluate.benchmarks.items()}

    async def run_baselines(self) -> None:
        """Answers the benchmarks with each baseline of the task."""
        for baseline, task, policy in self.parts.baselines():
            grader = self.parts.judges.grader()
            try:
                for name, benchmark in self.sets.items():
                    if self.settings.task.baseline_answers(baseline, benchmark.labelled):
                        seed = derive_seed(self.settings.seed, "baseline", baseline, name)
                        title = f"baseline {baseline}: {name}"
                        await self._evaluate(
                            task, policy, name, grader, self.folder.baseline(baseline, name), seed, title
                        )
            finally:
                await policy.llm.aclose()
                await grader.aclose()

    async def run_evaluate(self, k: int, llm: LLM, model: ModelRef) -> None:
        """Answers and grades the questions of every benchmark with the model of iteration k."""
        grader = self.parts.judges.grader()
        try:
            for name in self.sets:
                stage = self.folder.stage(k, "evaluate", name)
                await self._answer(k, name, llm, model, grader, stage, f"iteration {k}: evaluate {name}")
        finally:
            await grader.aclose()

    async def run_choose(self, k: int, last: ModelRef) -> ModelRef:
        """Chooses among the models of iteration k's training, which ended with `last`, by the benchmark
        `evaluate.choose_by`; `last` without one. The answers of the chosen model are its evaluation there."""
        name, stage = self.settings.evaluate.choose_by, self.folder.stage(k, "choose")
        if name is None:
            return last
        models = self._models(self.folder.stage(k, "finetune"), last)
        grader = self.parts.judges.grader()

        async def evaluate_model(model: ModelRef, folder: Path, which: str) -> None:
            llm = self.parts.llm(model)
            try:
                await self._answer(k, name, llm, model, grader, folder, f"iteration {k}: {which}, {name}")
            finally:
                await llm.aclose()

        try:
            chosen = await choose_model(models, evaluate_model, stage, benchmark=name)
        finally:
            await grader.aclose()
        [answers] = (stage / str(steps) for steps, model in models.items() if model == chosen)
        if read_summary(answers) is not None:  # the choice may be reused from another run
            copy_complete(answers, self.folder.stage(k, "evaluate", name), self.folder)
        return chosen

    def _models(self, training: Path, last: ModelRef) -> dict[int, ModelRef]:
        """The models of a training by their steps, `last` at the end. Raises RunFolderError if one is missing."""
        trainer = self.settings.finetune
        earlier, kept = trainer.earlier_models(training, last), trainer.models_kept()
        steps = max(last_step(training) or 0, max(earlier, default=0) + 1)
        if kept is None and not earlier:
            raise RunFolderError(
                f"{training}: the provider listed no other model of this job, so none can be chosen. To ask for the "
                f"list again, without a new job, delete summary.json and {CHECKPOINTS} there and run the same command "
                "again. If the provider has no checkpoints, set evaluate.choose_by=null"
            )
        wanted = snapshot_steps(steps, kept or 1)
        missing = [at for at in wanted if at not in earlier]
        if missing and len(earlier) < len(wanted):  # as many, but others: lines of the loss curve were lost
            raise RunFolderError(
                f"{training}/{SNAPSHOTS}: the model after {missing[0]} steps is missing; delete {training} and run "
                "the same command again, which trains again"
            )
        return earlier | {steps: last}

    async def _answer(
        self, k: int, name: str, llm: LLM, model: ModelRef, grader: Grader, stage: Path, title: str
    ) -> None:
        """One benchmark, answered by a model of iteration k."""
        s = self.settings.evaluate
        task = self.parts.task(self.sets[name].passages)
        policy = self.parts.policy(llm, samples=s.samples, temperature=s.temperature, tuned=model.tuned)
        seed = derive_seed(self.settings.seed, "evaluate", k, name)
        await self._evaluate(task, policy, name, grader, stage, seed, title)

    async def _evaluate(
        self, task: Task, policy: Policy, name: str, grader: Grader, stage: Path, seed: int, title: str
    ) -> None:
        """One benchmark, answered by any policy."""
        s = self.settings.evaluate
        await evaluate(
            task,
            policy,
            self.sets[name].labelled,
            grader,
            stage,
            repeats=s.repeats,
            seed=seed,
            in_flight=self.settings.policy.in_flight,
            prices=self.parts.prices,
            tolerated=s.tolerate_outside_faults,
            make_room=self.parts.judges.grader_needs_room,
            title=title,
        )
