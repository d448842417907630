"""The demonstrated questions on which a trained judge is measured: it is not trained on them.

    held_out_questions({"q1", "q2", "q3", "q4"}, 0.25, seed=7)       # {"q3"}

Not here: the accuracy on them (step_judge, outcome_judge).
"""

from collections.abc import Collection

from rest_react.seeds import derive_seed

HELD_OUT = "held_out.jsonl"  # the judge's scores on these questions


def held_out_questions(questions: Collection[str], share: float, seed: int) -> set[str]:
    """The questions of which nothing trains: this share of them, at least one, and at most all but one."""
    order = sorted(questions, key=lambda question: derive_seed(seed, "held out", question))
    return set(order[: min(max(1, round(share * len(order))), len(order) - 1)])
