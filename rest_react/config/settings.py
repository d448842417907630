"""What can be set: plain frozen dataclasses without defaults; values live in configs/*.yaml, each fact once.

`kind` tells the members of a union apart (`policy.kind: transformers | openai | ...`). A key never enters a setting:
`api_key_env` names the environment variable that a door reads by itself.
Not here: reading and checking (config), and building parts (build).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Interval, Le, MinLen
from pydantic import BeforeValidator, Field

from rest_react.metrics.costs import Price
from rest_react.setting_types import Count, Mode, Name, NotNegative, Positive, Share, SystemTurn, Temperature
from rest_react.tasks import TaskSettings
from rest_react.training import Finetune


@dataclass(frozen=True, slots=True)
class TransformersModel:
    """Weights in this process, on the CPU or one GPU, batched by transformers' continuous batching."""

    kind: Literal["transformers"]
    model: Name
    mode: Mode
    chat_template_kwargs: dict[str, object]
    dtype: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda"]
    threads: NotNegative
    cache_tokens: Count
    batch_requests: Count
    batch_tokens: Count
    in_flight: Count
    price: Price


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """Any OpenAI-compatible endpoint."""

    kind: Literal["openai"]
    model: Name
    mode: Mode
    system_turn: SystemTurn
    chat_template_kwargs: dict[str, object]
    base_url: str | None
    api_key_env: str | None
    logprobs: bool
    n_per_request: bool
    token_limit: Literal["max_tokens", "max_completion_tokens"]
    omit: tuple[Literal["temperature", "seed", "stop"], ...]
    extra_body: dict[str, object]
    requests_per_minute: float | None
    tokens_per_minute: float | None
    in_flight: Count
    timeout_s: Positive
    tries: Count
    price: Price


@dataclass(frozen=True, slots=True)
class VllmModel:
    """`vllm serve`, started and stopped by the run; `command` may live in an environment of its own."""

    kind: Literal["vllm"]
    model: Name
    mode: Mode
    system_turn: SystemTurn
    chat_template_kwargs: dict[str, object]
    command: tuple[str, ...]
    max_model_len: Count | None
    extra_args: tuple[str, ...]
    port: Annotated[int, Interval(ge=0, le=65535)]
    start_timeout_s: Positive
    in_flight: Count
    timeout_s: Positive
    tries: Count
    price: Price


@dataclass(frozen=True, slots=True)
class GeminiModel:
    """Gemini through google-genai."""

    kind: Literal["gemini"]
    model: Name
    api_key_env: str
    logprobs: bool
    thinking_budget: Annotated[int, Ge(-1)] | None
    requests_per_minute: float | None
    tokens_per_minute: float | None
    in_flight: Count
    timeout_s: Positive
    tries: Count
    price: Price


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """The scripted policy: no model at all; shares of right, wrong, unparsable and empty samples."""

    kind: Literal["scripted"]
    model: Name
    right: Share
    wrong: Share
    unparsable: Share
    empty: Share
    in_flight: Count
    price: Price


@dataclass(frozen=True, slots=True)
class SameModel:
    """The policy's own starting weights, untuned, in another role."""

    kind: Literal["same"]
    mode: Mode


@dataclass(frozen=True, slots=True)
class RuleGraderSettings:
    """The grader that needs no model."""

    kind: Literal["rule"]


Model: TypeAlias = TransformersModel | OpenAIModel | VllmModel | GeminiModel | ScriptedModel
RewardModel: TypeAlias = Model | SameModel
Grader: TypeAlias = Model | SameModel | RuleGraderSettings
BY_KIND = Field(discriminator="kind")


@dataclass(frozen=True, slots=True)
class Bm25:
    """BM25 over `corpus`: a JSONL file, or `questions` for the corpus that came with the question set."""

    kind: Literal["bm25"]
    corpus: Name


@dataclass(frozen=True, slots=True)
class DuckDuckGo:
    """The web, through ddgs with one fixed backend."""

    kind: Literal["duckduckgo"]
    backend: Name
    region: Name
    requests_per_minute: Positive
    timeout_s: Positive
    tries: Count


@dataclass(frozen=True, slots=True)
class HttpSearch:
    """A retrieval server that answers POST /retrieve."""

    kind: Literal["http"]
    url: Name
    in_flight: Count
    timeout_s: Positive
    tries: Count


SearchEngine: TypeAlias = Bm25 | DuckDuckGo | HttpSearch


@dataclass(frozen=True, slots=True)
class WorldQuestions:
    """Questions of the built-in closed world."""

    kind: Literal["world"]
    split: Literal["demonstrations", "train", "evaluation"]
    sample: Count | None


@dataclass(frozen=True, slots=True)
class FileQuestions:
    """A file of questions; `fields` maps our names to its columns, `corpus` is the file of its passages."""

    kind: Literal["file"]
    path: Name
    corpus: str | None
    fields: dict[str, str]
    sample: Count | None
    seed: int


@dataclass(frozen=True, slots=True)
class HubQuestions:
    """A data set on the Hub, at a pinned revision, or one file at a URL."""

    kind: Literal["hub"]
    name: Name
    config: str | None
    split: Name
    revision: Name
    fields: dict[str, str]
    sample: Count | None
    seed: int


QuestionSource: TypeAlias = WorldQuestions | FileQuestions | HubQuestions


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """Size of the built-in world."""

    seed: int
    passages: Annotated[int, Interval(ge=10, le=100_000)]
    demonstrations: NotNegative
    train: NotNegative
    evaluation: NotNegative


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

    questions: Annotated[QuestionSource, BY_KIND]
    also: dict[str, Annotated[QuestionSource, BY_KIND]]
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

    benchmarks: dict[str, Annotated[QuestionSource, BY_KIND]]
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
