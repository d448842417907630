"""A client for servers with the OpenAI API: OpenAI, vLLM, SGLang, `transformers serve`, llama.cpp, Ollama, Nebius, ...

    llm = OpenAICompatible("Qwen/Qwen2.5-7B-Instruct", base_url="http://localhost:8000/v1", api_key_env=None)
    samples = await llm.sample(Prompt(prefix="", state="..."), n=4, sampling=Sampling(0.5, 512, seed=7))
    scores = await llm.score(Prompt(prefix="", state="... Which one is best?"), ["A", "B"])

If a template has no system turn, the prefix begins the first user message (`system_turn`). One request asks for all
samples (`n_per_request`); if the server ignores `n`, the missing samples are requested one by one, sample i with a seed
derived from i. At temperature 0 one sample is requested and returned n times. Requests use one aiohttp session
(remote.http_client), since the SDK's client and response models take ten times the CPU (benchmarks/throughput.py).

Log-probabilities are stored as the server gives them. vLLM (`--logprobs-mode raw_logprobs`, its default) and llama.cpp
give those of the model itself, at temperature 1; a server may instead give those of the tempered distribution it drew
from. Either orders the samples of one step; perplexities from different servers are not to be compared.
Not here: settings (settings), the fields of a request (openai_request), parsing a reply (openai_replies), whose fault a
refusal is (refused_requests), several servers of one model (replicas), prices, caching, starting a server
(vllm_server). One client serves one event loop.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError
from rest_react.llm.openai_api.openai_replies import Reply, read_reply
from rest_react.llm.openai_api.openai_request import RequestForm, as_asked, asked_for
from rest_react.llm.openai_api.refused_requests import (
    FEWER_LISTED,
    MOST_LISTED,
    FewerListed,
    NoSystemTurn,
    Refusals,
    Unclear,
)
from rest_react.llm.openai_api.settings_for_refusals import why_empty
from rest_react.llm.option_scores import scores_of_listed
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.remote.budget import Meter, tokens_used, with_all_prompts, worst_case
from rest_react.remote.failures.error_replies import ErrorInside, ErrorReply, error_reply
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.http_client import get, key_from, open_session, post, refuse_address
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import LONGEST_LOOK_S, Backoff, TryAgain, retry, wait_until_ready
from rest_react.remote.session import session_headers
from rest_react.remote.usage import Usage, most_tokens
from rest_react.remote.whole_reply import MODEL_MB
from rest_react.terminal.console import say

if TYPE_CHECKING:
    from aiohttp import ClientSession


# A reply whose first token is scored. At temperature 1 a server that reports the distribution from which it drew
# reports the model's own.
_ONE_TOKEN = Sampling(temperature=1.0, max_tokens=1, seed=0)
_ECHO = Sampling(temperature=1.0, max_tokens=1, seed=0, echo=True)  # some servers refuse to generate no token
_HARMLESS = Prompt("", "Say hello.\n")
_NOT_FOUND = 404


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    """The reply to GET /models."""

    data: list[_Model]


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
        template_kwargs = dict(chat_template_kwargs or {})
        self._form = RequestForm(
            model, mode, logprobs, token_limit, frozenset(omit), template_kwargs, dict(extra_body or {})
        )
        self._base_url = base_url
        self._key = key_from(api_key_env)
        self._names = names or SettingNames()
        self._refusals = Refusals(
            self.where, self._key, api_key_env, self._names, self._form, may_fold=system_turn == "auto"
        )
        self._timeout_s = timeout_s
        self._n_per_request = n_per_request
        self._system_turn = system_turn is not False
        self._data_parallel = data_parallel
        self._backoff = Backoff(tries=tries, first_wait_s=first_wait_s, has_others=has_others)
        self._limiter = Limiter(max_in_flight, requests_per_minute, tokens_per_minute, meter)
        self._first_wait_s = first_wait_s
        self._ready_within_s = ready_within_s
        self._most_listed = MOST_LISTED
        self._has_answered = False
        self._session: ClientSession | None = None

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt, in a fixed order. Raises ModelFault and OutsideFault, and UsageError if no request
        can succeed (a wrong key, an unknown model)."""
        if n > 1 and self._form.is_greedy(sampling):
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
        """The log-probability of each option as the first token of the reply, from the tokens that the server lists;
        no values if it lists none of the options, None with `logprobs=false`. A single option may be a text of any
        length; it needs `mode=completion` and a server that can repeat a prompt. Raises the errors of `sample`."""
        if not self._form.logprobs:
            return None
        if len(options) == 1:
            return await self._read(prompt, options[0]) if self._form.mode == "completion" else None
        try:
            reply = await self._request(prompt, replace(_ONE_TOKEN, top_logprobs=self._most_listed), index=0, n=1)
        except FewerListed:
            self._most_listed = FEWER_LISTED
            reply = await self._request(prompt, replace(_ONE_TOKEN, top_logprobs=FEWER_LISTED), index=0, n=1)
        # vLLM lists the drawn token too, however unlikely: no bound for those that are not listed.
        likeliest = dict(sorted(reply.listed.items(), key=lambda one: -one[1])[: self._most_listed])
        return scores_of_listed(options, likeliest, tokens_used(reply.completions))

    async def _read(self, prompt: Prompt, text: str) -> OptionScores | None:
        """The log-probability of a text behind the prompt and a space: that of the prompt with the text, minus that of
        the prompt. None if the server does not repeat them."""
        asked = [Prompt("", f"{prompt.text} {text}"), Prompt("", prompt.text)]
        replies = await gather_or_cancel(self._request(one, _ECHO, index=0, n=1) for one in asked)
        whole, before = (reply.echoed for reply in replies)
        if whole is None or before is None:
            return None
        used = [tokens_used(reply.completions) for reply in replies]
        return OptionScores((whole - before,), (), sum(one.prompt for one in used), sum(one.completion for one in used))

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
            wait_s = min(2 * wait_s, LONGEST_LOOK_S)
            with suppress(OutsideFault):
                with suppress(Unclear, ModelFault):  # a refusal is an answer too
                    await self._tried(_HARMLESS, Sampling(0.0, 1, seed=0, logprobs=False), index=0, n=1)
                return

    async def aclose(self) -> None:
        """Closes the kept connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def _address(self) -> str:
        return f"{self._base_url.rstrip('/')}/{'chat/completions' if self._form.mode == 'chat' else 'completions'}"

    @property
    def where(self) -> str:
        """The model and its address, for messages."""
        return f"{self._form.model} at {self._base_url}"

    async def _request(self, prompt: Prompt, sampling: Sampling, *, index: int, n: int) -> Reply:
        """A reply with 1 to n samples, the first of which is sample number `index`."""

        async def ask() -> Reply:
            return await self._tried(prompt, sampling, index=index, n=n)

        try:
            return await wait_until_ready(ask, first_wait_s=self._first_wait_s, tell=say, within_s=self._ready_within_s)
        except Unclear as refusal:
            error = refusal
        raise await self._whose_fault(error, prompt, sampling, n)

    async def _tried(self, prompt: Prompt, sampling: Sampling, *, index: int, n: int) -> Reply:
        """A reply; where the server turns out to have no system turn, one to the request without it."""
        try:
            return await self._sent(prompt, sampling, index, n, system_turn=self._system_turn)
        except NoSystemTurn as refusal:
            if self._system_turn:
                say(f"note: {refusal}; from now on, instructions are sent in the user's turn")
                self._system_turn = False
            return await self._sent(prompt, sampling, index, n, system_turn=False)

    async def _sent(self, prompt: Prompt, sampling: Sampling, index: int, n: int, *, system_turn: bool) -> Reply:
        body = self._form.body(prompt, sampling, index, n, system_turn=system_turn)
        sent = msgspec.json.encode(body)
        asked_n, limit = asked_for(body, n, sampling)
        worst, most = worst_case(prompt, asked_n, limit), most_tokens(sent, asked_n, limit)

        async def attempt() -> Reply:
            try:
                echo = prompt.text if sampling.echo else None
                return read_reply(await self._post(sent, body), self._key, most, echo=echo)
            except ErrorInside as error:
                said = error.reply
            raise self._error(said, body)

        reply = await retry(
            attempt, what=self.where, backoff=self._backoff, limiter=self._limiter, worst=worst, used=_usage
        )
        self._has_answered = True
        return replace(reply, completions=[as_asked(one, sampling) for one in reply.completions[:n]])

    def _error(self, reply: ErrorReply, sent: Mapping[str, Any]) -> RestReactError | TryAgain:
        error = self._refusals.error(reply, sent, maybe_unready=self._ready_within_s > 0 and not self._has_answered)
        if reply.status == _NOT_FOUND and self._has_answered and isinstance(error, UsageError):
            return OutsideFault(f"{error} (it answered before: was the server started again without this model?)")
        return error

    async def _whose_fault(self, refusal: Unclear, prompt: Prompt, sampling: Sampling, n: int) -> RestReactError:
        """The error for a refusal that matches no rule. Sends a harmless request with the same settings: if it
        succeeds, only the first request was refused."""
        harmless = replace(_HARMLESS, prefix="Answer briefly.\n" if prompt.prefix else "")
        try:
            await self._tried(harmless, sampling, index=0, n=n)
        except (Unclear, ModelFault):
            if self._has_answered:
                return OutsideFault(f"{refusal} (the server has refused every request since then)")
            return UsageError(f"{refusal} (the server also refuses a harmless test request); {self._names.way_out()}")
        return ModelFault(str(refusal))

    def _opened(self) -> "ClientSession":
        if self._session is None:
            self._session = open_session(self._address, self._timeout_s, {"Authorization": f"Bearer {self._key}"})
        return self._session

    async def _post(self, sent: bytes, body: Mapping[str, Any]) -> bytes:
        headers = session_headers(self._data_parallel)
        reply = await post(self._opened(), self._address, sent, what=self.where, most_mb=MODEL_MB, headers=headers)
        if 200 <= reply.status < 300:
            return reply.body
        raise self._error(error_reply(reply.status, reply.body, reply.headers), body)


def _usage(reply: Reply) -> Usage:
    return reply.usage
