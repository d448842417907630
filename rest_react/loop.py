"""The loop of four stages. It runs only the stages that are not complete on disk.

    await Loop(settings, Parts(settings, folder)).run_to(iteration=3)

    iteration 0      start=demonstrations: grow, improve and finetune on them; start=prompted: no training. evaluate
    iteration k      grow → improve → finetune → evaluate; then the report. With `evaluate.choose_by`, a benchmark
                     chooses among the models of each training

Each `run_*` method passes one stage its settings.
Not here: the stages (stages), the clients, trainer and task (build), and the command (run).
"""

from collections.abc import Iterator, Sequence

from rest_react.build import Parts
from rest_react.build.benchmarks import Benchmarks
from rest_react.build.data_digests import data_digests
from rest_react.build.gold_answers import refuse_unusable_golds
from rest_react.build.question_ids import write_question_ids
from rest_react.build.question_sets import refuse_empty_sets
from rest_react.build.shared_questions import refuse_grown_questions, refuse_shared_questions
from rest_react.config.environment import environment
from rest_react.config.settings import Settings, TrainedModel, asks_reward_model
from rest_react.metrics.prices import NO_PRICE
from rest_react.prompts import exemplar_rows
from rest_react.protocols import LLM
from rest_react.questions import unlabelled
from rest_react.records import Example, LabelledQuestion, ModelRef, Question
from rest_react.report import show_results
from rest_react.reporting.tracking.track_iteration import IterationTracking
from rest_react.seeds import derive_seed
from rest_react.stages.choose_model import model_of_iteration
from rest_react.stages.finetune import finetune
from rest_react.stages.grow import grow
from rest_react.stages.improve.improve import EXAMPLES, improve
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.stages.judge.outcome_judge import WEIGHTS, make_outcome_judge
from rest_react.stages.judge.step_judge import make_judge
from rest_react.stages.reuse.reuse import reuse_stages
from rest_react.stages.rollouts import TRAJECTORIES, asked_questions
from rest_react.stages.synthesise import synthesise
from rest_react.stages.training_data import origin_of_rows, preference_data, training_data
from rest_react.storage.jsonl import read_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import read_summary
from rest_react.tasks.protocol import Policy


class Loop:
    """One run: its settings, parts, folder, and the question sets of Grow and Evaluate."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings, self.parts, self.folder = settings, parts, parts.folder
        sets = parts.question_sets
        self.grow_set = sets.grown()
        self.demonstrations: Sequence[LabelledQuestion] = ()
        self.benchmarks = Benchmarks(settings, parts)
        refuse_empty_sets(settings, self.grow_set, self.benchmarks.sets)
        locked = locked_settings(settings)
        self.tracking = IterationTracking(
            self.folder, settings.tracking.kind, settings.tracking.mode, lambda k, mode: parts.tracker(k, locked, mode)
        )
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
        self.reuse()
        if s.synthetic.n:
            await self.run_synthesise()
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

    def reuse(self) -> None:
        """Copies the stages that this run shares with the run `grow.reuse`, if it is set."""
        s = self.settings
        if s.grow.reuse is None:
            return
        own = {question.text for question in unlabelled(self.grow_set.labelled)}  # compared already

        def check(grown: Sequence[Question]) -> None:
            others = [question for question in grown if question.text not in own]
            refuse_grown_questions(s, others, self.asked, setting=f"grow.reuse={s.grow.reuse}")

        stages = (self.folder.stage(k, "grow") for k in range(1, s.iteration + 1))  # some may be reused already
        check(asked_questions(stage / TRAJECTORIES for stage in stages))
        reuse_stages(
            RunFolder(self.folder.root.parent / s.grow.reuse),
            self.folder,
            locked_settings(s),
            iteration=s.iteration,
            environment=environment(self.parts.prompts.digests()) | self.data_digests(),
            tolerated={
                "grow": s.grow.tolerate_outside_faults,
                "improve": s.improve.tolerate_outside_faults,
                "evaluate": s.evaluate.tolerate_outside_faults,
            },
            check=check,
        )

    async def run_synthesise(self) -> None:
        """Has the teacher write the texts that iteration 0 learns from."""
        s, parts = self.settings, self.parts
        teacher, template = parts.judges.teacher()
        judge = parts.judges.of_texts()
        try:
            await synthesise(
                teacher,
                template,
                judge,
                s.task.label_names(),
                self.folder.stage(0, "synthetic"),
                s.synthetic,
                shown=s.task.shown,
                seed=derive_seed(s.seed, "synthesise"),
                in_flight=s.policy.in_flight,
                prices=parts.prices,
            )
        finally:
            await teacher.aclose()
            if judge is not None:
                await judge.llm.aclose()

    async def run_grow(self, k: int, llm: LLM, model: ModelRef) -> None:
        """Samples trajectories with the policy of the previous iteration; in iteration 0, demonstrations of the
        scripted expert."""
        s, stage = self.settings, self.folder.stage(k, "grow")
        if read_summary(stage) is not None:
            return
        if k == 0:
            policy = self.parts.policy(self.parts.expert(), samples=1, temperature=s.grow.temperature, tuned=True)
            questions, task = tuple(self.demonstrations), self.parts.demonstrated_task()
        else:
            policy = self.parts.policy(llm, samples=s.grow.samples, temperature=s.grow.temperature, tuned=model.tuned)
            questions, task = self.grow_set.labelled, self.parts.task(self.grow_set.passages)
        await grow(
            task,
            policy,
            unlabelled(questions),
            stage,
            repeats=s.grow.trajectories_per_question if k else 1,
            seed=derive_seed(s.seed, "grow", k),
            in_flight=s.policy.in_flight,
            prices=self.parts.prices | ({} if k else {"policy": NO_PRICE}),
            tolerated=s.grow.tolerate_outside_faults,
            title=f"iteration {k}: " + ("grow" if k else "demonstrate"),
        )

    async def run_improve(self, k: int) -> None:
        """Selects training examples from the trajectories of Grow."""
        if read_summary(self.folder.stage(k, "improve")) is not None:
            return
        if k:
            await self.run_judge()
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

    async def run_judge(self) -> None:
        """Trains the judge of `reward_model=trained`: of answers, or of steps."""
        judge = self.settings.reward_model
        if not isinstance(judge, TrainedModel) or not asks_reward_model(self.settings):
            return
        policy = model_of_iteration(self.folder.stage(0))
        assert policy is not None  # iteration 0 is complete
        base = policy if judge.start_from == "policy" else self.parts.starting_model()
        if self.settings.improve.keep_trajectories == "judged_good":
            await self.run_outcome_judge(judge, base)
        else:
            await self.run_step_judge(judge, policy, base)

    async def run_outcome_judge(self, judge: TrainedModel, base: ModelRef) -> None:
        """Trains a judge of answers on the outcomes of the policy on the demonstrated questions."""
        s, parts = self.settings, self.parts

        def open_policy(model: ModelRef) -> Policy:
            return parts.policy(parts.llm(model), samples=s.grow.samples, temperature=s.grow.temperature, tuned=True)

        await make_outcome_judge(
            parts.demonstrated_task(),
            self.demonstrations,
            list(read_lines(self.folder.stage(0, "improve") / EXAMPLES, Example)),
            self.folder.stage(0, "outcome_judge"),
            folds=judge.folds,
            repeats=judge.repeats,
            held_out=judge.held_out,
            grader=parts.judges.grader(),
            trainers=lambda of: parts.trainer(0, f"outcome judge, {of}", judge.epochs if of == WEIGHTS else None),
            untuned=parts.starting_model(),
            base=base,
            open_policy=open_policy,
            open_judge=parts.judges.trained,
            seed=derive_seed(s.seed, "outcome_judge"),
            in_flight=s.policy.in_flight,
            prices=parts.prices,
            title="iteration 0: outcome judge",
            tolerated=s.evaluate.tolerate_outside_faults,
            make_room=parts.judges.grader_needs_room,
        )

    async def run_step_judge(self, judge: TrainedModel, policy: ModelRef, base: ModelRef) -> None:
        """Trains a judge of steps on demonstrations and on samples of iteration 0's policy."""
        s, llm = self.settings, self.parts.llm(policy)
        try:
            await make_judge(
                self.parts.task_reader(),
                self.parts.policy(llm, samples=judge.samples, temperature=s.grow.temperature, tuned=True),
                self.folder.stage(0, "grow") / TRAJECTORIES,
                self.folder.stage(0, "judge"),
                corruptions=judge.corruptions,
                held_out=judge.held_out,
                trainer=self.parts.trainer(0, "judge"),
                base=base,
                open_model=self.parts.judges.trained,
                seed=derive_seed(s.seed, "judge"),
                in_flight=s.policy.in_flight,
                prices=self.parts.prices,
                title="iteration 0: judge",
            )
        finally:
            await llm.aclose()

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
