"""The settings of a model behind the OpenAI protocol, and which of them cannot go together.

    llm = OpenAIModel(kind="openai", model="gpt-4.1-mini", base_url=None, ...).open(context)

One address gives one client, a list of addresses one client each, which share the trajectories (llm.replicas).
Not here: the values (configs/llm/openai.yaml), and requests (openai_compatible).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from rest_react.llm.load_weights import WithLoadedWeights, served_name, weights_for_command
from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned, template_problems
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.llm.replicas import Replicas
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.remote.http_client import scheme_problem
from rest_react.remote.retry import READY_WITHIN_S
from rest_react.setting_types import OPENAI_URL, Count, Mode, Name, Positive, SystemTurn

# Fields of a request that change what a chat template renders.
_CHANGES_PROMPT = {
    "chat_template", "chat_template_kwargs", "template_kwargs", "add_generation_prompt", "continue_final_message",
    "add_special_tokens", "documents", "tools", "messages", "prompt", "enable_thinking", "thinking",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenAIModel(ModelSettings):
    """Any OpenAI-compatible endpoint."""

    runs: ClassVar[Runs] = "server"

    kind: Literal["openai"]
    model: Name  # as the server calls it
    mode: Mode  # chat: turns of a chat; completion: one text
    # instructions as a system turn; false: at the head of the user's, for templates without one; auto: false from the
    # moment that the server refuses such a turn
    system_turn: SystemTurn
    chat_template_kwargs: dict[str, object]  # arguments of the chat template, sent in chat mode
    # null: api.openai.com; a list: replicas, servers of the same model, each trajectory stays on one of them
    base_url: str | tuple[str, ...] | None
    data_parallel: Count  # engines inside one server (`--data-parallel-size` of vLLM); a trajectory stays on one
    # a command that makes the servers serve other weights; it gets two more arguments, their folder and their name,
    # and lets finetune=local tune the policy; empty: none
    load_weights: tuple[str, ...]
    load_timeout_s: Positive  # seconds until this command is given up
    api_key_env: str | None  # the environment variable that holds the key; null: no key
    logprobs: bool  # ask for the log-probabilities of the tokens, which perplexity needs
    n_per_request: bool  # all samples of a step in one request; false: one request each
    token_limit: Literal["max_tokens", "max_completion_tokens"]  # the field's name; reasoning models want the second
    omit: tuple[Literal["temperature", "seed", "stop"], ...]  # fields that the server refuses, left out
    extra_body: dict[str, object]  # more fields of every request; a field here replaces that of the client
    requests_per_minute: Positive | None  # null: no limit
    tokens_per_minute: Positive | None  # by the worst case of each call; null: no limit
    in_flight: Count  # requests, and of a policy trajectories, at once
    timeout_s: Positive  # seconds until a request is given up and tried again
    tries: Count  # attempts at one request
    price: Price  # US dollars per million tokens, input and output; null: unknown

    @property
    def tuned(self) -> Tuned:
        return "here" if self.load_weights else "provider"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The base_url of each replica."""
        return (self.base_url,) if isinstance(self.base_url, str) else self.base_url or (OPENAI_URL,)

    def open(self, context: ModelContext) -> LLM:
        name = served_name(context) if self.load_weights else context.weights
        clients = [self._client(name, url, context) for url in self.addresses]
        llm = Replicas(clients) if len(clients) > 1 else clients[0]
        if not self.load_weights:
            return llm
        return WithLoadedWeights(
            llm, self.load_weights, weights_for_command(context), name, servers=clients, timeout_s=self.load_timeout_s,
            log=context.run_folder / "load_weights.log", names=context.names,
        )  # fmt: skip

    def _client(self, name: str, base_url: str, context: ModelContext) -> OpenAICompatible:
        fresh = context.model.where == "hosted" and context.model.tuned
        return OpenAICompatible(
            name, names=context.names, ready_within_s=READY_WITHIN_S if fresh else 0.0,
            base_url=base_url, has_others=len(self.addresses) > 1, data_parallel=self.data_parallel,
            api_key_env=self.api_key_env or None,
            mode=self.mode, timeout_s=self.timeout_s, max_in_flight=self.in_flight, tries=self.tries,
            requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute,
            meter=context.meter, n_per_request=self.n_per_request, logprobs=self.logprobs,
            token_limit=self.token_limit, omit=self.omit, system_turn=self.system_turn,
            chat_template_kwargs=self.chat_template_kwargs, extra_body=self.extra_body,
        )  # fmt: skip

    def in_mode(self, mode: Mode) -> Self:
        return replace(self, mode=mode)

    def trained_as(self) -> tuple[Mode, Mapping[str, object]]:
        return (self.mode, self.chat_template_kwargs) if self.tuned == "here" else ModelSettings.trained_as(self)

    def problems(self, path: str) -> Iterator[str]:
        yield from template_problems(path, self.chat_template_kwargs)
        if self.base_url == () or len(set(self.addresses)) < len(self.addresses):
            yield f"{path}.base_url: a list of replicas has one address or more, each once; correct it"
        for problem in filter(None, map(scheme_problem, self.addresses)):
            yield f"{path}.base_url: {problem}"

    def problems_when_tuned(self, path: str) -> Iterator[str]:
        changed = [f"extra_body.{name}" for name in self.extra_body if name in _CHANGES_PROMPT]
        if self.tuned == "here":
            for name in changed:
                yield f"{path}.{name}: changes the prompt, but not that of training; remove it"
            return
        if self.mode == "completion":
            yield f"{path}.mode: completion, but a hosted job trains a chat model; set {path}.mode=chat"
        of_template = ["chat_template_kwargs"] if self.chat_template_kwargs else []
        for name in of_template + changed:
            yield (
                f"{path}.{name}: changes the prompt, but a hosted job trains with the provider's template; remove it, "
                f"or tune the model yourself with policy=vllm {path}.chat_template_kwargs=... finetune=local"
            )
