"""All parts of a run. See the package's docstring for an example.

Not here: question sets, prompts, clients and judges, which have a module each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Literal

from rest_react.build.judges import Judges
from rest_react.build.models import Models, prices, starting_model
from rest_react.build.question_sets import QuestionSets, read_corpus_file
from rest_react.build.run_prompts import RunPrompts
from rest_react.config.settings import Settings
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM, Search, Tracker, Trainer
from rest_react.records import ModelRef, Passage
from rest_react.remote.budget import Meter
from rest_react.remote.cache import CachedSearch, client_name
from rest_react.search.engine_settings import SearchContext
from rest_react.search.pages import PageReader
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.protocol import Policy, Task
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.task_settings import TaskContext
from rest_react.training.trainer_settings import Schedule, TrainingContext


class Parts:
    """All parts of a run: question sets, prompts, models and judges; task, search, policy, trainer and tracker."""

    def __init__(self, settings: Settings, folder: RunFolder) -> None:
        self.settings = settings
        self.folder = folder
        self.question_sets = QuestionSets(settings, folder)
        self.prompts = RunPrompts(settings, self.question_sets)
        self.models = Models(settings, folder, lambda: self.question_sets.built_in)
        self.judges = Judges(settings, folder, self.models, self.prompts)

    @property
    def prices(self) -> dict[str, Price]:
        """The price of the tokens of each role."""
        return prices(self.settings)

    def starting_model(self) -> ModelRef:
        """The weights before any training."""
        return starting_model(self.settings)

    def llm(self, model: ModelRef) -> LLM:
        """A client of `model` with the settings of the policy."""
        return self.models.open("policy", self.settings.policy, model)

    def expert(self) -> LLM:
        """The scripted expert that writes demonstrations, with the errors that the settings demand."""
        shown = self.settings.demonstrations
        shares = {"right": 1 - shown.mistakes, "wrong": shown.mistakes, "unparsable": 0.0, "empty": 0.0}
        demonstrated = self.question_sets.demonstrated
        return self.settings.task.scripted(demonstrated, seed=self.settings.seed, slip=shown.slip, **shares)

    def search(self, passages: Sequence[Passage] | None) -> Search:
        """The search engine: over `passages`, or on the web with the cache; it reads pages if the settings say so."""
        s, cache = self.settings, self.models.cache
        engine: Search
        if cache is None or not s.search.asks_outside:
            engine = self._engine(passages)
        else:
            engine = CachedSearch(None if s.replay else self._engine(passages), client_name(s.search), cache)
        if not s.agent.read_pages:
            return engine
        most, characters = s.agent.read_pages, s.agent.page_characters
        return PageReader(engine, most=most, characters=characters, cache=cache, replay=s.replay)

    def closed_search(self, passages: Sequence[Passage]) -> Search:
        """BM25 over `passages`. Demonstrations of the built-in world always use it, whatever the settings search."""
        from rest_react.search.bm25 import Bm25Search

        return Bm25Search(passages, self.folder.root / "bm25")

    def _engine(self, passages: Sequence[Passage] | None) -> Search:
        return self.settings.search.open(SearchContext(passages, self.folder.root / "bm25", read_corpus_file))

    def task(self, passages: Sequence[Passage] | None) -> Task:
        """The task, for rollouts on a question set with these passages."""
        return self._task(self.search(passages) if self.settings.task.searches else None)

    def demonstrated_task(self) -> Task:
        """The task for the rollouts of the scripted expert."""
        return self._task(self._demonstrated_search())

    def _demonstrated_search(self) -> Search | None:
        """What the expert searches: for a user's own rows the search engine of the run, so that they show its hits."""
        passages = self.question_sets.demonstrated.passages
        if self.settings.demonstrations.questions is not None:
            return self.search(passages or None) if self.settings.task.searches else None
        return None if passages is None else self.closed_search(passages)

    async def left_out_demonstrations(self) -> Mapping[str, str]:
        """The ids of the questions that the expert cannot demonstrate, each with the reason."""
        s = self.settings
        own = s.demonstrations.questions is not None
        search = self._demonstrated_search() if own else None
        return await s.task.left_out(self.question_sets.demonstrated, search, s.agent)

    def task_reader(self, *, filters: bool = False) -> Task:
        """The task for stored trajectories: it parses and verifies them and, with `filters`, says which may train."""
        return self._task(None, filters=filters)

    def _task(self, search: Search | None, *, filters: bool = False) -> Task:
        agent, improve = self.settings.agent, self.settings.improve
        prompts = StepPrompts(self.prompts.steps, self.settings.task.closings, agent.exemplars)
        context = TaskContext(
            prompts, agent, search, open_model=self.models.of_task, items=lambda: self.question_sets.built_in,
            run_folder=self.folder.root,
        )  # fmt: skip
        if filters:
            context = replace(
                context, only_grounded=improve.only_grounded, max_searches=improve.max_searches,
                min_passages=improve.min_passages,
            )  # fmt: skip
        return self.settings.task.open(context)

    def baselines(self) -> Iterator[tuple[str, Task, Policy]]:
        """Each baseline of the task with the policy that answers for it, to be closed after use. The untuned policy is
        asked with its prompts, whatever `agent.exemplars` says: with the instructions in `agent.prompts`, if it is set,
        and as examples the user's rows."""
        rows, task, s = self.question_sets.labelled_rows, self.settings.task, self.settings
        for name in task.baseline_names() if rows else ():
            shots = task.baseline_shots(name)
            llm = task.baseline(name, rows) if shots is None else self.llm(self.starting_model())
            made = task.prompts_of_rows(rows, shots=shots or 0)
            if s.agent.prompts:
                own = self.prompts.steps
                made = {kind: replace(own[kind], exemplars=prompt.exemplars) for kind, prompt in made.items()}
            context = TaskContext(StepPrompts(made or self.prompts.steps, task.closings, "always"), s.agent)
            policy = self.policy(llm, samples=s.evaluate.samples, temperature=s.evaluate.temperature, tuned=False)
            yield name, task.open(context), policy

    def policy(self, llm: LLM, *, samples: int, temperature: float, tuned: bool) -> Policy:
        """The policy: a client with how rollouts sample it."""
        a = self.settings.agent
        return Policy(llm, samples, temperature, a.max_tokens, a.select, tuned)

    def rules(self) -> Rules:
        """The settings of Improve."""
        improve = self.settings.improve
        return Rules(**{field.name: getattr(improve, field.name) for field in fields(Rules)})

    def trainer(self, iteration: int, stage: str = "finetune", epochs: float | None = None) -> Trainer:
        """The trainer, with the schedule of the iteration, or with its own `epochs`. `stage` is its name in the
        progress."""
        mode, template_kwargs = self.settings.policy.trained_as()
        context = TrainingContext(
            mode,
            template_kwargs,
            self.folder.root,
            f"iteration {iteration}: {stage}",
            Meter(self.models.budget, "finetune"),
            iteration=iteration,
            holds_out=stage == "finetune",
        )
        first = self.settings.demonstrations
        own = Schedule(first.epochs, first.learning_rate, first.batch_size) if iteration == 0 else Schedule()
        return self.settings.finetune.open(context, own if epochs is None else replace(own, epochs=epochs))

    def tracker(self, iteration: int, config: Mapping[str, object], mode: Literal["offline", "online"]) -> Tracker:
        """The experiment tracker of one iteration."""
        from rest_react.reporting.tracking.open_tracker import open_tracker
        from rest_react.reporting.tracking.trackers import TrackedIteration

        s = self.settings
        of = TrackedIteration(self.folder.root, s.run, iteration, config, s.tracking.project, mode)
        return open_tracker(s.tracking.kind, of)
