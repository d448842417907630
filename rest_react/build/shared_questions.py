"""Questions that two sets of a run share: refused, or told before the run starts.

    refuse_shared_questions(settings, question_sets, grown, {"bamboogle": asked})   # ConfigError, or notes

A question of a benchmark that trains makes the benchmark's number worthless; `grow.allow_overlap` names exceptions.
Not here: which questions are nearly equal (questions).
"""

from collections.abc import Mapping, Sequence

from rest_react.build.question_sets import QuestionSets
from rest_react.config.checks.question_sets import benchmarks_for_testing
from rest_react.config.settings import Settings
from rest_react.questions import refuse_overlap, refuse_overlap_of_demonstrations, unlabelled
from rest_react.records import Question
from rest_react.terminal.console import say


def refuse_shared_questions(
    settings: Settings, sets: QuestionSets, grown: Sequence[Question], asked: Mapping[str, Sequence[Question]]
) -> None:
    """Compares the questions of Grow and of the demonstrations with those of each benchmark, and with each other."""
    own = settings.demonstrations.questions is not None and not settings.synthetic.n
    taught = unlabelled(sets.demonstrated.demonstrations) if own else []
    tested = benchmarks_for_testing(settings)
    for note in refuse_overlap(grown, asked, settings.grow.allow_overlap, tested, setting="grow.questions"):
        say(f"note: {note}")
    if taught and settings.task.searches and settings.start == "demonstrations":  # a chain leads to the gold answer
        refuse_overlap_of_demonstrations(taught, grown if settings.iteration else [], asked)
    elif taught:  # rows with labels: no setting allows them in a benchmark
        refuse_overlap(taught, asked, (), asked, setting="demonstrations.questions")
    if settings.task.searches or settings.start != "demonstrations" or not settings.iteration:
        return
    if again := _same_texts(taught, grown):
        say(
            f"note: grow.questions: {again} of {len(grown)} rows are also rows of demonstrations.questions, whose "
            "labels the policy has learnt before it answers them. For a loop without labels give Grow other rows: "
            "draw=first or random and the same seed for both, and grow.questions.skip=<demonstrations.questions.n>"
        )


def _same_texts(taught: Sequence[Question], grown: Sequence[Question]) -> int:
    known = {question.text for question in taught}
    return sum(question.text in known for question in grown)
