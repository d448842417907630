"""A client for servers with the OpenAI API: OpenAI, vLLM, SGLang, `transformers serve`, llama.cpp, Ollama, Nebius, ...

    llm = OpenAICompatible("Qwen/Qwen2.5-7B-Instruct", base_url="http://localhost:8000/v1", api_key_env=None)
    samples = await llm.sample(Prompt(prefix="", state="..."), n=4, sampling=Sampling(0.5, 512, seed=7))
    scores = await llm.score(Prompt(prefix="", state="... Which one is best?"), ["A", "B"])

`mode="chat"` sends the prefix as system message, exemplars as user and assistant messages, and the state as the last
user message; `mode="completion"` sends all of it as one text, for base models. If a template has no system turn, the
prefix begins the first user message (`system_turn`). One request asks for all samples (`n_per_request`); if the server
ignores `n`, the missing samples are requested one by one, sample i with a seed derived from i. At temperature 0 one
sample is requested and returned n times. Requests use one aiohttp session (remote.http_client), since the SDK's client
and response models take ten times the CPU (benchmarks/throughput.py).

Log-probabilities are stored as the server gives them. vLLM (`--logprobs-mode raw_logprobs`, its default) and llama.cpp
give those of the model itself, at temperature 1; a server may instead give those of the tempered distribution it drew
from. Either orders the samples of one step; perplexities from different servers are not to be compared.
Not here: parsing a reply (openai_replies), which setting cures a refusal (settings_for_refusals), several servers of
one model (replicas), prices, caching, starting a server (vllm_server). One client serves one event loop.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import msgspec

from rest_react.concurrency import gather_or_cancel
from rest_react.console import say
from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError
from rest_react.llm.load_weights import WithLoadedWeights, served_name, weights_for_command
from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned, template_problems
from rest_react.llm.openai_api.openai_replies import Reply, read_reply
from rest_react.llm.openai_api.settings_for_refusals import (
    refuses_so_many_listed,
    refuses_system_turn,
    remedy,
    why_empty,
)
from rest_react.llm.option_scores import scores_of_listed
from rest_react.llm.replicas import Replicas
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt, Sampling, chat_turns
from rest_react.redaction import redact_reply
from rest_react.remote.budget import Meter, tokens_used, with_all_prompts, worst_case
from rest_react.remote.failures.error_meanings import classify_error, meaning_of, tells_of_no_model
from rest_react.remote.failures.error_replies import ErrorInside, ErrorReply, error_reply
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.http_client import get, key_from, open_session, post, refuse_address
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import READY_WITHIN_S, Backoff, NotReady, TryAgain, retry, wait_until_ready
from rest_react.remote.session import session_headers
from rest_react.remote.usage import Usage, most_tokens
from rest_react.remote.whole_reply import MODEL_MB
from rest_react.seeds import derive_seed
from rest_react.setting_types import OPENAI_URL, Count, Mode, Name, Positive, SystemTurn

if TYPE_CHECKING:
    from aiohttp import ClientSession


class _Unclear(RestReactError):
    """A refusal of either this request or every request; only raised inside the client."""


class _NoSystemTurn(ModelFault):
    """The server's template has no system turn; only raised inside the client."""


class _FewerListed(ModelFault):
    """The server lists fewer tokens than were asked for; only raised inside the client."""


# A reply whose first token is scored. At temperature 1 a server that reports the distribution from which it drew
# reports the model's own.
_ONE_TOKEN = Sampling(temperature=1.0, max_tokens=1, seed=0)
_MOST_LISTED, _FEWER_LISTED = 20, 5  # OpenAI's chats and vLLM's default; other servers
_HARMLESS = Prompt("", "Say hello.\n")
_LONGEST_LOOK_S = 15.0  # between two looks at a server that is down

# Fields of a request that change what a chat template renders.
_CHANGES_PROMPT = {
    "chat_template", "chat_template_kwargs", "template_kwargs", "add_generation_prompt", "continue_final_message",
    "add_special_tokens", "documents", "tools", "messages", "prompt", "enable_thinking", "thinking",
}  # fmt: skip


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    """The reply to GET /models."""

    data: list[_Model]


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
    extra_body: dict[str, object]  # joins every request and has the last word
    requests_per_minute: float | None  # null: no limit
    tokens_per_minute: float | None  # by the worst case of each call; null: no limit
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

    def _client(self, name: str, base_url: str, context: ModelContext) -> "OpenAICompatible":
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
        if not self.addresses or len(set(self.addresses)) < len(self.addresses):
            yield f"{path}.base_url: a list of replicas has one address or more, each once; correct it"

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


class OpenAICompatible:
    """A model behind an OpenAI-shaped API. The key is read from the environment variable that `api_key_env` names;
    None is for servers that want none. `omit` names fields that the server refuses; `extra_body` joins every request
    and has the last word; `names` is what messages call the settings. A model that was made just now may be unknown
    for `ready_within_s`."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key_env: str | None,
        mode: Literal["chat", "completion"] = "chat",
        timeout_s: float = 120.0,
        max_in_flight: int = 64,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        meter: Meter | None = None,
        tries: int = 6,
        n_per_request: bool = True,
        logprobs: bool = True,
        token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        omit: Collection[str] = (),
        system_turn: bool | Literal["auto"] = "auto",
        chat_template_kwargs: Mapping[str, object] | None = None,
        extra_body: Mapping[str, object] | None = None,
        first_wait_s: float = 0.5,
        names: SettingNames | None = None,
        ready_within_s: float = 0.0,
        data_parallel: int = 1,
        has_others: bool = False,
    ) -> None:
        refuse_address(base_url)
        self._model = model
        self._base_url = base_url
        self._api_key_env = api_key_env
        self._key = key_from(api_key_env)
        self._mode = mode
        self._timeout_s = timeout_s
        self._n_per_request = n_per_request
        self._logprobs = logprobs
        self._token_limit = token_limit
        self._omit = frozenset(omit)
        self._system_turn = system_turn is not False
        self._may_fold = system_turn == "auto"
        self._template_kwargs = dict(chat_template_kwargs or {})
        self._extra_body = dict(extra_body or {})
        self._data_parallel = data_parallel
        self._backoff = Backoff(tries=tries, first_wait_s=first_wait_s, has_others=has_others)
        self._limiter = Limiter(max_in_flight, requests_per_minute, tokens_per_minute, meter)
        self._names = names or SettingNames()
        self._first_wait_s = first_wait_s
        self._ready_within_s = ready_within_s
        self._most_listed = _MOST_LISTED
        self._has_answered = False
        self._session: ClientSession | None = None

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt, in a fixed order. Raises ModelFault and OutsideFault, and UsageError if no request
        can succeed (a wrong key, an unknown model)."""
        if n > 1 and self._is_greedy(sampling):
            return await self.sample(prompt, n=1, sampling=sampling) * n
        first = await self._request(prompt, sampling, index=0, n=n if self._n_per_request else 1)
        replies = [first]
        if len(first.completions) < n:
            alone = (self._request(prompt, sampling, index=i, n=1) for i in range(len(first.completions), n))
            replies += await gather_or_cancel(alone)
        completions = with_all_prompts([reply.completions for reply in replies])
        if not any(one.text for one in completions):
            self._refuse_empty(completions, [field for reply in replies for field in reply.elsewhere])
        return completions

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores | None:
        """The log-probability of each option as the first token of the reply, from the tokens that the server lists.
        None if it lists none of the options, or with `logprobs=false`. Raises the errors of `sample`."""
        if not self._logprobs:
            return None
        try:
            reply = await self._request(prompt, replace(_ONE_TOKEN, top_logprobs=self._most_listed), index=0, n=1)
        except _FewerListed:
            self._most_listed = _FEWER_LISTED
            reply = await self._request(prompt, replace(_ONE_TOKEN, top_logprobs=_FEWER_LISTED), index=0, n=1)
        return scores_of_listed(options, reply.listed, tokens_used(reply.completions))

    def _is_greedy(self, sampling: Sampling) -> bool:
        """Whether all samples would be the same; some servers (vLLM) refuse to give several of these."""
        return "temperature" not in self._omit and self._extra_body.get("temperature", sampling.temperature) == 0

    def _refuse_empty(self, completions: Sequence[Completion], elsewhere: Sequence[str]) -> None:
        """Raises ModelFault if no sample has a text and the reason is known."""
        if all(one.finish in ("content_filter", "refusal") for one in completions):
            raise ModelFault(f"{self.where}: refused ({completions[0].finish})")
        field = next(filter(None, elsewhere), "")
        if field:
            cut_off = any(one.finish == "length" for one in completions)
            raise ModelFault(f"{self.where}: {why_empty(field, cut_off, self._names)}")

    async def models(self) -> list[str]:
        """The names of the models that the server lists. Raises OutsideFault if it lists none."""
        address = f"{self._base_url.rstrip('/')}/models"
        try:
            reply = await get(self._opened(), address, what=self.where, most_mb=MODEL_MB)
            return [model.id for model in msgspec.json.decode(reply.body, type=_Models).data]
        except (TryAgain, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise OutsideFault(f"{address} gives no list of models ({error})") from error

    async def revive(self) -> None:
        """Returns when the server answers a request again, which it may never do."""
        wait_s = self._first_wait_s
        while True:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_LOOK_S)
            with suppress(OutsideFault):
                with suppress(_Unclear, ModelFault):  # a refusal is an answer too
                    await self._tried(_HARMLESS, Sampling(0.0, 1, seed=0, logprobs=False), index=0, n=1)
                return

    async def aclose(self) -> None:
        """Closes the kept connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def _address(self) -> str:
        return f"{self._base_url.rstrip('/')}/{'chat/completions' if self._mode == 'chat' else 'completions'}"

    @property
    def where(self) -> str:
        """The model and its address, for messages."""
        return f"{self._model} at {self._base_url}"

    async def _request(self, prompt: Prompt, sampling: Sampling, *, index: int, n: int) -> Reply:
        """A reply with 1 to n samples, the first of which is sample number `index`."""

        async def ask() -> Reply:
            return await self._tried(prompt, sampling, index=index, n=n)

        try:
            return await wait_until_ready(ask, first_wait_s=self._first_wait_s, tell=say, within_s=self._ready_within_s)
        except _Unclear as refusal:
            error = refusal
        raise await self._whose_fault(error, prompt, sampling, n)

    async def _tried(self, prompt: Prompt, sampling: Sampling, *, index: int, n: int) -> Reply:
        """A reply; where the server turns out to have no system turn, one to the request without it."""
        try:
            return await self._sent(prompt, sampling, index, n, system_turn=self._system_turn)
        except _NoSystemTurn as refusal:
            if self._system_turn:
                say(f"note: {refusal}; from now on, instructions are sent in the user's turn")
                self._system_turn = False
            return await self._sent(prompt, sampling, index, n, system_turn=False)

    async def _sent(self, prompt: Prompt, sampling: Sampling, index: int, n: int, *, system_turn: bool) -> Reply:
        body = self._body(prompt, sampling, index, n, system_turn=system_turn)
        sent = msgspec.json.encode(body)
        asked_n, limit = _asked_for(body, n, sampling)
        worst, most = worst_case(prompt, asked_n, limit), most_tokens(sent, asked_n, limit)

        async def attempt() -> Reply:
            try:
                return read_reply(await self._post(sent, body), self._key, most)
            except ErrorInside as error:
                said = error.reply
            raise self._explained(said, body)

        reply = await retry(
            attempt, what=self.where, backoff=self._backoff, limiter=self._limiter, worst=worst, used=_usage
        )
        self._has_answered = True
        return replace(reply, completions=[_as_asked(one, sampling) for one in reply.completions[:n]])

    def _explained(self, reply: ErrorReply, sent: Mapping[str, Any]) -> RestReactError | TryAgain:
        refusal = f"{self.where}: HTTP {reply.status}: {redact_reply(reply.message, self._key)}"
        meaning, names = meaning_of(reply), self._names
        if refuses_system_turn(reply) and "system" in [turn["role"] for turn in sent.get("messages", ())]:
            if self._may_fold:
                return _NoSystemTurn(refusal)
            return UsageError(f"{refusal}; set {names.setting('system_turn')}=auto")
        if _MOST_LISTED in (sent.get("top_logprobs"), sent.get("logprobs")) and refuses_so_many_listed(reply):
            return _FewerListed(refusal)
        if meaning in ("settings", "unclear"):
            cure = remedy(reply, names, sent=sent, omit=self._omit, extra_body=self._extra_body)
            if cure:
                return UsageError(f"{refusal}; {cure}")
        if meaning == "unclear":
            return _Unclear(refusal)
        error = classify_error(
            reply, where=self.where, api_key_env=self._api_key_env, key=self._key, refused=ModelFault, names=names
        )
        new = self._ready_within_s > 0 and not self._has_answered
        if new and isinstance(error, UsageError) and tells_of_no_model(reply):
            return NotReady(f"{self.where}: the model is not available yet", error)
        return error

    async def _whose_fault(self, refusal: "_Unclear", prompt: Prompt, sampling: Sampling, n: int) -> RestReactError:
        """The error for a refusal that matches no rule. Sends a harmless request with the same settings: if it
        succeeds, only the first request was refused."""
        harmless = replace(_HARMLESS, prefix="Answer briefly.\n" if prompt.prefix else "")
        try:
            await self._tried(harmless, sampling, index=0, n=n)
        except (_Unclear, ModelFault):
            if self._has_answered:
                return OutsideFault(f"{refusal} (the server has refused every request since then)")
            return UsageError(f"{refusal} (the server also refuses a harmless test request); {self._names.way_out()}")
        return ModelFault(str(refusal))

    def _body(
        self, prompt: Prompt, sampling: Sampling, index: int, n: int, *, system_turn: bool = True
    ) -> dict[str, object]:
        """The request. What would only repeat a default is left out: some servers refuse what they do not know."""
        body: dict[str, object] = {
            "model": self._model,
            "temperature": sampling.temperature,
            self._token_limit: sampling.max_tokens,
            # 31 bits: some servers keep a seed in a 32-bit integer, some gateways in a double.
            "seed": derive_seed(sampling.seed, index) % 2**31,
        }
        if n > 1:
            body["n"] = n
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if self._mode == "chat":
            body["messages"] = chat_turns(prompt, system=system_turn)
            if self._template_kwargs:
                body["chat_template_kwargs"] = self._template_kwargs
        else:
            body["prompt"] = prompt.text
        if self._logprobs and sampling.logprobs:
            # In completions a number of alternatives; 0 is read as "none at all" by some servers.
            body["logprobs"] = True if self._mode == "chat" else sampling.top_logprobs or 1
            if self._mode == "chat" and sampling.top_logprobs:
                body["top_logprobs"] = sampling.top_logprobs
        return {name: value for name, value in body.items() if name not in self._omit} | self._extra_body

    def _opened(self) -> "ClientSession":
        if self._session is None:
            self._session = open_session(self._address, self._timeout_s, {"Authorization": f"Bearer {self._key}"})
        return self._session

    async def _post(self, sent: bytes, body: Mapping[str, Any]) -> bytes:
        headers = session_headers(self._data_parallel)
        reply = await post(self._opened(), self._address, sent, what=self.where, most_mb=MODEL_MB, headers=headers)
        if 200 <= reply.status < 300:
            return reply.body
        raise self._explained(error_reply(reply.status, reply.body, reply.headers), body)


def _asked_for(body: Mapping[str, object], n: int, sampling: Sampling) -> tuple[int, Sampling]:
    """How many samples a request asks for and how long they may be: `extra_body` may ask for more."""
    numbers = {name: value for name, value in body.items() if type(value) is int}
    limits = [numbers[name] for name in ("max_tokens", "max_completion_tokens") if name in numbers]
    return max(n, numbers.get("n", 0)), replace(sampling, max_tokens=max([sampling.max_tokens, *limits]))


def _usage(reply: Reply) -> Usage:
    return reply.usage


def _as_asked(completion: Completion, sampling: Sampling) -> Completion:
    """The sample up to its stop string, which some servers cannot be given, and with the end that its tokens tell where
    the server does not."""
    ends = [place for mark in sampling.stop if (place := completion.text.find(mark)) >= 0]
    if ends:
        text, rest = completion.text[: min(ends)], completion.text[min(ends) :]
        more = rest.strip() not in sampling.stop
        # The log-probabilities of a text that went on are not those of what is kept.
        logprob = None if more else completion.logprob
        return replace(completion, text=text, finish="stop", logprob=logprob)
    if not completion.finish and completion.tokens >= sampling.max_tokens:
        return replace(completion, finish="length")
    return completion
