"""Opens the clients of models, all with one budget and one cache.

    models = Models(settings, folder, lambda: question_sets.built_in)
    llm = models.open("policy", settings.policy, ModelRef("Qwen/Qwen2.5-7B-Instruct", "base", tuned=False))

Not here: which model has which role in a run (parts, judges), and the clients (llm).
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from rest_react.config.settings import SameModel, Settings, model_behind
from rest_react.llm.model_settings import ModelContext, ModelSettings
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.questions.question_settings import BuiltInItems
from rest_react.records import ModelRef
from rest_react.remote.budget import Budget, Meter
from rest_react.remote.cache import Cache, CachedLLM, client_name
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.setting_types import Mode
from rest_react.storage.run_folder import RunFolder
from rest_react.weights.embedded import EMBEDDED, embedded_source

_MAX_TOKENS = {
    "policy": "agent.max_tokens", "reward_model": "improve.max_tokens", "grader": "evaluate.grader_max_tokens",
    "task.maker": "task.maker_max_tokens",
    "teacher": "synthetic.max_tokens",
}  # fmt: skip


class Models:
    """The clients of the models of a run."""

    def __init__(self, settings: Settings, folder: RunFolder, built_in: Callable[[], BuiltInItems]) -> None:
        self.settings = settings
        self.folder = folder
        self._built_in = built_in
        self._of_task: dict[str, LLM] = {}

    def open(self, role: str, settings: ModelSettings, model: ModelRef, mode: Mode | None = None) -> LLM:
        """The client of a model, with the cache if there is one. The scripted policy is never cached."""
        weights = str(self.folder.root / model.name) if model.where == "local" else model.name
        cached = self.cache is not None and settings.runs != "script"
        client = None if cached and self.settings.replay else self._client(role, settings, model, weights, mode)
        if self.cache is None or not cached:
            assert client is not None
            return client
        named = f"{weights} from the Hub" if weights == EMBEDDED and embedded_source() == "hub" else weights
        return CachedLLM(client, client_name(settings, mode, weights=named), self.cache)

    def judge(self, role: str, settings: ModelSettings | SameModel) -> LLM:
        """The client of a judge; `same` is the policy's own model, untuned."""
        if not isinstance(settings, SameModel):
            return self.open(role, settings, ModelRef(settings.model, "base", tuned=False))
        return self.open(role, self.settings.policy, starting_model(self.settings), mode=settings.mode)

    def of_task(self, role: str, settings: ModelSettings) -> LLM:
        """The client of a model that the task asks beside the policy, one for the whole run."""
        if role not in self._of_task:
            self._of_task[role] = self.open(role, settings, ModelRef(settings.model, "base", tuned=False))
        return self._of_task[role]

    async def close_those_of_task(self) -> None:
        """Frees the memory and connections of the task's own models; a later call opens them again."""
        for llm in self._of_task.values():
            await llm.aclose()

    def scripted(self, *, slip: float = 0.0, **shares: Any) -> LLM:
        """A policy that knows the answers of the task's built-in questions."""
        return self.settings.task.scripted(self._built_in(), seed=self.settings.seed, slip=slip, **shares)

    @cached_property
    def budget(self) -> Budget:
        """The budget, which counts what the run spends."""
        limits = self.settings.budget
        return Budget(prices(self.settings), max_usd=limits.max_usd, max_tokens=limits.max_tokens)

    @cached_property
    def cache(self) -> Cache | None:
        """The cache of replies; None if the settings have none."""
        return Cache(Path(self.settings.cache)) if self.settings.cache else None

    def _client(self, role: str, settings: ModelSettings, model: ModelRef, weights: str, mode: Mode | None) -> LLM:
        context = ModelContext(
            weights, model, self.folder.root, self.scripted,
            Meter(self.budget, role), self._names(role, settings),
        )  # fmt: skip
        return (settings if mode is None else settings.in_mode(mode)).open(context)

    def _names(self, role: str, settings: ModelSettings) -> SettingNames:
        """The names of a role's settings, for messages. For a judge that is `same`, those of the policy."""
        block = "policy" if settings is self.settings.policy else role
        return SettingNames(block, _MAX_TOKENS.get(role, "agent.max_tokens"))


def starting_model(s: Settings) -> ModelRef:
    """The weights of the policy before any training."""
    where: Literal["base", "hosted"] = "hosted" if s.policy.tuned == "provider" else "base"
    return ModelRef(s.policy.model, where, tuned=False)


def prices(s: Settings) -> dict[str, Price]:
    """The price of the tokens of each role."""
    models = (model_behind(judge, s.policy) or s.policy for judge in (s.reward_model, s.grader, s.teacher))
    reward_model, grader, teacher = (model.price for model in models)
    tuning = s.finetune.training_price()
    roles = {role: model.price for role, model in s.task.models().items()} | {"teacher": teacher}
    return {"policy": s.policy.price, "reward_model": reward_model, "grader": grader, "finetune": tuning} | roles
