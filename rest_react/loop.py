"""The loop of four stages. It runs only the stages that are not complete on disk.

    await Loop(settings, Parts(settings, folder)).run_to(iteration=3)

    iteration 0      start=demonstrations: grow, improve and finetune on them; start=prompted: no training. evaluate
    iteration k      grow → improve → finetune → evaluate; then the report. With `evaluate.choose_by`, a benchmark
                     chooses among the models of each training

Each `run_*` method passes one stage its settings.
Not here: the stages (stages), the clients, trainer and task, the benchmarks and what iteration 0 alone has (build), and
the command (run).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from rest_react.build import Parts
from rest_react.build.benchmarks import Benchmarks
from rest_react.build.data_digests import data_digests
from rest_react.build.gold_answers import refuse_unusable_golds
from rest_react.build.iteration_zero import train_judge, write_texts
from rest_react.build.question_ids import write_question_ids
from rest_react.build.question_sets import refuse_empty_sets
from rest_react.build.reused_stages import reuse_other_run
from rest_react.build.shared_questions import refuse_shared_questions
from rest_react.config.settings import Settings
from rest_react.metrics.prices import NO_PRICE
from rest_react.prompts import exemplar_rows
from rest_react.protocols import LLM
from rest_react.questions import unlabelled
from rest_react.records import Example, LabelledQuestion, ModelRef
from rest_react.report import show_results
from rest_react.reporting.tracking.track_iteration import IterationTracking
from rest_react.seeds import derive_seed
from rest_react.stages.finetune import finetune
from rest_react.stages.grow import grow
from rest_react.stages.improve.improve import improve
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.stages.training_data import origin_of_rows, preference_data, training_data
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.summaries import read_summary


class Loop:
    """One run: its settings, parts, folder, and the question sets of Grow and Evaluate. `locked` is what a run of
    another loop locks besides its settings."""

    locked: Mapping[str, object] = MappingProxyType({})

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings, self.parts, self.folder = settings, parts, parts.folder
        sets = parts.question_sets
        self.grow_set = sets.grown()
        self.demonstrations: Sequence[LabelledQuestion] = ()
        self.benchmarks = Benchmarks(settings, parts)
        refuse_empty_sets(settings, self.grow_set, self.benchmarks.sets)
        locked = locked_settings(settings)
        self.tracking = IterationTracking(
            self.folder, settings.tracking.kind, settings.tracking.mode,
            lambda k, mode: parts.tracker(k, locked, mode), parts.task_reader().scores,
        )  # fmt: skip
        asked = {name: one.labelled for name, one in self.benchmarks.sets.items()}
        self.asked = {name: unlabelled(labelled) for name, labelled in asked.items()}
        refuse_shared_questions(settings, sets, unlabelled(self.grow_set.labelled), self.asked)
        labelled = {f"evaluate.benchmarks.{name}": rows for name, rows in asked.items()}
        if not settings.synthetic.n:  # else the teacher has not written them yet
            labelled |= {"demonstrations.questions": sets.labelled_rows}
        refuse_unusable_golds(settings.task, labelled)

    async def run_to(self, iteration: int) -> None:
        """Runs every stage up to `iteration` that is not complete yet."""
        s = self.settings
        if s.grow.reuse is not None:
            reuse_other_run(self.parts, unlabelled(self.grow_set.labelled), self.asked, self.data_digests())
        if s.synthetic.n:
            await write_texts(self.parts)
        self.demonstrations = await write_question_ids(s, self.parts, self.grow_set, self.benchmarks.sets)
        await self.benchmarks.run_baselines()
        model = self.parts.starting_model()
        llm = self.parts.llm(model)
        try:
            for k in range(iteration + 1):
                if k > 0 or s.start == "demonstrations":
                    grows = k == 0 or s.improve.max_examples != 0  # else only the demonstrations train
                    if grows:
                        await self.run_grow(k, llm, model)
                    await llm.aclose()  # frees its memory for the reward model and for training
                    await self.parts.models.close_those_of_task()
                    if grows:
                        await self.run_improve(k)
                    model = await self.benchmarks.run_choose(k, await self.run_finetune(k, model))
                    llm = self.parts.llm(model)
                await self.benchmarks.run_evaluate(k, llm, model)
                if self.tracking.track(k) or k == iteration:
                    show_results(self.folder.root, smoke=s.smoke, prices=self.parts.prices)
        finally:
            await llm.aclose()
            await self.parts.models.close_those_of_task()

    async def run_grow(self, k: int, llm: LLM, model: ModelRef) -> None:
        """Samples trajectories with the policy of the previous iteration; in iteration 0, demonstrations of the
        scripted expert."""
        s, parts, stage = self.settings, self.parts, self.folder.stage(k, "grow")
        if read_summary(stage) is not None:
            return
        sampled = partial(
            grow,
            stage=stage,
            seed=derive_seed(s.seed, "grow", k),
            in_flight=s.policy.in_flight,
            tolerated=s.grow.tolerate_outside_faults,
        )
        if k == 0:
            await sampled(
                parts.demonstrated_task(),
                parts.policy(parts.expert(), samples=1, temperature=s.grow.temperature, tuned=True),
                unlabelled(self.demonstrations),
                repeats=1,
                prices=parts.prices | {"policy": NO_PRICE},
                title="iteration 0: demonstrate",
            )
        else:
            await sampled(
                parts.task(self.grow_set.passages),
                parts.policy(llm, samples=s.grow.samples, temperature=s.grow.temperature, tuned=model.tuned),
                unlabelled(self.grow_set.labelled),
                repeats=s.grow.trajectories_per_question,
                prices=parts.prices,
                title=f"iteration {k}: grow",
            )

    async def run_improve(self, k: int) -> None:
        """Selects training examples from the trajectories of Grow."""
        if read_summary(self.folder.stage(k, "improve")) is not None:
            return
        if k:
            await train_judge(self.parts, self.demonstrations)
        reward_model = self.parts.judges.reward_model() if k else None
        try:
            await improve(
                self.parts.task_reader(filters=k > 0),
                self.folder.stage(k, "grow") / TRAJECTORIES,
                self.folder.stage(k, "improve"),
                rules=self.parts.rules() if k else Rules("perplexity"),  # a demonstration has one sample a step
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
        """Fine-tunes the base model or `model`, as `finetune.start_from` says; returns the next model."""
        start = self.parts.starting_model() if self.settings.finetune.start_from == "base" else model
        seed = derive_seed(self.training_seed(k), "finetune", k) % 2**31
        return await finetune(
            self.parts.trainer(k),
            self.training_data(k),
            start,
            self.folder.stage(k, "finetune"),
            seed=seed,
            origin=origin_of_rows(self.folder, k),
            price=self.settings.finetune.training_price(),
        )

    def training_data(self, k: int) -> Iterator[Example]:
        """The training data of iteration k, according to the settings `finetune` and `demonstrations`."""
        s, parts = self.settings, self.parts
        if k and s.finetune.learns_from == "preferences":
            return preference_data(self.folder, k, parts.task_reader(filters=True), parts.rules())
        mixed = s.finetune.mix_demonstrations
        exemplars = exemplar_rows(parts.prompts.steps) if s.demonstrations.exemplars and (k == 0 or mixed) else ()
        return training_data(self.folder, k, demonstrations=mixed and s.start == "demonstrations", exemplars=exemplars)

    def training_seed(self, k: int) -> int:
        """The seed of Improve and Finetune: `learning_seed` if it is set, else `seed`. Runs that share Grow may
        differ in it."""
        s = self.settings
        return s.seed if k == 0 or s.learning_seed is None else s.learning_seed

    def data_digests(self) -> dict[str, str]:
        """Digests of the data and of the user's own weights."""
        return data_digests(self.settings, self.parts.question_sets, self.grow_set, self.benchmarks.sets)
