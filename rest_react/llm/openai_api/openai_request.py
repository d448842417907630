"""The request that asks a server with the OpenAI API for samples of a prompt.

    form = RequestForm("Qwen/Qwen2.5-7B-Instruct", mode="chat")
    form.body(prompt, Sampling(0.5, 512, seed=7), index=0, n=4)     # {"model": ..., "messages": [...], "n": 4, ...}

`mode="chat"` sends the prefix as system message, exemplars as user and assistant messages, and the state as the last
user message; `mode="completion"` sends all of it as one text, for base models. `omit` names fields that the server
refuses; the fields of `extra_body` are added to every request and replace equal ones.
Not here: sending it (openai_compatible), and reading the reply (openai_replies).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from rest_react.records import Completion, Prompt, Sampling, chat_turns
from rest_react.seeds import derive_seed
from rest_react.setting_types import Mode


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What the requests of one client have in common."""

    model: str
    mode: Mode = "chat"
    logprobs: bool = True
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omit: frozenset[str] = frozenset()
    template_kwargs: dict[str, object] = field(default_factory=dict)
    extra_body: dict[str, object] = field(default_factory=dict)

    def body(
        self, prompt: Prompt, sampling: Sampling, index: int, n: int, *, system_turn: bool = True
    ) -> dict[str, object]:
        """The request for n samples, the first of which is sample number `index`. What would only repeat a default is
        left out: some servers refuse what they do not know."""
        body: dict[str, object] = {
            "model": self.model,
            "temperature": sampling.temperature,
            self.token_limit: sampling.max_tokens,
            # 31 bits: some servers keep a seed in a 32-bit integer, some gateways in a double.
            "seed": derive_seed(sampling.seed, index) % 2**31,
        }
        if n > 1:
            body["n"] = n
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if self.mode == "chat":
            body["messages"] = chat_turns(prompt, system=system_turn)
            if self.template_kwargs:
                body["chat_template_kwargs"] = self.template_kwargs
        else:
            body["prompt"] = prompt.text
        if self.logprobs and sampling.logprobs:
            # In completions a number of alternatives; 0 is read as "none at all" by some servers.
            body["logprobs"] = True if self.mode == "chat" else sampling.top_logprobs or 1
            if self.mode == "chat" and sampling.top_logprobs:
                body["top_logprobs"] = sampling.top_logprobs
        if sampling.echo:
            body["echo"] = True
        return {name: value for name, value in body.items() if name not in self.omit} | self.extra_body

    def is_greedy(self, sampling: Sampling) -> bool:
        """Whether all samples would be the same; some servers (vLLM) refuse to give several of these."""
        return "temperature" not in self.omit and self.extra_body.get("temperature", sampling.temperature) == 0


def asked_for(body: Mapping[str, object], n: int, sampling: Sampling) -> tuple[int, Sampling]:
    """How many samples a request asks for and how long they may be: `extra_body` may ask for more."""
    numbers = {name: value for name, value in body.items() if type(value) is int}
    limits = [numbers[name] for name in ("max_tokens", "max_completion_tokens") if name in numbers]
    return max(n, numbers.get("n", 0)), replace(sampling, max_tokens=max([sampling.max_tokens, *limits]))


def as_asked(completion: Completion, sampling: Sampling) -> Completion:
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
