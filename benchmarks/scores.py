"""Scores by which a selector chooses a step's best candidate: one number per usable candidate, higher is better.

    perplexity(judged, (0, 2, 3))      # [-1.04, -1.31, -1.2]

    perplexity    the lowest perplexity per token, like the default Improve
    likelihood    the highest log-probability of the whole output
    majority      the most frequent decision among the samples
    rules         the lowest perplexity without a rule violation, like the default rollouts
    pmi           the log-probability of the output by the policy, minus that in the same state without the question
    ranker        the log-odds of " yes" by a model tuned to tell good outputs from bad ones (stages.judge.step_judge)
    ensemble      the sum of the ranks that some of these give

No score sees a label.
Not here: the reward model's (asked), and how often each score chooses a right candidate (selection).
"""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.gold import JudgedStep
from rest_react.llm.option_scores import log_sum, spellings
from rest_react.records import Prompt
from rest_react.selection.selectors import choose
from rest_react.selection.trained_judge import NO, YES, shown_to_judge
from rest_react.storage.jsonl import JsonLines, read_lines
from rest_react.tasks.search_qa.step import parse_step
from rest_react.weights import encode_completion, encode_prompt

Scores = Callable[[JudgedStep, Sequence[int]], list[float]]

_QUESTION = re.compile(r"^ORIGINAL_QUESTION = .*$", re.MULTILINE)


def perplexity(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
    """Minus the perplexity, of several samples with one target the lowest, as in Improve."""
    targets = [action.target for action in parse_step(judged.step).actions]
    found: dict[object, float] = {}
    for i, one in enumerate(judged.step.candidates):
        target = targets[i] or i
        found[target] = min(found.get(target, math.inf), one.perplexity or math.inf)
    return [-found[targets[i] or i] for i in usable]


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
    """Minus the sum of the ranks that the members give; on a tie the first member decides."""

    def scores(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        by_member = [member(judged, usable) for member in members]
        totals = [sum(sum(other > own[index] for other in own) for own in by_member) for index in range(len(usable))]
        order = sorted(range(len(usable)), key=by_member[0].__getitem__)
        return [1e-3 * order.index(index) - total for index, total in enumerate(totals)]

    return scores


def cached_scores(scores: Scores) -> Scores:
    """The same scores, computed once for each step."""
    cache: dict[str, list[float]] = {}

    def lookup(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        if judged.id not in cache:
            cache[judged.id] = scores(judged, usable)
        return cache[judged.id]

    return lookup


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """The log-probabilities of some outputs after a state; `id` is a hash of the texts."""

    id: str
    logprobs: tuple[float, ...]


class Reader:
    """Computes log-probabilities of texts by a model, in float32. With a `cache`, a file of its own for each model,
    texts that it has read before are not read again, and the model is not loaded for them."""

    def __init__(self, weights: Path | str, cache: Path | None = None) -> None:
        self._weights = weights
        self._log = None if cache is None else JsonLines(cache, ReadTexts)
        self._known = {} if cache is None else {one.id: one.logprobs for one in read_lines(cache, ReadTexts)}
        if self._log is not None:
            self._log.resume()

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self._weights)

    @cached_property
    def _model(self) -> Any:
        import torch
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(self._weights, dtype=torch.float32)

    def count(self, text: str) -> int:
        """The number of tokens of a text, without the end token; at least 1."""
        return max(1, len(encode_completion(self._tokenizer, text)) - 1)

    def pmi(self, judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        """The difference that the question makes to each candidate's log-probability."""
        state, texts = judged.step.state, [judged.step.candidates[i].text for i in usable]
        blind = _QUESTION.sub('ORIGINAL_QUESTION = ""', state)
        pairs = zip(self.logprobs(state, texts), self.logprobs(blind, texts), strict=True)
        return [with_question - without for with_question, without in pairs]

    def good(self, judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        """Log-odds of " yes" against " no" after the state and each candidate."""
        states = [shown_to_judge(judged.step.state, judged.step.candidates[i].text) for i in usable]
        odds = [self.logprobs(state, (YES, NO)) for state in states]
        return [yes - no for yes, no in odds]

    def beginning(self, state: str, text: str) -> float:
        """The log-probability that the output begins with a text, in any of its spellings: what a filter of Improve
        that reads is told of it (`LLM.score`)."""
        distinct = {tuple(encode_completion(self._tokenizer, one)): one for one in spellings(text)}
        return log_sum(self.logprobs(state, list(distinct.values()), ended=False))

    def logprobs(self, state: str, outputs: Sequence[str], *, ended: bool = True) -> list[float]:
        """The log-probability of each output after the state, with its end token if it is `ended`. The state is read
        once."""
        read = (state, *outputs) if ended else ("without end", state, *outputs)
        id_ = hashlib.sha256("\0".join(read).encode("utf-8", "replace")).hexdigest()[:24]
        if id_ not in self._known:
            self._known[id_] = tuple(self._read(state, outputs, ended=ended))
            if self._log is not None:
                self._log.append(ReadTexts(id_, self._known[id_]))
        return list(self._known[id_])

    def _read(self, state: str, outputs: Sequence[str], *, ended: bool) -> list[float]:
        import torch

        prompt = encode_prompt(self._tokenizer, Prompt("", state), "completion")
        tokens = [encode_completion(self._tokenizer, output) for output in outputs]
        width = max(map(len, tokens))
        rows = torch.tensor([[prompt[-1], *own[:-1]] + [0] * (width - len(own)) for own in tokens])
        with torch.inference_mode():
            cache = self._model(torch.tensor([prompt[:-1]]), use_cache=True, logits_to_keep=1).past_key_values
            cache.batch_repeat_interleave(len(tokens))
            logprobs = self._model(rows, past_key_values=cache).logits.log_softmax(-1)
        counted = enumerate(tokens if ended else [own[:-1] for own in tokens])
        return [float(sum(logprobs[row, at, token] for at, token in enumerate(own))) for row, own in counted]
