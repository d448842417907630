"""Opens the parts of a run from its settings: task, clients, trainer, tracker, question sets.

    parts = Parts(settings, folder)
    task = parts.task(parts.grow_questions().passages)
    policy = parts.policy(parts.llm(model), samples=4, temperature=0.8, tuned=model.tuned)

The settings of a part open it (`settings.search.open(...)`), so a new client is one file with its settings and its
class, and a name in the union of its package. Clients load and connect at their first call, so opening is cheap.
Not here: the order of the stages (loop).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from rest_react.config.settings import (
    Questions,
    SameModel,
    Settings,
    TrainedModel,
    asks_reward_model,
    model_behind,
)
from rest_react.errors import ConfigError
from rest_react.judges.grader import Grader, LLMGrader, RuleGrader, RuleGraderSettings
from rest_react.judges.rating_grader import RatingGrader
from rest_react.llm.model_settings import ModelContext, ModelSettings
from rest_react.metrics.prices import Price
from rest_react.prompts import StepPrompt, prompts_hash
from rest_react.protocols import LLM, Search, Tracker, Trainer
from rest_react.questions.question_settings import BuiltInItems, OpenedQuestions, QuestionContext
from rest_react.records import LabelledQuestion, ModelRef, Passage
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.cache import Cache, CachedLLM, CachedSearch, client_name
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.search.engine_settings import SearchContext
from rest_react.search.pages import PageReader
from rest_react.selection.opinions import StepJudge
from rest_react.selection.reward_model import RewardModel
from rest_react.selection.trained_judge import TrainedJudge
from rest_react.setting_types import Mode
from rest_react.stages.finetune import read_model
from rest_react.stages.improve.improve import Rules
from rest_react.stages.synthesise import written_rows
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.protocol import Policy, Task
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.search_qa.world import World
from rest_react.tasks.task_settings import TaskContext
from rest_react.training.trainer_settings import TrainingContext

_MAX_TOKENS = {
    "policy": "agent.max_tokens", "reward_model": "improve.max_tokens", "grader": "evaluate.grader_max_tokens",
    "task.maker": "task.maker_max_tokens",
    "teacher": "synthetic.max_tokens",
}  # fmt: skip
RANKING, BEST_OPTION, AUTOEVAL = "ranking.txt", "best_option.txt", "autoeval.txt"
JUDGED_GOOD, JUDGED_ANSWER = "judged_good.txt", "judged_answer.txt"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions with labels, and the passages with their answers; None if the set has no passages."""

    labelled: tuple[LabelledQuestion, ...]
    passages: tuple[Passage, ...] | None

    def digest(self) -> str:
        """A hash of the content (16 hex digits)."""
        content = hashlib.sha256()
        for item in chain(self.labelled, self.passages or ()):
            content.update(repr(item).encode("utf-8", "replace"))
        return content.hexdigest()[:16]


class Parts:
    """All parts of a run."""

    def __init__(self, settings: Settings, folder: RunFolder) -> None:
        self.settings = settings
        self.folder = folder
        self._models_of_task: dict[str, LLM] = {}

    @cached_property
    def built_in(self) -> BuiltInItems:
        """The task's built-in question sets."""
        w = self.settings.world
        return self.settings.task.built_in(
            w.seed, passages=w.passages, demonstrations=w.demonstrations, train=w.train, evaluation=w.evaluation
        )

    @cached_property
    def demonstrated(self) -> BuiltInItems:
        """The items that the expert demonstrates: the built-in ones, or the rows of `demonstrations.questions`."""
        rows = self._rows
        return self.built_in if rows is None else self.settings.task.demonstrable(rows.labelled, rows.passages)

    @property
    def world(self) -> World:
        """The built-in closed world of search_qa, for benchmarks."""
        assert isinstance(self.built_in, World)
        return self.built_in

    @cached_property
    def prompts(self) -> dict[str, StepPrompt]:
        """The prompts in use: those made from the user's rows, or the prompt files."""
        s = self.settings
        rows = () if s.agent.prompts or s.synthetic.per_label else self.labelled_rows
        made = s.task.prompts_of_rows(rows) if rows or (s.synthetic.per_label and not s.agent.prompts) else {}
        return made or self.settings.task.load_prompts(self._prompt_folder)

    @property
    def labelled_rows(self) -> tuple[LabelledQuestion, ...]:
        """The labelled rows of `demonstrations.questions`; none if it is not set."""
        return () if self._rows is None else self._rows.labelled

    @cached_property
    def _rows(self) -> QuestionSet | None:
        """The rows of `demonstrations.questions`, if it is set; those that the teacher wrote, if it writes some."""
        if self.settings.synthetic.per_label:
            return QuestionSet(tuple(written_rows(self.folder.stage(0, "synthetic"))), None)
        source = self.settings.demonstrations.questions
        if source is None:
            return None
        return self._sampled(source, source.open_with_chains(self.question_context))

    @property
    def _prompt_folder(self) -> Path:
        return Path(self.settings.agent.prompts or self.settings.task.packaged_prompts)

    def prompts_hash(self) -> str:
        """A hash of the text of all prompts in use."""
        improve = self.settings.improve
        unused = {BEST_OPTION} if improve.reward == "generate" else set()
        unused |= set() if improve.keep_trajectories == "judged_good" else {JUDGED_ANSWER}
        of_judges = [self._text(name) for name in self.settings.task.judge_prompts if name not in unused]
        if (rating := self.settings.task.rating_prompt()) is not None:
            of_judges.append(self._text(rating[0]))
        return prompts_hash(self.prompts, self.settings.task.closings.values(), of_judges)

    def grow_questions(self) -> QuestionSet:
        """The questions of Grow: `grow.questions` and the sets of `grow.also`. Ids of the latter start with the
        set's name."""
        grow = self.settings.grow
        sets = {"": self.questions(grow.questions, labelled=False)}
        sets |= {f"{name}-": self.questions(source, labelled=False) for name, source in grow.also.items()}
        found = [
            replace(item, question=replace(item.question, id=name + item.question.id))
            for name, one in sets.items()
            for item in one.labelled
        ]
        corpora = [one.passages for one in sets.values() if one.passages is not None]
        return QuestionSet(tuple(found), tuple(chain(*corpora)) if len(corpora) == len(sets) else None)

    def questions(self, source: Questions, *, labelled: bool = True) -> QuestionSet:
        """Reads a question set and draws its sample. With `labelled=False` rows may have no answers."""
        return self._sampled(source, source.open(self.question_context, labelled=labelled))

    @property
    def question_context(self) -> QuestionContext:
        """What the settings of a question set need to read it."""
        return QuestionContext(lambda: self.built_in, self.settings.world.seed, _corpus)

    def _sampled(self, source: Questions, opened: OpenedQuestions) -> QuestionSet:
        from rest_react.questions import sample

        found = opened.labelled
        if source.sample is not None:
            found = sample(found, source.sample, opened.sample_seed)
        return QuestionSet(tuple(found), opened.passages)

    def starting_model(self) -> ModelRef:
        """The weights before any training."""
        where: Literal["base", "hosted"] = "hosted" if self.settings.policy.tuned == "provider" else "base"
        return ModelRef(self.settings.policy.model, where, tuned=False)

    def llm(self, model: ModelRef) -> LLM:
        """A client of `model` with the settings of the policy."""
        return self._llm("policy", self.settings.policy, model)

    def expert(self) -> LLM:
        """The scripted expert that writes demonstrations, with the errors that the settings demand."""
        shown = self.settings.demonstrations
        shares = {"right": 1 - shown.mistakes, "wrong": shown.mistakes, "unparsable": 0.0, "empty": 0.0}
        return self.settings.task.scripted(self.demonstrated, seed=self.settings.seed, slip=shown.slip, **shares)

    def _scripted(self, *, slip: float = 0.0, **shares: Any) -> LLM:
        """A policy that knows the answers of the task's built-in questions."""
        return self.settings.task.scripted(self.built_in, seed=self.settings.seed, slip=slip, **shares)

    def reward_model(self) -> StepJudge | None:
        """The reward model; None if Improve does not use one."""
        improve = self.settings.improve
        if not asks_reward_model(self.settings):
            return None
        ranking, judged_good = self._text(RANKING), self._text(JUDGED_GOOD)
        if isinstance(self.settings.reward_model, TrainedModel):
            return TrainedJudge(self.judge_llm(read_model(self.folder.stage(0, "judge"))))
        judge = self._judge("reward_model", self.settings.reward_model)
        best_option = self._text(BEST_OPTION) if improve.reward == "options" else None
        judged_answer = self._text(JUDGED_ANSWER) if improve.keep_trajectories == "judged_good" else ""
        return RewardModel(judge, ranking, judged_good, improve.max_tokens, best_option, judged_answer)

    def teacher(self) -> tuple[LLM, str]:
        """The teacher that writes labelled texts, and its prompt."""
        assert self.settings.task.teacher_prompt is not None
        return self._judge("teacher", self.settings.teacher), self._text(self.settings.task.teacher_prompt)

    def judge_of_texts(self) -> RewardModel | None:
        """The reward model that drops synthetic texts which do not fit their label; None without one."""
        s = self.settings
        if not s.synthetic.judged:
            return None
        assert not isinstance(s.reward_model, TrainedModel)
        judge = self._judge("reward_model", s.reward_model)
        best_option = self._text(BEST_OPTION) if s.improve.reward == "options" else None
        return RewardModel(judge, "", self._text(JUDGED_GOOD), s.improve.max_tokens, best_option)

    def judge_llm(self, model: ModelRef) -> LLM:
        """The client of the trained judge, with the settings of the policy."""
        return self._llm("reward_model", self.settings.policy, model)

    def grader(self) -> Grader:
        """The grader."""
        settings = self.settings.grader
        if isinstance(settings, RuleGraderSettings):
            return RuleGrader()
        model = model_behind(settings, self.settings.policy)
        assert model is not None
        limit, judge, name = self.settings.evaluate.grader_max_tokens, self._judge("grader", settings), model.model
        if (rating := self.settings.task.rating_prompt()) is not None:
            template = self._text(rating[0])
            for mark, text in rating[1].items():
                template = template.replace(mark, text)
            return RatingGrader(judge, template, f"llm:{name}", limit)
        return LLMGrader(judge, self._text(AUTOEVAL), f"llm:{name}", max_tokens=limit)

    @property
    def grader_needs_room(self) -> bool:
        """Whether grader and policy both load weights on this machine, or on the same given servers, so that only one
        should be in memory."""
        policy = self.settings.policy
        grader = model_behind(self.settings.grader, policy)
        on_machine = grader is not None and grader.runs == policy.runs == "machine"
        return on_machine or (grader is policy and policy.runs == "server" and policy.tuned == "here")

    @property
    def prices(self) -> dict[str, Price]:
        """The price of the tokens of each role."""
        s = self.settings
        models = (model_behind(judge, s.policy) or s.policy for judge in (s.reward_model, s.grader, s.teacher))
        reward_model, grader, teacher = (model.price for model in models)
        tuning = s.finetune.training_price()
        roles = {role: model.price for role, model in s.task.models().items()} | {"teacher": teacher}
        return {"policy": s.policy.price, "reward_model": reward_model, "grader": grader, "finetune": tuning} | roles

    @cached_property
    def budget(self) -> Budget:
        """The budget, which counts what the run spends."""
        limits = self.settings.budget
        return Budget(self.prices, max_usd=limits.max_usd, max_tokens=limits.max_tokens)

    @cached_property
    def cache(self) -> Cache | None:
        """The cache of replies; None if the settings have none."""
        return Cache(Path(self.settings.cache)) if self.settings.cache else None

    def search(self, passages: Sequence[Passage] | None) -> Search:
        """The search engine: over `passages`, or on the web with the cache."""
        s = self.settings
        if self.cache is None or not s.search.asks_outside:
            return self._search(passages)
        pages = [s.agent.read_pages, s.agent.page_characters] if s.agent.read_pages else []
        return CachedSearch(None if s.replay else self._search(passages), client_name(s.search, *pages), self.cache)

    def closed_search(self, passages: Sequence[Passage]) -> Search:
        """BM25 over `passages`. Demonstrations of the built-in world always use it, whatever the settings search."""
        from rest_react.search.bm25 import Bm25Search

        return Bm25Search(passages, self.folder.root / "bm25")

    def _search(self, passages: Sequence[Passage] | None) -> Search:
        engine = self.settings.search.open(SearchContext(passages, self.folder.root / "bm25", _corpus))
        agent = self.settings.agent
        if not agent.read_pages:
            return engine
        return PageReader(engine, most=agent.read_pages, characters=agent.page_characters)

    def task(self, passages: Sequence[Passage] | None, *, filters: bool = False) -> Task:
        """The task, for rollouts on a question set with these passages."""
        return self._task(self.search(passages) if self.settings.task.searches else None, filters=filters)

    def demonstrated_task(self) -> Task:
        """The task for the rollouts of the scripted expert."""
        return self._task(self._demonstrated_search())

    def _demonstrated_search(self) -> Search | None:
        """What the expert searches: for a user's own rows the search engine of the run, so that they show its hits."""
        passages = self.demonstrated.passages
        if self.settings.demonstrations.questions is not None:
            return self.search(passages or None) if self.settings.task.searches else None
        return None if passages is None else self.closed_search(passages)

    async def left_out_demonstrations(self) -> Mapping[str, str]:
        """The ids of the questions that the expert cannot demonstrate, each with the reason."""
        if self.settings.demonstrations.questions is None:
            return {}
        return await self.settings.task.left_out(self.demonstrated, self._demonstrated_search(), self.settings.agent)

    def task_reader(self, *, filters: bool = False) -> Task:
        """The task for stored trajectories: it parses and verifies them and, with `filters`, says which may train."""
        return self._task(None, filters=filters)

    def _task(self, search: Search | None, *, filters: bool = False) -> Task:
        agent, improve = self.settings.agent, self.settings.improve
        prompts = StepPrompts(self.prompts, self.settings.task.closings, agent.exemplars)
        context = TaskContext(
            prompts, agent, search, open_model=self._model_of_task, items=lambda: self.built_in,
            run_folder=self.folder.root,
        )  # fmt: skip
        if filters:
            context = replace(context, only_grounded=improve.only_grounded, max_searches=improve.max_searches)
        return self.settings.task.open(context)

    def _model_of_task(self, role: str, settings: ModelSettings) -> LLM:
        """The client of a model that the task asks beside the policy, one for the whole run."""
        if role not in self._models_of_task:
            self._models_of_task[role] = self._llm(role, settings, ModelRef(settings.model, "base", tuned=False))
        return self._models_of_task[role]

    async def close_models_of_task(self) -> None:
        """Frees the memory and connections of the task's own models; a later call opens them again."""
        for llm in self._models_of_task.values():
            await llm.aclose()

    def baselines(self) -> Iterator[tuple[str, Task, Policy]]:
        """Each baseline of the task with the policy that answers for it, to be closed after use. The untuned policy is
        asked with its prompts, whatever `agent.exemplars` says."""
        rows, task, s = self.labelled_rows, self.settings.task, self.settings
        for name in task.baseline_names() if rows else ():
            llm = task.baseline(name, rows)
            made = task.prompts_of_rows(rows, shots=task.baseline_shots(name))
            context = TaskContext(StepPrompts(made or self.prompts, task.closings, "always"), s.agent)
            asked = self.llm(self.starting_model()) if llm is None else llm
            policy = self.policy(asked, samples=s.evaluate.samples, temperature=s.evaluate.temperature, tuned=False)
            yield name, task.open(context), policy

    def policy(self, llm: LLM, *, samples: int, temperature: float, tuned: bool) -> Policy:
        """The policy: a client with how rollouts sample it."""
        a = self.settings.agent
        return Policy(llm, samples, temperature, a.max_tokens, a.select, tuned)

    def rules(self) -> Rules:
        """The settings of Improve."""
        s = self.settings.improve
        return Rules(
            s.selector,
            s.keep,
            s.max_examples,
            s.tolerate_outside_faults,
            s.keep_trajectories,
            s.rejected_trajectories,
            s.equal_steps,
        )

    def trainer(self, iteration: int, stage: str = "finetune") -> Trainer:
        """The trainer, with the number of epochs of the iteration. `stage` is its name in the progress."""
        mode, template_kwargs = self.settings.policy.trained_as()
        context = TrainingContext(
            mode,
            template_kwargs,
            self.folder.root,
            f"iteration {iteration}: {stage}",
            Meter(self.budget, "finetune"),
            iteration=iteration,
        )
        return self.settings.finetune.open(context, self.settings.demonstrations.epochs if iteration == 0 else None)

    def tracker(
        self, iteration: int, config: Mapping[str, object], mode: Literal["none", "offline", "online"]
    ) -> Tracker:
        """The experiment tracker of one iteration."""
        from rest_react.reporting.tracking.open_tracker import open_tracker

        tracking = self.settings.tracking
        return open_tracker(
            tracking.kind, self.folder.root, mode,
            run=self.settings.run, iteration=iteration, config=config, project=tracking.project,
        )  # fmt: skip

    def _text(self, name: str) -> str:
        path = self._prompt_folder / name
        if not path.exists():
            path = self.settings.task.packaged_prompts / name
        return path.read_text(encoding="utf-8")

    def _judge(self, role: str, settings: ModelSettings | SameModel) -> LLM:
        if not isinstance(settings, SameModel):
            return self._llm(role, settings, ModelRef(settings.model, "base", tuned=False))
        return self._llm(role, self.settings.policy, self.starting_model(), mode=settings.mode)

    def _llm(self, role: str, settings: ModelSettings, model: ModelRef, mode: Mode | None = None) -> LLM:
        """The client of a model, with the cache if there is one. The scripted policy is never cached."""
        weights = str(self.folder.root / model.name) if model.where == "local" else model.name
        cached = self.cache is not None and settings.runs != "script"
        client = None if cached and self.settings.replay else self._client(role, settings, model, weights, mode)
        if self.cache is None or not cached:
            assert client is not None
            return client
        return CachedLLM(client, client_name(settings, mode, weights=weights), self.cache)

    def _client(self, role: str, settings: ModelSettings, model: ModelRef, weights: str, mode: Mode | None) -> LLM:
        context = ModelContext(
            weights, model, self.folder.root, self._scripted,
            Meter(self.budget, role), self._names(role, settings),
        )  # fmt: skip
        return (settings if mode is None else settings.in_mode(mode)).open(context)

    def _names(self, role: str, settings: ModelSettings) -> SettingNames:
        """The names of a role's settings, for messages. For a judge that is `same`, those of the policy."""
        block = "policy" if settings is self.settings.policy else role
        return SettingNames(block, _MAX_TOKENS.get(role, "agent.max_tokens"))


def _corpus(path: str) -> tuple[Passage, ...]:
    """The passages of a file. Raises ConfigError if no passage has a word that BM25 can search."""
    from rest_react.questions import read_corpus
    from rest_react.search.word_tokenizer import passage_words

    passages = tuple(read_corpus(Path(path)))
    if not any(passage_words(passage.title, passage.text) for passage in passages):
        raise ConfigError([f"{path}: no passage contains a searchable word; check that it is the right file"])
    return passages
