"""How the engine draws tokens: one uniform number for each, derived from (seed, sample, position).

    manager = model.init_continuous_batching(...)
    draw_with(manager, seeded_draws(draws, eos, tokenizer, submit))      # `draws` maps a request's id to its `Draw`

So, but for rounding, what a sample says depends neither on what else is in the batch nor on the order of arrival.
Log-probabilities are the model's own, before temperature.

Samples of one prompt are one request while they say the same: the model computes one distribution, and each sample
draws its own token from it. Samples that draw another token than the first one leave it, those with the same token
together, as a new request behind the text so far, whose beginning is in the cache. So every sample draws the same
tokens as if it were alone, and four equal samples cost one.
Not here: requests, and what becomes of the drawn tokens (transformers_engine).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rest_react.seeds import derive_seed

if TYPE_CHECKING:
    import torch

_UNIT = 2.0**-63
_TAIL = 8  # tokens in which a stop string is looked for


@dataclass(slots=True)
class Draw:
    """One sample in flight: what it reads, how it draws, what it drew. `forced` are tokens to take instead of drawn
    ones, so that `logprobs` are those of a given text. `riders` are samples that have drawn the same so far."""

    prompt: Sequence[int]
    seed: int
    temperature: float
    stop: tuple[str, ...]
    limit: int
    done: Callable[[Any], None]
    forced: Sequence[int] = ()
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    riders: list["Draw"] = field(default_factory=list)

    def take(self, token: int, logprob: float, ends: Sequence[int], tokenizer: Any) -> bool:
        """Adds a token; returns whether it is the last one."""
        self.tokens.append(token)
        self.logprobs.append(logprob)
        if token in ends or len(self.tokens) >= self.limit:
            return True
        # A stop string ends in the last token, so the tail is enough to look at.
        tail = tokenizer.decode(self.tokens[-_TAIL:]) if self.stop else ""
        return any(mark in tail for mark in self.stop)


def seeded_draws(
    draws: dict[str, Draw], ends: Sequence[int], tokenizer: Any, submit: Callable[[list[Draw]], None]
) -> Any:
    """The logits processor that draws every token itself, by inverse transform, and leaves only that token possible.
    `ends` are the tokens that end a sample, the first of which ends a request; `submit` makes a request of samples that
    have drawn the same."""
    import torch
    from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessor

    class SeededDraws(ContinuousBatchingLogitsProcessor):
        supported_kwargs: dict[str, type] = {}  # noqa: RUF012
        ignored_kwargs: tuple[str, ...] = ()

        def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
            int32_tensor.zero_()

        def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
            self.batch = [draws[r.state.request_id] for r in requests_with_new_token]
            return torch.zeros(len(self.batch), dtype=torch.int32)

        def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
            if not self.batch:  # parts of long prompts fill the batch, so nothing is drawn
                return scores
            # Sequences whose prompt is still being read have a row too, behind the others and without meaning.
            known = scores[: len(self.batch)]
            samples = [[draw, *draw.riders] for draw in self.batch]
            drawn = _draw_tokens(known, samples)
            logprobs = known.gather(1, drawn) - known.logsumexp(1, keepdim=True)
            rows = zip(samples, drawn.tolist(), logprobs.tolist(), strict=True)
            chosen = [_advance(row, tokens, values, ends, tokenizer, submit) for row, tokens, values in rows]
            only = torch.full_like(scores, float("-inf"))
            only[: len(self.batch)].scatter_(1, torch.tensor(chosen, device=scores.device)[:, None], 0.0)
            return only

    return SeededDraws()


def _advance(
    samples: Sequence[Draw],
    tokens: Sequence[int],
    logprobs: Sequence[float],
    ends: Sequence[int],
    tokenizer: Any,
    submit: Callable[[list[Draw]], None],
) -> int:
    """Gives the samples of one request their tokens. Finished ones are done; of the others, those that drew another
    token than the first leave. Returns the request's next token: that of the first sample, or an end."""
    leader = samples[0]
    groups: dict[int, list[Draw]] = {}
    for sample, token, logprob in zip(samples, tokens, logprobs, strict=False):  # rows are as long as the longest
        if sample.take(token, logprob, ends, tokenizer):
            sample.done(sample)
        else:
            groups.setdefault(token, []).append(sample)
    staying = next((group for group in groups.values() if group[0] is leader), None)
    leader.riders = staying[1:] if staying else []
    for group in groups.values():
        if group is not staying:
            submit(group)
    return tokens[0] if staying else ends[0]


def _draw_tokens(scores: "torch.Tensor", samples: Sequence[Sequence[Draw]]) -> "torch.Tensor":
    """A token for each sample of each row of scores [rows, vocabulary], as [rows, most samples of a row]: the likeliest
    at temperature 0, else the one under which the sample's own uniform number falls. Samples of a row have the same
    temperature."""
    import torch

    most = max(map(len, samples))
    drawn = scores.argmax(1, keepdim=True).repeat(1, most)
    warm = [i for i, row in enumerate(samples) if row[0].temperature]
    if warm:
        temperatures = torch.tensor([samples[i][0].temperature for i in warm], dtype=scores.dtype)
        uniform = torch.zeros(len(warm), most, dtype=scores.dtype)
        for place, i in enumerate(warm):
            for column, draw in enumerate(samples[i]):
                uniform[place, column] = derive_seed(draw.seed, len(draw.tokens)) * _UNIT
        mass = (scores[warm] / temperatures[:, None].to(scores.device)).softmax(1).cumsum(1)
        under = uniform.to(scores.device) * mass[:, -1:]
        drawn[warm] = torch.searchsorted(mass, under, right=True).clamp(max=scores.shape[1] - 1)
    for row, of_row in enumerate(samples):
        for column, draw in enumerate(of_row):
            if draw.forced:
                drawn[row, column] = draw.forced[len(draw.tokens)]
    return drawn


def draw_with(manager: Any, processor: Any) -> None:
    """Puts our draws in place of the library's list of logits processors, which it builds from names it knows."""
    processors = manager.logit_processor
    processors.logits_processor[:] = [processor]
    processors.tensors_required, processors.do_processing = 1, True
