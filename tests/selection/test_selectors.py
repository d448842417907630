"""The selectors on hand-made samples: which sample moves on, and which becomes the training target."""

import math
from dataclasses import replace
from typing import get_args

from rest_react.records import Candidate
from rest_react.selection.selectors import SELECTORS, SelectorName, choose
from rest_react.trajectories.parsed import ParsedAction


def candidate(text: str, logprob: float | None = -1.0, tokens: int = 1) -> Candidate:
    return Candidate(text, tokens, logprob, "stop")


def parsed(decisions: list[str | None]) -> list[ParsedAction]:
    """What samples with these decisions stand for; None stands for no action."""
    return [ParsedAction(None) if d is None else ParsedAction(d, "", d, d, complete=True) for d in decisions]


def test_every_name_that_the_settings_allow_is_a_selector() -> None:
    assert set(SELECTORS) == set(get_args(SelectorName))


def test_of_samples_with_equal_perplexity_the_first_is_chosen() -> None:
    assert choose([candidate("a"), candidate("b"), candidate("c")], parsed([None, "ada", "bob"]), "perplexity") == 1


def test_perplexity_is_per_token() -> None:
    long, short = candidate("a", logprob=-4.0, tokens=8), candidate("b", logprob=-1.0, tokens=1)
    assert (long.perplexity, short.perplexity) == (math.exp(0.5), math.exp(1.0))
    assert choose([short, long], parsed(["ada", "bob"]), "perplexity") == 1


def test_samples_are_compared_over_their_actions_only_where_all_have_them() -> None:
    whole = [candidate("a", -4.0, 4), candidate("b", -2.0, 4)]
    of_action = [replace(one, action_tokens=2, action_logprob=-0.1 * k) for k, one in enumerate(whole, start=1)]
    actions = [ParsedAction(one.text, "", one.text, one.text) for one in whole]
    assert choose(of_action, actions, "perplexity") == 0
    assert choose([of_action[0], whole[1]], actions, "perplexity") == 1


def test_without_log_probabilities_the_majority_decides() -> None:
    actions = ["stop", "ada", "ada"]
    unknown = [candidate("a", None), candidate("b", None), candidate("c", None)]
    assert choose(unknown, parsed(actions), "perplexity") == 1
    partly = [candidate("a", -0.1), candidate("b", None), candidate("c", -0.1)]
    assert choose(partly, parsed(actions), "perplexity") == 1
    assert choose([candidate("a"), candidate("b", -9.0), candidate("c")], parsed(actions), "majority") == 1


def test_unparsable_samples_need_no_log_probabilities() -> None:
    assert (
        choose(
            [candidate("", None), candidate("b", -2.0), candidate("c", -1.0)],
            parsed([None, "ada", "bob"]),
            "perplexity",
        )
        == 2
    )


def test_verified_chooses_the_likeliest_of_the_samples_without_violations() -> None:
    samples, actions = [candidate("a", -1.0), candidate("b", -9.0), candidate("c", -5.0)], parsed(["x", "y", "y"])
    assert choose(samples, actions, "verified", among=(1, 2)) == 2
    assert choose(samples, actions, "verified") == 0


def test_in_a_tied_vote_the_first_is_chosen() -> None:
    assert choose([candidate("x")] * 4, parsed(["bob", "ada", "ada", "bob"]), "majority") == 0


def test_first_chooses_the_first_parsable_sample() -> None:
    assert choose([candidate("x")] * 3, parsed([None, "stop", "ada"]), "first") == 1
    assert choose([candidate("x")], parsed([None]), "first") is None
    assert choose([], parsed([]), "majority") is None


def test_samples_that_cannot_be_chosen_still_vote() -> None:
    actions = ["paris", "lyon", "paris"]
    assert choose([candidate("x", None)] * 3, parsed(actions), "perplexity", among=(1, 2)) == 2
    assert choose([candidate("x")] * 2, parsed(["passed", "failed"]), "majority", among=()) is None
