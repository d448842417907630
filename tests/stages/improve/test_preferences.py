"""Preferences: which candidate of a step is the rejected one, and which steps give a row."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.records import Candidate, Preference, Ranking, Step, Trajectory
from rest_react.stages.improve.improve import EXAMPLES, RANKINGS
from rest_react.stages.improve.preferences import preferences, rejected_candidate
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.storage.jsonl import replace_lines
from rest_react.tasks.search_qa.actions import Search
from rest_react.tasks.search_qa.step import parse_step
from rest_react.tasks.search_qa.task import SearchQA
from tests.stages.improve.test_improve import (
    ADA,
    BOB,
    CAT,
    answers,
    candidate,
    decide,
    run,
    targets_of,
    text,
    trajectory_of,
    usable_candidates,
)

EMPTY = Search("", "x")


def rejected(step: Step, best: int, order: tuple[int, ...] = (), status: str = "ranked") -> str:
    ranking = Ranking("q.0.0", "decide", "any", status, best, order)
    return rejected_candidate(parse_step(step), usable_candidates(step), ranking)


def test_the_last_candidate_of_a_ranking_is_rejected() -> None:
    step = decide(candidate(ADA), candidate(BOB), candidate("prose"), candidate(CAT))
    assert rejected(step, best=1, order=(1, 3, 0)) == text(ADA)


def test_without_a_ranking_the_unusable_candidate_with_the_lowest_perplexity_is_rejected() -> None:
    step = decide(candidate(ADA, 0.1), candidate("prose", 3.0), candidate(EMPTY, 2.0), candidate(BOB, 1.0))
    assert rejected(step, best=0) == text(EMPTY)


def test_if_every_candidate_is_usable_the_other_one_with_the_lowest_perplexity_is_rejected() -> None:
    step = decide(candidate(ADA, 2.0), candidate(BOB, 1.0), candidate(CAT, None), candidate(ADA, 0.5))
    assert rejected(step, best=0) == text(BOB)


@pytest.mark.parametrize("status", ["fallback", "errored"])
def test_after_a_failed_ranking_only_an_unusable_candidate_is_rejected(status: str) -> None:
    assert rejected(decide(candidate(ADA), candidate(BOB)), best=0, status=status) == ""
    assert rejected(decide(candidate(ADA), candidate(BOB), candidate("prose")), best=0, status=status) == "prose"


def test_in_a_rejected_trajectory_a_search_that_no_kept_one_made_is_not_known_to_be_worse(tmp_path: Path) -> None:
    def one(id_: str, answer: str, *searches: Search) -> Trajectory:
        return replace(trajectory_of(decide(*map(candidate, searches)), id_=id_), answer=answer)

    grown = [one("q.0", "Vell.", BOB), one("q.1", "It is Vell.", BOB), one("q.2", "Gar.", BOB, CAT)]
    rules = {"keep_trajectories": "agreeing", "rejected_trajectories": "good_steps", "selector": "reward_model"}
    rankings, examples, _ = run(tmp_path, grown, model=answers([]), **rules)
    assert (rankings[-1].id, rankings[-1].order, examples[-1].id) == ("q.2.0", (), "q.2.0")
    fallback = [*rankings[:-1], replace(rankings[-1], status="fallback")]
    for of_last, worse in ((rankings, [text(CAT)]), (fallback, [])):
        replace_lines(tmp_path / "improve" / RANKINGS, of_last)
        found = preferences(
            SearchQA(), tmp_path / "trajectories.jsonl", tmp_path / "improve" / RANKINGS, examples, Rules(**rules)
        )
        assert [one.rejected for one in found] == worse


@pytest.mark.parametrize("finish", ["length", "slip"])
def test_what_was_cut_off_or_scripted_as_a_slip_is_not_rejected(finish: str) -> None:
    assert rejected(decide(candidate(ADA), candidate(BOB, finish=finish)), best=0) == ""


def test_a_step_gives_one_row_with_its_state_its_example_and_the_rejected_text(tmp_path: Path) -> None:
    alike = decide(candidate(CAT), candidate(CAT, 2.0), state="alike")
    one = decide(candidate(ADA), candidate(BOB, 2.0), state="one")
    last = decide(candidate(BOB), candidate("prose"))
    _, examples, _ = run(tmp_path, [trajectory_of(one, alike, last), trajectory_of(alike, id_="r.0")])
    rows = list(rows_of(tmp_path, examples))
    assert rows == [
        Preference("q.0.0", "q.0", 0, "decide", "one", text(ADA), "perplexity", rejected=text(BOB)),
        Preference("q.0.2", "q.0", 2, "decide", "a state", text(BOB), "perplexity", rejected="prose"),
    ]
    assert list(rows_of(tmp_path, examples[2:])) == rows[1:]  # a draw of the examples


def test_trajectories_that_are_not_likely_enough_have_no_preferences(tmp_path: Path) -> None:
    likely = trajectory_of(decide(candidate(ADA), candidate(BOB, 2.0), state="one"))
    unlikely = trajectory_of(decide(candidate(ADA, 9.0), candidate(BOB, 9.0), state="two"), id_="r.0")
    _, examples, _ = run(tmp_path, [unlikely, likely], likeliest=0.5)
    rows = list(rows_of(tmp_path, examples, likeliest=0.5))
    assert rows == [Preference("q.0.0", "q.0", 0, "decide", "one", text(ADA), "perplexity", rejected=text(BOB))]


def rows_of(folder: Path, examples: list, likeliest: float | None = None) -> list[Preference]:
    stage = folder / "improve"
    assert (stage / EXAMPLES).exists()
    rules = Rules("perplexity", likeliest=likeliest)
    return list(preferences(SearchQA(), folder / "trajectories.jsonl", stage / RANKINGS, examples, rules))


CANDIDATES = st.lists(
    st.builds(
        candidate,
        st.sampled_from([ADA, BOB, CAT, EMPTY, "prose", "", " \n"]),
        st.one_of(st.none(), st.floats(0.1, 5)),
        st.sampled_from(["stop", "length", "slip"]),
    ),
    min_size=1,
    max_size=6,
)


@given(st.data(), CANDIDATES)
def test_the_rejected_text_is_never_the_chosen_one_and_always_a_candidate_s(
    data: st.DataObject, candidates: list[Candidate]
) -> None:
    step = decide(*candidates, chosen=None)
    usable = usable_candidates(step)
    if not usable:
        return
    order = tuple(data.draw(st.permutations(usable)))
    best = order[0]
    ranked = data.draw(st.booleans()) and len(usable) > 1
    found = rejected(step, best, order if ranked else (), data.draw(st.sampled_from(["ranked", "fallback"])))
    targets = targets_of(step)
    if found:
        assert found.strip() not in ("", targets[best].strip())
        assert found in {target or sample.text for target, sample in zip(targets, candidates, strict=True)}
    if len({target or sample.text for target, sample in zip(targets, candidates, strict=True)}) == 1:
        assert found == ""
    assert asdict(step) == asdict(decide(*candidates, chosen=None))
