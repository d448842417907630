"""What to choose a step's best candidate by: scores of its usable candidates, higher is better.

    perplexity(judged, (0, 2, 3))      # [-1.04, -1.31, -1.2]

    perplexity    the likeliest per token, as the default Improve does
    likelihood    the likeliest as a whole
    majority      the most frequent decision among the samples
    rules         as in the default's rollouts: the likeliest that violates no rule
    pmi           how much likelier the question makes the output: its log-probability by the policy, less that in the
                  same state without the question
    ranking       the reward model's order, from the ranking prompt; the likeliest where its reply is unusable
    ranker        log-odds of " yes" by a model tuned to tell good from bad (benchmarks.ranker)
    ensemble      the sum of the ranks that some of these give

None of them sees a label. Not here: which of them finds the right candidate (selection).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gold import JudgedStep
from rest_react.build import Parts
from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault
from rest_react.records import Prompt
from rest_react.seeds import derive_seed
from rest_react.selection.filters import usable_candidates
from rest_react.selection.selectors import choose
from rest_react.tasks.search_qa.step import parse_step
from rest_react.weights import encode_completion, encode_prompt

Scores = Callable[[JudgedStep, Sequence[int]], list[float]]

MARK = "\n# good:"
YES, NO = " yes", " no"
_QUESTION = re.compile(r"^ORIGINAL_QUESTION = .*$", re.MULTILINE)


def perplexity(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
    """Minus the perplexity."""
    return [-(judged.step.candidates[i].perplexity or math.inf) for i in usable]


def likelihood(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
    """The log-probability of the whole text."""
    return [-math.inf if (logprob := judged.step.candidates[i].logprob) is None else logprob for i in usable]


def majority(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
    """1 for the choice of `agent.select=majority`."""
    best = choose(judged.step.candidates, parse_step(judged.step).actions, "majority", among=usable)
    return [float(i == best) for i in usable]


def rules(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
    """The inverse of the perplexity, which is 1 at most; 1 more for a candidate that violates no rule."""
    return [(not judged.violations[i]) + 1 / (judged.step.candidates[i].perplexity or math.inf) for i in usable]


def ensemble(*members: Scores) -> Scores:
    """Minus the sum of the ranks that the members give; between equals the first member decides."""

    def scores(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        given = [member(judged, usable) for member in members]
        totals = [sum(sum(other > own[place] for other in own) for own in given) for place in range(len(usable))]
        order = sorted(range(len(usable)), key=given[0].__getitem__)
        return [1e-3 * order.index(place) - total for place, total in enumerate(totals)]

    return scores


def remembered(scores: Scores) -> Scores:
    """The same, worked out once for each step, however many ask."""
    found: dict[str, list[float]] = {}

    def known(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        if judged.id not in found:
            found[judged.id] = scores(judged, usable)
        return found[judged.id]

    return known


def ranking(orders: Mapping[str, Sequence[int]]) -> Scores:
    """Minus the place in the reward model's order, by the step's id; `perplexity` where there is none."""

    def scores(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        order = orders.get(judged.id)
        return [-float(order.index(place)) for place in range(len(usable))] if order else perplexity(judged, usable)

    return scores


async def asked(parts: Parts, mixed: Sequence[JudgedStep]) -> dict[str, Sequence[int]]:
    """The reward model's order of the usable candidates by step id, where its reply can be used."""
    reward_model = parts.reward_model()
    assert reward_model is not None, "improve.selector=reward_model"
    orders: dict[str, Sequence[int]] = {}
    owed = iter(mixed)

    async def worker() -> None:
        for judged in owed:
            shown = [judged.step.candidates[i].text for i in usable_candidates(parse_step(judged.step))]
            try:
                opinion = await reward_model.rank(judged.step.state, shown, seed=derive_seed(0, judged.id))
            except ModelFault:
                continue
            if opinion.order:
                orders[judged.id] = opinion.order

    try:
        await gather_or_cancel(worker() for _ in range(parts.settings.policy.in_flight))
    finally:
        await reward_model.llm.aclose()
    return orders


class Reader:
    """Log-probabilities of texts by a model's own weights, in float32."""

    def __init__(self, weights: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(weights)
        self._model: Any = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32)

    def pmi(self, judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        """How much the question adds to each candidate's log-probability."""
        state, texts = judged.step.state, [judged.step.candidates[i].text for i in usable]
        blind = _QUESTION.sub('ORIGINAL_QUESTION = ""', state)
        pairs = zip(self.logprobs(state, texts), self.logprobs(blind, texts), strict=True)
        return [seeing - unseeing for seeing, unseeing in pairs]

    def good(self, judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        """Log-odds of " yes" against " no" after the state and each candidate."""
        states = [f"{judged.step.state}{judged.step.candidates[i].text}{MARK}" for i in usable]
        odds = [self.logprobs(state, (YES, NO)) for state in states]
        return [yes - no for yes, no in odds]

    def logprobs(self, state: str, outputs: Sequence[str]) -> list[float]:
        """Of each output after the state, which is read once. The end of the output counts."""
        import torch

        prompt = encode_prompt(self._tokenizer, Prompt("", state), "completion")
        tokens = [encode_completion(self._tokenizer, output) for output in outputs]
        width = max(map(len, tokens))
        rows = torch.tensor([[prompt[-1], *own[:-1]] + [0] * (width - len(own)) for own in tokens])
        with torch.inference_mode():
            cache = self._model(torch.tensor([prompt[:-1]]), use_cache=True, logits_to_keep=1).past_key_values
            cache.batch_repeat_interleave(len(tokens))
            logprobs = self._model(rows, past_key_values=cache).logits.log_softmax(-1)
        return [float(sum(logprobs[row, at, token] for at, token in enumerate(own))) for row, own in enumerate(tokens)]
