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
from rest_react.setting_types import Count, Mode, Name, NotNegative, Positive, Share, Temperature
from rest_react.tasks import TaskSettings
from rest_react.tasks.search_qa.scripted import ScriptedModel
from rest_react.tasks.search_qa.world import WorldQuestions, WorldSettings
from rest_react.training import Finetune


@dataclass(frozen=True, slots=True)
class SameModel:
    """The policy's own starting weights, untuned, in another role."""

    kind: Literal["same"]
    mode: Mode


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
class AgentSettings:
    """The Search Agent's rules (paper sections 2 and 3)."""

    max_searches: Count
    hits_per_search: Count
    select: Literal["verified", "perplexity", "majority", "first"]
    max_tokens: Count
    self_checks: bool
    on_failed_check: Literal["revise", "research"]
    max_research_rounds: NotNegative
    prompts: str | None
    exemplars: Literal["untuned", "always", "never"]


@dataclass(frozen=True, slots=True)
class DemonstrationSettings:
    """What an untrained small model is shown first: a scripted expert's walks, and the prompts' exemplars as steps."""

    slip: Share
    mistakes: Share
    exemplars: bool
    epochs: Positive | None


@dataclass(frozen=True, slots=True)
class GrowSettings:
    """Grow: trajectories over a fixed question set (paper section 3.3)."""

    questions: Annotated[Questions, BY_KIND]
    also: dict[str, Annotated[Questions, BY_KIND]]
    allow_overlap: tuple[str, ...]
    reuse: str | None
    reuse_through: NotNegative
    trajectories_per_question: Count
    samples: Count
    temperature: Temperature
    tolerate_outside_faults: Share


@dataclass(frozen=True, slots=True)
class ImproveSettings:
    """Improve: which sample becomes each step's training target, and which steps are kept (paper section 3.5)."""

    selector: Literal["reward_model", "verified", "perplexity", "majority", "random"]
    keep: Literal["all", "verified", "judged_good"]
    only_grounded: bool
    max_searches: Count | None
    max_examples: Count | None
    max_tokens: Count
    tolerate_outside_faults: Share


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """Evaluate: benchmarks by name, each asked `repeats` times (paper section 4)."""

    benchmarks: dict[str, Annotated[Questions, BY_KIND]]
    repeats: Count
    samples: Count
    temperature: Temperature
    grader_max_tokens: Count
    tolerate_outside_faults: Share


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """Where metrics go besides the run folder."""

    kind: Literal["none", "wandb"]
    mode: Literal["offline", "online"]
    project: Name


@dataclass(frozen=True, slots=True)
class Student:
    """A model tuned on this run's data, and how it is sampled when it is evaluated: null is as in `evaluate`. (It has
    defaults, since a name alone will do.)"""

    model: Name
    samples: Count | None = None
    temperature: Temperature | None = None

    @property
    def name(self) -> str:
        """What its run is called after the run that it learns from."""
        return self.model.rstrip("/").rpartition("/")[2]


def _student_by_name(given: object) -> object:
    return given if isinstance(given, Mapping) else {"model": given}


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """What a run may spend at most, all models and commands together; null is without limit."""

    max_usd: Positive | None
    max_tokens: Count | None


@dataclass(frozen=True, slots=True)
class SpeedSettings:
    """Tokens per second on this machine, for the estimate at the start and `dry_run`; null: measured or unknown."""

    prefill: float | None
    decode: float | None
    train: float | None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs to know."""

    run: Annotated[str, MinLen(1)]
    iteration: Annotated[int, Ge(0), Le(100)]
    seed: int
    learning_seed: int | None
    students: tuple[Annotated[Student, BeforeValidator(_student_by_name)], ...]
    start: Literal["demonstrations", "prompted"]
    smoke: bool
    dry_run: bool
    output: Name
    cache: str | None
    replay: bool
    budget: BudgetSettings
    data: str | None
    evaluate_data: str | None
    task: Annotated[TaskSettings, BY_KIND]
    policy: Annotated[Model, BY_KIND]
    reward_model: Annotated[RewardModel, BY_KIND]
    grader: Annotated[Grader, BY_KIND]
    search: Annotated[SearchEngine, BY_KIND]
    world: WorldSettings
    agent: AgentSettings
    demonstrations: DemonstrationSettings
    grow: GrowSettings
    improve: ImproveSettings
    finetune: Annotated[Finetune, BY_KIND]
    evaluate: EvaluateSettings
    tracking: TrackingSettings
    speed: SpeedSettings
