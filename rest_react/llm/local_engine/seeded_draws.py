"""How the engine draws tokens: one uniform number for each, derived from (seed, sample, position).

    manager = model.init_continuous_batching(...)
    draw_with(manager, seeded_draws(draws, eos, tokenizer))      # `draws` maps a request's id to its `Draw`

So, but for rounding, what a sample says depends neither on what else is in the batch nor on the order of arrival.
Log-probabilities are the model's own, before temperature.
Not here: requests, and what becomes of the drawn tokens (transformers_engine).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rest_react.seeds import derive_seed

if TYPE_CHECKING:
    import torch

_UNIT = 2.0**-63


@dataclass(slots=True)
class Draw:
    """One sample in flight: how it draws, what it drew. `forced` are tokens to take instead of drawn ones, so that
    `logprobs` are those of a given text."""

    seed: int
    temperature: float
    stop: tuple[str, ...]
    done: Callable[[Any], None]
    prefilled: Callable[[], None] | None
    forced: Sequence[int] = ()
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False


def seeded_draws(draws: dict[str, Draw], eos: int, tokenizer: Any) -> Any:
    """The logits processor that draws every token itself, by inverse transform, and leaves only that token possible."""
    import torch
    from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessor

    class SeededDraws(ContinuousBatchingLogitsProcessor):
        supported_kwargs: dict[str, type] = {}  # noqa: RUF012
        ignored_kwargs: tuple[str, ...] = ()

        def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
            int32_tensor.zero_()

        def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
            self.batch = [(draws[r.state.request_id], r.state.generated_tokens) for r in requests_with_new_token]
            return torch.zeros(len(self.batch), dtype=torch.int32)

        def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
            # Sequences whose prompt is still being read have a row too, behind the others and without meaning.
            known = scores[: len(self.batch)]
            ended = [_has_stopped(draw, generated, tokenizer) for draw, generated in self.batch]
            drawn = _draw_tokens(known, [(draw, len(draw.logprobs)) for draw, _ in self.batch])
            for row, (draw, _) in enumerate(self.batch):
                if draw.forced:
                    drawn[row] = draw.forced[len(draw.logprobs)]
            logprobs = known.gather(1, drawn[:, None])[:, 0] - known.logsumexp(1)
            for row, (draw, _) in enumerate(self.batch):
                if not ended[row]:
                    draw.logprobs.append(float(logprobs[row]))
                else:
                    drawn[row] = eos
                if draw.prefilled is not None:
                    draw.prefilled()
                    draw.prefilled = None
            only = torch.full_like(scores, float("-inf"))
            only[: len(self.batch)].scatter_(1, drawn[:, None], 0.0)
            return only

    return SeededDraws()


def _has_stopped(draw: Draw, generated: list[int], tokenizer: Any) -> bool:
    """Whether a stop string stands in the text; its tail is enough to look at, token by token."""
    if draw.stop and generated:
        tail = tokenizer.decode(generated[-8:])
        draw.stopped = draw.stopped or any(mark in tail for mark in draw.stop)
    return draw.stopped


def _draw_tokens(scores: "torch.Tensor", draws: Sequence[tuple[Draw, int]]) -> "torch.Tensor":
    """One token for each row of scores [rows, vocabulary]: the likeliest at temperature 0, else the one under which
    the row's own uniform number falls."""
    import torch

    greedy = torch.tensor([draw.temperature == 0 for draw, _ in draws])
    best = scores.argmax(1)
    if bool(greedy.all()):
        return best
    temperatures = torch.tensor([draw.temperature or 1.0 for draw, _ in draws], dtype=scores.dtype)
    uniform = torch.tensor([derive_seed(draw.seed, at) * _UNIT for draw, at in draws], dtype=scores.dtype)
    mass = (scores / temperatures[:, None].to(scores.device)).softmax(1).cumsum(1)
    under = uniform.to(scores.device)[:, None] * mass[:, -1:]
    drawn = torch.searchsorted(mass, under, right=True)[:, 0].clamp(max=scores.shape[1] - 1)
    return torch.where(greedy.to(scores.device), best, drawn)


def draw_with(manager: Any, processor: Any) -> None:
    """Puts our draws in place of the library's list of logits processors, which it builds from names it knows."""
    processors = manager.logit_processor
    processors.logits_processor[:] = [processor]
    processors.tensors_required, processors.do_processing = 1, True
