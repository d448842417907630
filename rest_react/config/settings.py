"""What can be set: the run's own settings, and those of its parts, which stand beside the parts.

`kind` tells the members of a union apart (`policy.kind: transformers | openai | ...`): `llm`, `search`, `questions` and
`training` name theirs; the scripted policy and the built-in world belong to the task. Settings are frozen dataclasses
without defaults; values are in configs/*.yaml, each once. A key never enters a setting: `api_key_env` names the
environment variable that a client reads by itself.
Not here: reading settings (load), combinations that cannot work (checks), and opening parts (build).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Le, MinLen
from pydantic import BeforeValidator, Field

from rest_react.judges.grader import RuleGraderSettings
from rest_react.llm import LanguageModel
from rest_react.questions import QuestionSource
from rest_react.search import SearchEngine
from rest_react.selection.selectors import SelectorName
from rest_react.setting_types import Count, Mode, Name, NotNegative, Positive, Share, Temperature
from rest_react.tasks import ChosenTask
from rest_react.tasks.agent_settings import AgentSettings
from rest_react.tasks.search_qa.scripted import ScriptedModel
from rest_react.tasks.search_qa.world import WorldQuestions, WorldSettings
from rest_react.training import Finetune


@dataclass(frozen=True, slots=True)
class SameModel:
    """The policy's own starting weights, untuned, in another role."""

    kind: Literal["same"]
    mode: Mode  # chat: through the model's chat template; completion: one text


Model: TypeAlias = LanguageModel | ScriptedModel
RewardModel: TypeAlias = Model | SameModel
Grader: TypeAlias = Model | SameModel | RuleGraderSettings
Questions: TypeAlias = QuestionSource | WorldQuestions
BY_KIND = Field(discriminator="kind")


def model_behind(judge: Grader, policy: Model) -> Model | None:
    """The model that a judge asks: the policy's where it is the `same`; None where a rule judges."""
    if isinstance(judge, SameModel):
        return policy
    return None if isinstance(judge, RuleGraderSettings) else judge


@dataclass(frozen=True, slots=True)
class DemonstrationSettings:
    """What an untrained small model learns first: a scripted expert's trajectories, and the prompts' exemplars as
    steps."""

    slip: Share  # how often the expert first asks a poor query or drafts a flawed answer, to show the repair
    mistakes: Share  # how often the expert is wrong without noticing; such steps are imitated too
    exemplars: bool  # the prompts' exemplars as training steps too
    epochs: Positive | None  # over the demonstrations in iteration 0; null: finetune.epochs


@dataclass(frozen=True, slots=True)
class GrowSettings:
    """Grow: trajectories over a fixed question set (paper section 3.3)."""

    questions: Annotated[Questions, BY_KIND]  # the question set
    also: dict[str, Annotated[Questions, BY_KIND]]  # more question sets by name
    allow_overlap: tuple[str, ...]  # benchmarks whose questions may be grown on; other overlap is refused
    reuse: str | None  # a finished run; its stages that would be the same here are reused (docs/ablations.md)
    # iterations of that run up to this one are reused whole, whatever the settings of the loop
    reuse_through: NotNegative
    trajectories_per_question: Count  # how often each question is asked
    samples: Count  # of each step
    temperature: Temperature  # of the samples
    tolerate_outside_faults: Share  # the share of trajectories that may fail because of external errors


@dataclass(frozen=True, slots=True)
class ImproveSettings:
    """Improve: which sample becomes each step's training target, and which steps are kept (paper section 3.5)."""

    # which sample becomes the target: by a reward model (the paper), the likeliest that violates no rule, the
    # likeliest, the most frequent, or a random one
    selector: SelectorName
    # which steps train: all, those that violate no rule (built-in world only), or those that the reward model
    # calls good
    keep: Literal["all", "verified", "judged_good"]
    only_grounded: bool  # drop trajectories whose grounding check did not pass
    max_searches: Count | None  # drop trajectories with more searches; null: keep them
    max_examples: Count | None  # train on so many, drawn at random; null: all
    max_tokens: Count  # of the reward model's reply, its explanation first
    tolerate_outside_faults: Share  # the share of rankings that may fail because of external errors


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """Evaluate: benchmarks by name, each asked `repeats` times (paper section 4)."""

    benchmarks: dict[str, Annotated[Questions, BY_KIND]]  # question sets by name
    repeats: Count  # how often each question is asked
    samples: Count  # of each step
    temperature: Temperature  # of the samples
    grader_max_tokens: Count  # of a grading model's reply; one that thinks first needs more
    tolerate_outside_faults: Share  # the share of answers that may fail because of external errors


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """Where metrics go besides the run folder."""

    kind: Literal["none", "wandb"]
    mode: Literal["offline", "online"]  # offline: files in the run's folder, to send later
    project: Name  # the project's name in Weights & Biases


@dataclass(frozen=True, slots=True)
class Student:
    """A model tuned on this run's data, and how it is sampled when it is evaluated: null is as in `evaluate`. (It has
    defaults, since a name alone will do.)"""

    model: Name  # a Hub id or a folder
    samples: Count | None = None  # of each step when it is evaluated; null: evaluate.samples
    temperature: Temperature | None = None  # of these samples; null: evaluate.temperature

    @property
    def name(self) -> str:
        """What its run is called after the run that it learns from."""
        return self.model.rstrip("/").rpartition("/")[2]


def _student_by_name(given: object) -> object:
    return given if isinstance(given, Mapping) else {"model": given}


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """What a run may spend at most, all models and commands together; null is without limit."""

    max_usd: Positive | None  # US dollars; needs every price; null: no limit
    max_tokens: Count | None  # tokens in and out; null: no limit


@dataclass(frozen=True, slots=True)
class SpeedSettings:
    """Tokens per second on this machine, for the estimate at the start and `dry_run`; null: measured or unknown."""

    prefill: float | None  # tokens that the policy reads per second
    decode: float | None  # tokens that the policy writes per second, all sequences together
    train: float | None  # tokens trained on per second


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs to know."""

    run: Annotated[str, MinLen(1)]  # the name of the run's folder under `output`; the same name again resumes
    iteration: Annotated[int, Ge(0), Le(100)]  # bring the run to it; 0 is the starting policy
    seed: int  # all other seeds are derived from it
    learning_seed: int | None  # of Improve and fine-tuning from iteration 1 on, to repeat these alone; null: seed
    # distillation: models tuned on this run's data afterwards, each in a run `<run>_<student>`
    students: tuple[Annotated[Student, BeforeValidator(_student_by_name)], ...]
    # prompted: no training before iteration 1, for models that can follow the prompts
    start: Literal["demonstrations", "prompted"]
    smoke: bool  # marks every report as a smoke run
    dry_run: bool  # predict calls, tokens, minutes and money of each stage, and stop
    output: Name  # the folder that holds the runs
    # a folder that keeps answers of models and web searches, so that none is paid for twice; null: none
    cache: str | None
    replay: bool  # ask no model and no web search, only the cache
    budget: BudgetSettings  # see below
    data: str | None  # for experiment=local_corpus: a folder with questions.jsonl and corpus.jsonl for Grow
    evaluate_data: str | None  # the same for Evaluate
    task: Annotated[ChosenTask, BY_KIND]  # what the model is asked to do: see Tasks
    policy: Annotated[Model, BY_KIND]  # the model that is tuned: see Models
    reward_model: Annotated[RewardModel, BY_KIND]  # ranks samples in Improve: see Models, or the policy itself (same)
    # grades answers: see Models, the policy itself (same), or the rule grader (rule)
    grader: Annotated[Grader, BY_KIND]
    search: Annotated[SearchEngine, BY_KIND]  # see Search engines
    world: WorldSettings  # see below
    agent: AgentSettings  # see below
    demonstrations: DemonstrationSettings  # see below
    grow: GrowSettings  # see below
    improve: ImproveSettings  # see below
    finetune: Annotated[Finetune, BY_KIND]  # see Trainers
    evaluate: EvaluateSettings  # see below
    tracking: TrackingSettings  # see below
    speed: SpeedSettings  # see below
