"""The selection table, compared with numbers computed by hand."""

from benchmarks.gold import JudgedStep
from benchmarks.scores import perplexity
from benchmarks.selection import right_choices, table
from rest_react.records import Candidate, Step


def judged(question: str, kind: str, right: tuple[bool | None, ...], logprobs: tuple[float, ...]) -> JudgedStep:
    texts = (f'Search(query="{i}", thoughts="t")' for i in range(len(right)))
    candidates = tuple(Candidate(text, 1, logprob, "stop") for text, logprob in zip(texts, logprobs, strict=True))
    return JudgedStep(f"{question}.0.0", question, Step(kind, "", candidates, 0), right, (0,) * len(right))  # type: ignore[arg-type]


MIXED = [
    judged("q1", "decide", (True, False, False), (-1.0, -2.0, -3.0)),
    judged("q1", "decide", (False, True), (-1.0, -2.0)),
    judged("q2", "decide", (True, False), (-1.0, -2.0)),
]


def test_a_random_choice_counts_by_its_chance_and_a_score_by_its_choice() -> None:
    assert right_choices(MIXED, None) == {kind: {"q1": [1 / 3, 0.5], "q2": [0.5]} for kind in ("decide", "all")}
    assert right_choices(MIXED, perplexity) == {kind: {"q1": [1.0, 0.0], "q2": [1.0]} for kind in ("decide", "all")}


def test_the_paired_difference_equals_the_difference_of_the_shares() -> None:
    results = {"random": right_choices(MIXED, None), "perplexity": right_choices(MIXED, perplexity)}
    steps = [*MIXED, judged("q3", "decide", (True, None), (-1.0, -1.0)), judged("q3", "decide", (False,), (-1.0,))]
    head, _, heads, _, random, best = table(steps, MIXED, results | {"rules": results["perplexity"]}).splitlines()[:6]
    assert head == "5 steps: 1 without a wrong candidate, 1 without a right one, 3 mixed (of 2 questions)."
    assert heads == "| selector | all | decide (n=3) | - perplexity | - rules |"
    assert random.startswith("| random | 44% [")
    assert "| -22 [" in random  # 4/9 less 2/3
    assert best.startswith("| perplexity | 67% [")
    assert best.endswith("|  |  |")
