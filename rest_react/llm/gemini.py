"""A client for Gemini models, with the async client of `google-genai`.

    llm = Gemini("gemini-2.5-flash", api_key_env="GEMINI_API_KEY", thinking_budget=0)
    samples = await llm.sample(Prompt(prefix="...", state="..."), n=4, sampling=Sampling(0.5, 512, seed=7))

The prefix is the system instruction, exemplars are turns of user and model, the state is the user's last turn. One
request asks for up to 8 samples (`candidate_count`). If the model returns fewer or refuses to give several, the missing
samples are requested one by one.
Only some models serve log-probabilities (`logprobs=true` requests them), so options have no scores, and callers ask for
text. Thinking tokens count against `max_tokens` and the budget, but not in a sample's tokens. So set a small
`thinking_budget`, or 0 if the model allows it, to avoid truncated answers.
Not here: what a reply says (gemini_replies), Vertex AI, and the Gemini API's OpenAI-shaped endpoint, which
`openai_compatible` speaks to.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault, OutsideFault, RestReactError, UsageError, outside
from rest_react.llm.gemini_replies import GeminiReply, gemini_retry_after, read_gemini_reply
from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling, chat_turns
from rest_react.remote.budget import Meter, with_all_prompts, worst_case
from rest_react.remote.failures.error_meanings import classify_error
from rest_react.remote.failures.error_replies import ErrorReply
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.http_client import key_from, open_http
from rest_react.remote.limiter import Limiter
from rest_react.remote.retry import Backoff, TryAgain, retry
from rest_react.remote.usage import Usage, most_tokens
from rest_react.remote.whole_reply import TooLarge, place_of
from rest_react.seeds import derive_seed
from rest_react.setting_types import Count, Name, Positive
from rest_react.text_safety.redaction import redact_reply

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.errors import APIError
    from google.genai.types import GenerateContentConfig, GenerateContentResponse
    from openai import DefaultAsyncHttpxClient

_MOST_CANDIDATES = 8


class _OneAtATime(ModelFault):
    """The model refuses to give several candidates; only raised inside the client."""


@dataclass(frozen=True, slots=True)
class GeminiModel(ModelSettings):
    """Gemini through google-genai."""

    runs: ClassVar[Runs] = "server"
    tuned: ClassVar[Tuned] = "nowhere"
    always_needs_key: ClassVar[bool] = True

    kind: Literal["gemini"]
    model: Name  # as the API calls it
    api_key_env: str  # the environment variable that holds the key
    logprobs: bool  # ask for log-probabilities, which some models serve
    thinking_budget: Annotated[int, Ge(-1)] | None  # tokens, out of the limit of a sample; null: the model decides
    requests_per_minute: Positive | None  # null: no limit
    tokens_per_minute: Positive | None  # by the worst case of each call; null: no limit
    in_flight: Count  # requests, and of a policy trajectories, at once
    timeout_s: Positive  # seconds until a request is given up and tried again
    tries: Count  # attempts at one request
    price: Price  # US dollars per million tokens, input and output; null: unknown

    def open(self, context: ModelContext) -> "Gemini":
        return Gemini(
            context.weights, names=context.names,
            api_key_env=self.api_key_env, logprobs=self.logprobs, thinking_budget=self.thinking_budget,
            timeout_s=self.timeout_s, max_in_flight=self.in_flight, tries=self.tries, meter=context.meter,
            requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute,
        )  # fmt: skip


class Gemini(LLM):
    """A Gemini model. The key is read from the environment variable that `api_key_env` names."""

    def __init__(
        self,
        model: str,
        *,
        api_key_env: str = "GEMINI_API_KEY",
        base_url: str | None = None,
        timeout_s: float = 120.0,
        max_in_flight: int = 32,
        requests_per_minute: Positive | None = None,
        tokens_per_minute: Positive | None = None,
        meter: Meter | None = None,
        tries: int = 6,
        logprobs: bool = False,
        thinking_budget: int | None = None,
        first_wait_s: float = 1.0,
        names: SettingNames | None = None,
    ) -> None:
        self._model = model
        self._api_key_env = api_key_env
        self._key = key_from(api_key_env)
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._logprobs = logprobs
        self._thinking_budget = thinking_budget
        self._names = names or SettingNames()
        self._backoff = Backoff(tries=tries, first_wait_s=first_wait_s)
        self._limiter = Limiter(max_in_flight, requests_per_minute, tokens_per_minute, meter)
        self._at_once = _MOST_CANDIDATES
        self._client: Client | None = None
        self._http: DefaultAsyncHttpxClient | None = None

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples of one prompt, in a fixed order. Raises ModelFault and OutsideFault, and UsageError if no request
        can succeed (a wrong key, an unknown model)."""
        try:
            replies = [await self._request(prompt, sampling, index=0, n=min(n, self._at_once))]
        except _OneAtATime:
            self._at_once = 1
            replies = [await self._request(prompt, sampling, index=0, n=1)]
        there = len(replies[0].completions)
        if there < n:
            replies += await gather_or_cancel(self._request(prompt, sampling, index=i, n=1) for i in range(there, n))
        completions = with_all_prompts([reply.completions for reply in replies])
        if not any(one.text for one in completions):
            self._refuse_empty(completions[0].finish, thoughts=sum(reply.thoughts for reply in replies))
        return completions

    def _refuse_empty(self, finish: str, *, thoughts: int) -> None:
        """Raises ModelFault if no sample has a text and the reason is known."""
        if finish not in ("stop", "length"):
            raise ModelFault(f"{self._model}: refused ({finish})")
        if thoughts and finish == "length":
            raise ModelFault(
                f"{self._model}: the reply has no text: thinking used all tokens; raise {self._names.max_tokens}, or "
                f"set {self._names.setting('thinking_budget')} to 0 or to a lower number than that"
            )

    async def aclose(self) -> None:
        """Closes the kept connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aio.aclose()
            client.close()
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _request(self, prompt: Prompt, sampling: Sampling, *, index: int, n: int) -> GeminiReply:
        """1 to n samples, the first of which is sample number `index`."""
        config = self._config(prompt, sampling, index, n)

        async def attempt() -> GeminiReply:
            reply = await self._generate(prompt, config)
            return read_gemini_reply(reply, self._model, n, most)

        def used(reply: GeminiReply) -> Usage:
            return reply.usage

        most = most_tokens(f"{prompt.prefix}{_contents(prompt)}".encode("utf-8", "replace"), n, sampling)
        worst = worst_case(prompt, n, sampling)
        return await retry(
            attempt, what=self._model, backoff=self._backoff, limiter=self._limiter, worst=worst, used=used
        )

    def _config(self, prompt: Prompt, sampling: Sampling, index: int, n: int) -> "GenerateContentConfig":
        from google.genai.types import GenerateContentConfig, ThinkingConfig

        budget = self._thinking_budget
        return GenerateContentConfig(
            system_instruction=prompt.prefix or None,
            temperature=sampling.temperature,
            candidate_count=n,
            max_output_tokens=sampling.max_tokens,
            stop_sequences=list(sampling.stop) or None,
            seed=derive_seed(sampling.seed, index) % 2**31,  # the API keeps it in 32 bits with a sign
            response_logprobs=True if self._logprobs and sampling.logprobs else None,
            thinking_config=None if budget is None else ThinkingConfig(thinking_budget=budget),
        )

    async def _generate(self, prompt: Prompt, config: "GenerateContentConfig") -> "GenerateContentResponse":
        from google.genai.errors import APIError

        client = self._connected()
        try:
            # The client's transport is one of two libraries, so its connection errors are no closed list.
            with outside("connection"):
                try:
                    async with asyncio.timeout(self._timeout_s):
                        return await client.aio.models.generate_content(
                            model=self._model, contents=_contents(prompt), config=config
                        )
                except APIError as error:
                    problem = self._explained(error)
        except TooLarge:
            raise
        except OutsideFault as error:
            raise TryAgain(redact_reply(str(error), self._key)) from None
        # Outside the handler: the SDK's error may quote the key, so it must not become the context of ours.
        raise problem

    def _connected(self) -> "Client":
        if self._client is None:
            from google.genai import Client
            from google.genai.types import HttpOptions, HttpRetryOptions

            # Retrying is ours. So is the transport: the SDK's own follow redirects and read without a limit.
            once = HttpRetryOptions(attempts=1)
            self._http = open_http(self._base_url or "")
            self._client = Client(
                vertexai=False,  # whatever the environment says: the key is one of the Gemini API
                api_key=self._key,
                http_options=HttpOptions(
                    base_url=self._base_url,
                    timeout=int(self._timeout_s * 1000),
                    retry_options=once,
                    httpx_async_client=self._http,
                ),
            )
        return self._client

    def _explained(self, error: "APIError") -> RestReactError | TryAgain:
        message = str(error.message or error.details)
        if 300 <= error.code < 400:
            to = place_of(str(getattr(error.response, "headers", {}).get("location") or ""))
            return UsageError(
                f"{self._model}: HTTP {error.code}: the server redirects to {to}. Redirects are not followed, because "
                "they would send the prompt to another address; check the proxy and GOOGLE_GEMINI_BASE_URL, if set"
            )
        # A wrong key and a missing feature are answered with 400 as well.
        if "API_KEY_INVALID" in str(error.details):
            return UsageError(f"{self._model}: access refused: the key in {self._api_key_env} is not accepted")
        refusal = f"{self._model}: {redact_reply(message, self._key)}"
        if error.code == 400 and "multiple candidates" in message.lower():
            return _OneAtATime(refusal)
        if error.code == 400 and "logprobs" in message.lower():
            return UsageError(f"{refusal}; set {self._names.setting('logprobs')}=false")
        if error.code == 400 and "thinking" in message.lower():
            budget = self._names.setting("thinking_budget")
            return UsageError(f"{refusal}; set {budget} to another number, or to null")
        reply = ErrorReply(error.code, message, error.status or "", retry_after=gemini_retry_after(error))
        return classify_error(
            reply, where=self._model, api_key_env=self._api_key_env, key=self._key, refused=ModelFault,
            names=replace(self._names, openai=False),
        )  # fmt: skip


def _contents(prompt: Prompt) -> list[Any]:  # what the client takes depends on whether Pillow is installed
    """All turns but the system's, under Gemini's names for the roles."""
    turns = chat_turns(replace(prompt, prefix=""))
    roles = {"user": "user", "assistant": "model"}
    return [{"role": roles[turn["role"]], "parts": [{"text": turn["content"]}]} for turn in turns]
