"""All settings: those of the run, and those of its parts, which are defined beside the parts.

    settings.agent.max_searches        # agent.max_searches=5

`kind` selects the member of a union (`policy.kind: transformers | openai | ...`). `llm`, `search`, `questions`,
`training` and `tasks` define their unions; the scripted policy and the built-in world belong to the task search_qa.
Settings are frozen dataclasses without defaults; each value is in one file of configs/. No setting contains an API key:
`api_key_env` is the name of the environment variable that the client reads.
Not here: reading settings (config.load), impossible combinations (config.checks), and opening parts (build).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Le, MinLen
from pydantic import BeforeValidator, Field

from rest_react.judges.grader import RuleGraderSettings
from rest_react.llm import LanguageModel
from rest_react.metrics.prices import Price
from rest_react.questions import QuestionSource
from rest_react.reporting.tracking.trackers import Kind
from rest_react.search import SearchEngine
from rest_react.selection.good_steps import RejectedTrajectories
from rest_react.selection.selectors import SelectorName
from rest_react.selection.trajectory_filters import ASK_REWARD_MODEL, KeepTrajectories
from rest_react.setting_types import Count, Mode, Name, NotNegative, Positive, Share, Temperature
from rest_react.stages.synthesise import SyntheticSettings
from rest_react.tasks import ChosenTask
from rest_react.tasks.agent_settings import AgentSettings
from rest_react.tasks.search_qa.scripted import ScriptedModel
from rest_react.tasks.search_qa.world import WorldQuestions, WorldSettings
from rest_react.tasks.tool_maker.items import ToolQuestions
from rest_react.training import Finetune


@dataclass(frozen=True, slots=True)
class SameModel:
    """The untuned weights of the policy, used as a judge."""

    kind: Literal["same"]
    mode: Mode  # chat: through the model's chat template; completion: one text


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A judge that the run trains on its demonstrations: of steps, to tell them from worse outputs for the same states,
    or with improve.keep_trajectories=judged_good or judged_better of answers, on the outcomes of the policy on the
    demonstrated questions. `improve.reward` has no effect on it."""

    kind: Literal["trained"]
    # policy: the policy of iteration 0, tuned further; base: the untuned weights, which have not seen the held-out
    # demonstrations
    start_from: Literal["policy", "base"]
    # of steps:
    samples: Count  # of the policy at each state of the demonstrations; those with another decision count as worse
    corruptions: Count  # at most so many versions of each demonstrated output with an error
    # of answers:
    folds: Annotated[int, Ge(2)]  # a demonstrated question is answered by a policy that was tuned on the other folds
    repeats: Count  # how often each question is answered
    epochs: Positive  # passes over these answers
    # of both:
    held_out: Share  # the share of demonstrated questions on which its accuracy is measured


Model: TypeAlias = LanguageModel | ScriptedModel
RewardModel: TypeAlias = Model | SameModel | TrainedModel
Grader: TypeAlias = Model | SameModel | RuleGraderSettings
Teacher: TypeAlias = Model | SameModel
Questions: TypeAlias = QuestionSource | WorldQuestions | ToolQuestions
BY_KIND = Field(discriminator="kind")


def model_behind(judge: Grader | TrainedModel, policy: Model) -> Model | None:
    """The model of a judge: that of the policy if the judge is `same` or `trained`; None for the rule grader."""
    if isinstance(judge, (SameModel, TrainedModel)):
        return policy
    return None if isinstance(judge, RuleGraderSettings) else judge


@dataclass(frozen=True, slots=True)
class DemonstrationSettings:
    """The demonstrations on which a small model is trained first: trajectories of a scripted expert, and the
    exemplars of the prompts."""

    questions: Annotated[Questions, BY_KIND] | None  # labelled rows of your own; null: the built-in ones
    slip: Share  # how often the expert makes an error first (a poor query, a flawed draft) and then corrects it
    mistakes: Share  # how often the expert makes an error without correcting it; these steps train too
    exemplars: bool  # also train on the exemplars of the prompts
    epochs: Positive | None  # epochs over the demonstrations in iteration 0; null: finetune.epochs
    learning_rate: Positive | None  # of iteration 0; null: finetune.learning_rate
    batch_size: Count | None  # of iteration 0; null: finetune.batch_size


@dataclass(frozen=True, slots=True)
class GrowSettings:
    """Grow: trajectories over a fixed question set (paper section 3.3)."""

    questions: Annotated[Questions, BY_KIND]  # the question set
    also: dict[str, Annotated[Questions, BY_KIND]]  # more question sets by name
    allow_overlap: tuple[str, ...]  # benchmarks whose questions may be used in Grow; other overlap is refused
    reuse: str | None  # a complete run; stages that would be the same are reused from it (docs/ablations.md)
    # iterations of that run up to this one are reused, whatever their settings
    reuse_through: NotNegative
    trajectories_per_question: Count  # how often each question is asked
    samples: Count  # of each step
    temperature: Temperature  # of the samples
    tolerate_outside_faults: Share  # the share of trajectories that may fail because of external errors


@dataclass(frozen=True, slots=True)
class ImproveSettings:
    """Improve: which sample becomes each step's training target, and which steps are kept (paper section 3.5)."""

    # which sample becomes the target: the reward model's choice (the paper), the one with the lowest perplexity that
    # violates no rule, the one with the lowest perplexity, the most frequent, or a random one
    selector: SelectorName
    # which steps train: all; those that violate no rule of the task's verifier (search_qa: valid in the built-in world
    # only), of trajectories whose answer violates none; or those that the reward model judges good
    keep: Literal["all", "verified", "judged_good"]
    # which trajectories train. all. agreeing: with the most frequent answer of their question. agreeing_in_band: these,
    # where not all agree. cross_fitted: with an answer that trajectories by other documents confirm. reconstructable:
    # from whose selected passages the question could be reconstructed. supported: with the answer in a selected
    # passage. corroborated: all of agreeing, supported and reconstructable. judged_good: whose answer the reward model
    # judges right, by the question and the cited snippets alone. judged_better: the half whose answers it scores best.
    # reader_agrees: whose answer the reward model gives too, from the question and the selected passages alone.
    # reader_and_judge: both of these. cycle_consistent: whose selected passages make the question at least as likely
    # to it as those of the question's trajectories do on average. evidence_needed: whose selected passages make the
    # answer likelier to it
    keep_trajectories: KeepTrajectories
    # of these only this share of all finished trajectories, those with the lowest mean perplexity of their chosen
    # samples; null: all
    likeliest: Share | None
    # what trains of the others: nothing, or the searches and selections that a kept trajectory of the question made too
    rejected_trajectories: RejectedTrajectories
    # how the reward model answers: it scores the letters of the candidates, and yes and no, without writing; or it
    # writes its ranking (the paper), which a small model cannot
    reward: Literal["options", "generate"]
    equal_steps: Literal["keep", "drop"]  # drop leaves out steps all of whose samples stand for the same action
    only_grounded: bool  # drop trajectories whose grounding check did not pass
    max_searches: Count | None  # drop trajectories with more searches; null: keep them
    # drop trajectories that selected fewer different passages: 2 where every question needs two; null: keep them
    min_passages: Count | None
    # number of examples to train on, drawn at random; null: all; 0: none, iterations train on the demonstrations alone,
    # without Grow and Improve (the restart control of docs/ablations.md)
    max_examples: NotNegative | None
    max_tokens: Count  # of the reward model's reply, including its explanation
    tolerate_outside_faults: Share  # the share of rankings that may fail because of external errors


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """Evaluate: benchmarks by name, each asked `repeats` times (paper section 4)."""

    benchmarks: dict[str, Annotated[Questions, BY_KIND]]  # question sets by name
    # the benchmark whose labels choose one of the models of each training (finetune.snapshots); null: the last one
    choose_by: str | None
    repeats: Count  # how often each question is asked
    samples: Count  # of each step
    temperature: Temperature  # of the samples
    grader_max_tokens: Count  # of the grader's reply; a reasoning model needs more
    tolerate_outside_faults: Share  # the share of answers that may fail because of external errors


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """The experiment tracker to which metrics are logged."""

    kind: Kind
    mode: Literal["offline", "online"]  # offline: files on this machine (of Weights & Biases, to send later)
    project: Name  # the project's name in Weights & Biases and Trackio, the experiment's in MLflow


@dataclass(frozen=True, slots=True)
class Student:
    """A model tuned on the data of this run, and how it is sampled in evaluation. Has defaults, because a name is
    enough."""

    model: Name  # a Hub id or a folder
    samples: Count | None = None  # of each step in evaluation; null: evaluate.samples
    temperature: Temperature | None = None  # of these samples; null: evaluate.temperature
    # US dollars per million tokens; null: unknown, but that of the policy where it runs on this machine
    price: Price | None = None

    @property
    def name(self) -> str:
        """The last part of the name of its run, `<run>_<name>`."""
        return self.model.rstrip("/").rpartition("/")[2]


def _student_by_name(given: object) -> object:
    return given if isinstance(given, Mapping) else {"model": given}


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """Limits on the spending of a run, over all models and commands; null: no limit. The run of each student has the
    same limits again, for itself."""

    max_usd: Positive | None  # US dollars; all prices must be set; null: no limit
    max_tokens: Count | None  # tokens in and out; null: no limit


@dataclass(frozen=True, slots=True)
class SpeedSettings:
    """Tokens per second of this machine, for the estimate at the start and `dry_run`; null: measured or unknown."""

    prefill: Positive | None  # tokens that the policy reads per second
    decode: Positive | None  # tokens that the policy writes per second, all sequences together
    train: Positive | None  # tokens trained on per second


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run."""

    run: Annotated[str, MinLen(1)]  # the name of the run's folder in `output`; the same name resumes the run
    iteration: Annotated[int, Ge(0), Le(100)]  # the last iteration to run; 0 is the starting policy
    seed: int  # all other seeds are derived from it
    learning_seed: int | None  # seed of Improve and fine-tuning from iteration 1 on; null: seed
    # distillation: models tuned afterwards on the data of this run, each in a run `<run>_<student>`
    students: tuple[Annotated[Student, BeforeValidator(_student_by_name)], ...]
    # prompted: no training before iteration 1, for models that can follow the prompts
    start: Literal["demonstrations", "prompted"]
    smoke: bool  # marks every report as a smoke run
    dry_run: bool  # print a forecast (calls, tokens, minutes, dollars of each stage) and stop
    output: Name  # the folder of the run folders
    # a folder that caches replies of models and web searches, so that none is paid for twice; null: none
    cache: str | None
    replay: bool  # use only cached replies, without any request to a model or the web
    budget: BudgetSettings  # see below
    data: str | None  # a folder with your data: questions.jsonl and corpus.jsonl, or files train and validation
    evaluate_data: str | None  # the same for Evaluate
    task: Annotated[ChosenTask, BY_KIND]  # what the model is asked to do: see Tasks
    policy: Annotated[Model, BY_KIND]  # the model that is tuned: see Models
    # ranks samples in Improve: see Models, or the policy itself, untuned (same) or tuned to judge (trained)
    reward_model: Annotated[RewardModel, BY_KIND]
    # grades answers: see Models, the policy itself (same), or the rule grader (rule)
    grader: Annotated[Grader, BY_KIND]
    # writes labelled texts, if synthetic.n is set: see Models, or the policy itself (same)
    teacher: Annotated[Teacher, BY_KIND]
    search: Annotated[SearchEngine, BY_KIND]  # see Search engines
    world: WorldSettings  # see below
    agent: AgentSettings  # see below
    demonstrations: DemonstrationSettings  # see below
    synthetic: SyntheticSettings  # see below
    grow: GrowSettings  # see below
    improve: ImproveSettings  # see below
    finetune: Annotated[Finetune, BY_KIND]  # see Trainers
    evaluate: EvaluateSettings  # see below
    tracking: TrackingSettings  # see below
    speed: SpeedSettings  # see below


def asks_reward_model(s: Settings) -> bool:
    """Whether Improve asks the reward model. Without examples (the restart control) there is no Improve."""
    improve = s.improve
    if improve.max_examples == 0:
        return False
    about_trajectories = improve.keep_trajectories in ASK_REWARD_MODEL
    return improve.selector == "reward_model" or improve.keep == "judged_good" or about_trajectories
