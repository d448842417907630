"""Questions that two sets of a run share: refused, or told before the run starts.

    refuse_shared_questions(settings, question_sets, grown, {"bamboogle": asked})   # ConfigError, or notes

A question of a benchmark that trains makes the benchmark's number worthless; `grow.allow_overlap` names exceptions.
Not here: which questions are nearly equal, and which texts nearly repeat another (questions.overlaps).
"""

from collections.abc import Mapping, Sequence

from rest_react.build.question_sets import QuestionSets
from rest_react.config.checks.question_sets import benchmarks_for_testing
from rest_react.config.settings import Settings
from rest_react.errors import ConfigError
from rest_react.questions import refuse_overlap, refuse_overlap_of_demonstrations, unlabelled
from rest_react.questions.overlaps.near_duplicates import near_duplicates
from rest_react.questions.overlaps.overlap import overlap
from rest_react.records import Question
from rest_react.terminal.console import say


def refuse_shared_questions(
    settings: Settings, sets: QuestionSets, grown: Sequence[Question], asked: Mapping[str, Sequence[Question]]
) -> None:
    """Compares the questions of Grow, of the demonstrations and of the prompts with those of each benchmark, and those
    of a chain with each other. Other rows of the demonstrations are not in Grow (question_sets)."""
    own = settings.demonstrations.questions is not None and not settings.synthetic.n
    taught = unlabelled(sets.demonstrated.demonstrations) if own else []
    refuse_grown_questions(settings, grown, asked, setting="grow.questions")
    searches = settings.task.searches
    solved = unlabelled(settings.task.solved_questions())
    refuse_overlap(solved, asked, (), asked, setting="task.solved", near=searches)
    if taught and searches and settings.start == "demonstrations":  # a chain leads to the gold answer
        refuse_overlap_of_demonstrations(taught, grown if settings.iteration else [], asked)
    elif taught:  # rows with labels: no setting allows them in a benchmark
        refuse_overlap(taught, asked, (), asked, setting="demonstrations.questions", near=searches)
    if not searches and settings.task.demonstrates_rows:
        _tell_near_duplicates([*taught, *(grown if settings.iteration else ())], asked)


def refuse_grown_questions(
    settings: Settings, grown: Sequence[Question], asked: Mapping[str, Sequence[Question]], *, setting: str
) -> None:
    """Compares questions of Grow with those of each benchmark; `setting` is where the former are from. A benchmark
    whose answers choose the policy may have none of them, whatever is allowed: labels do not reach Grow."""
    tested, chosen_by = benchmarks_for_testing(settings), settings.evaluate.choose_by
    if chosen_by in settings.grow.allow_overlap and (
        pairs := overlap(grown, asked.get(chosen_by, ()), near=settings.task.searches)
    ):
        shared = len({question.id for question, _ in pairs})
        told = (
            f"evaluate.choose_by: {shared} of {len(grown)} questions of {setting} are in {chosen_by}, whose answers "
            "would choose the policy; choose by a benchmark with other questions, or set evaluate.choose_by=null and "
            "finetune.snapshots=1"
        )
        raise ConfigError([told])
    allowed, near = settings.grow.allow_overlap, settings.task.searches
    for note in refuse_overlap(grown, asked, allowed, tested, setting=setting, near=near):
        say(f"note: {note}")


def _tell_near_duplicates(trained: Sequence[Question], asked: Mapping[str, Sequence[Question]]) -> None:
    """A note for each benchmark with texts that nearly repeat one that trains. They are not refused: texts from a form
    may be different cases."""
    for name, questions in asked.items():
        if pairs := near_duplicates(trained, questions):
            ours, theirs = pairs[0]
            say(
                f"note: evaluate.benchmarks.{name}: {len(pairs)} of {len(questions)} texts nearly repeat a text that "
                f"trains, e.g. {theirs.id} and {ours.id}; the model may remember their labels"
            )
