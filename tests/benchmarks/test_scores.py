"""The order that each score gives to known samples, and log-probabilities compared with a plain forward pass."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch
from transformers import AutoModelForCausalLM

from benchmarks.gold import JudgedStep
from benchmarks.scores import Reader, cached_scores, ensemble, likelihood, majority, perplexity, rules
from rest_react.records import Candidate, Prompt, Step
from rest_react.selection.trained_judge import MARK
from rest_react.weights import encode_completion, encode_prompt, resolve_weights
from rest_react.weights.tiny import TINY

STATE = 'ORIGINAL_QUESTION = "Who wrote Middlemarch?"\nPAST_ACTIONS = []\n\n# step: decision\n'
USABLE = (0, 1, 2)


def search(query: str, tokens: int, logprob: float | None) -> Candidate:
    return Candidate(f'Search(query="{query}", thoughts="t")', tokens, logprob, "stop")


def step(*candidates: Candidate, violations: tuple[int, ...] = (0, 0, 0)) -> JudgedStep:
    return JudgedStep("q.0.0", "q", Step("decide", STATE, candidates, 0), (False, True, True), violations)


SHORT, LONG, UNKNOWN = search("wrote", 4, -2.0), search("who wrote Middlemarch", 10, -3.0), search("author", 4, None)


def test_perplexity_is_per_token_and_likelihood_is_not() -> None:
    judged = step(SHORT, LONG, UNKNOWN)
    assert perplexity(judged, USABLE) == [pytest.approx(-math.exp(0.5)), pytest.approx(-math.exp(0.3)), -math.inf]
    assert likelihood(judged, USABLE) == [-2.0, -3.0, -math.inf]
    assert perplexity(judged, (1,)) == [pytest.approx(-math.exp(0.3))]


def test_of_samples_with_one_target_the_likeliest_counts() -> None:
    ada, again, bob = (
        Candidate(f'ACTION_SELECTED = ActionWrapper(thoughts="t", action=Search(query={name}))', 10, logprob, "stop")
        for name, logprob in (('"Ada"', -4.0), ("'Ada'", -0.5), ('"Bob"', -2.0))
    )
    step = Step("decide", "state", (ada, again, bob), 0)
    judged = JudgedStep("q.0.0", "q", step, (True, True, False), (0, 0, 0))
    assert perplexity(judged, (0, 2)) == [pytest.approx(-math.exp(0.05)), pytest.approx(-math.exp(0.2))]


def test_rules_count_before_perplexity() -> None:
    judged = step(SHORT, LONG, UNKNOWN, violations=(0, 1, 2))
    scores = rules(judged, USABLE)
    assert scores == [pytest.approx(1 + math.exp(-0.5)), pytest.approx(math.exp(-0.3)), 0.0]


def test_majority_prefers_the_most_frequent_decision() -> None:
    assert majority(step(SHORT, LONG, LONG), USABLE) == [0.0, 1.0, 0.0]


def test_an_ensemble_adds_ranks_and_its_first_member_decides_on_a_tie() -> None:
    judged = step(SHORT, LONG, UNKNOWN)
    scores = ensemble(perplexity, likelihood)(judged, USABLE)
    assert max(USABLE, key=scores.__getitem__) == 1  # first and second, as the other is second and first
    assert min(USABLE, key=scores.__getitem__) == 2
    assert max(USABLE, key=ensemble(likelihood, perplexity)(judged, USABLE).__getitem__) == 0


def test_a_cached_score_is_computed_once_for_each_step() -> None:
    read = []

    def slow(judged: JudgedStep, usable: Sequence[int]) -> list[float]:
        read.append(judged.id)
        return perplexity(judged, usable)

    score, judged = cached_scores(slow), step(SHORT, LONG, UNKNOWN)
    assert score(judged, USABLE) == score(judged, USABLE) == perplexity(judged, USABLE)
    assert score(replace(judged, id="q.0.1"), USABLE) == perplexity(judged, USABLE)
    assert read == ["q.0.0", "q.0.1"]


@cache
def reader() -> Reader:
    return Reader(resolve_weights(TINY))


def logprob(state: str, output: str) -> float:
    """One sequence through the model, nothing cached, nothing padded."""
    own = reader()
    prompt = encode_prompt(own._tokenizer, Prompt("", state), "completion")
    target = encode_completion(own._tokenizer, output)
    model = AutoModelForCausalLM.from_pretrained(resolve_weights(TINY), dtype=torch.float32)
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *target]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    return float(logits[range(len(target)), target].sum())


def test_log_probabilities_equal_those_of_each_output_alone() -> None:
    outputs = [candidate.text for candidate in (SHORT, LONG, UNKNOWN)]
    assert reader().logprobs(STATE, outputs) == pytest.approx([logprob(STATE, text) for text in outputs], abs=1e-3)


def test_pmi_is_the_difference_that_the_question_makes_and_the_ranker_compares_yes_with_no() -> None:
    blind = STATE.replace("Who wrote Middlemarch?", "")
    judged = step(SHORT, LONG, UNKNOWN)
    assert reader().pmi(judged, (1,)) == pytest.approx(
        [logprob(STATE, LONG.text) - logprob(blind, LONG.text)], abs=1e-3
    )
    judged_output = f"{STATE}{SHORT.text}{MARK}"
    assert reader().good(judged, (0,)) == pytest.approx(
        [logprob(judged_output, " yes") - logprob(judged_output, " no")], abs=1e-3
    )
