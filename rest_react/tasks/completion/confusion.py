"""The confusion matrix of labelled answers, and precision, recall and F1 of each label.

    confusion([("Card", "Card"), ("Card", "Loan"), ("Loan", None)], ("Card", "Loan")).per_class[0]
    # PerClass(label="Card", answers=2, precision=1.0, recall=0.5, f1=0.667)

Each answer is a pair (gold, answer), so with repeats an item has several; an answer outside the label set, or none, is
None. A gold outside the set has a line
of its own and F1 0, since it can never be answered. Precision is None where a label was never answered, F1 then 0.
Not here: intervals of accuracy (reporting.results.rows), and how an output is read (label).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rest_react.records import Result
from rest_react.tasks.completion.label import label_key
from rest_react.tasks.protocol import ResultTable

OTHER = "(no label)"


@dataclass(frozen=True, slots=True)
class PerClass:
    """The figures of one label."""

    label: str
    answers: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts[i][j]`: how often items of gold `golds[i]` were answered with `answers[j]`; the last answer is none."""

    golds: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    per_class: tuple[PerClass, ...]

    @property
    def macro_f1(self) -> float:
        """The mean F1 over the labels of the golds."""
        own = [one.f1 for one in self.per_class if one.answers]
        return sum(own) / max(len(own), 1)


def confusion(pairs: Sequence[tuple[str, str | None]], labels: Sequence[str]) -> Confusion:
    """The matrix of these answers; its columns are the labels in their order, and `OTHER`."""
    columns = (*labels, OTHER)
    golds = (*labels, *sorted({gold for gold, _ in pairs if gold not in labels}))
    tally = Counter((gold, OTHER if answer is None or answer not in labels else answer) for gold, answer in pairs)
    counts = tuple(tuple(tally[gold, answer] for answer in columns) for gold in golds)
    return Confusion(golds, columns, counts, tuple(_per_class(label, tally, golds, columns) for label in golds))


def _per_class(label: str, tally: Counter[tuple[str, str]], golds: Sequence[str], columns: Sequence[str]) -> PerClass:
    right = tally[label, label]
    answers = sum(tally[label, answer] for answer in columns)
    answered = sum(tally[gold, label] for gold in golds)
    return PerClass(
        label,
        answers,
        right / answered if answered else None,
        right / answers if answers else None,
        2 * right / (answers + answered) if answers + answered else 0.0,
    )


def confusion_tables(results: Iterable[Result], labels: Sequence[str]) -> Iterator[ResultTable]:
    """The matrix and the figures by label. Answers that were lost outside are left out."""
    by_key = {label_key(label): label for label in labels}
    pairs = [
        (
            by_key.setdefault(label_key(gold := _gold(result)), gold),
            result.answer if result.fault is None else None,
        )
        for result in results
        if result.fault is None or result.fault.whose == "model"
    ]
    if not pairs:
        return
    found = confusion(pairs, labels)
    lines = tuple((gold, *map(str, row)) for gold, row in zip(found.golds, found.counts, strict=True))
    yield ResultTable("Confusion: gold in lines, answers in columns", ("", *found.answers), lines)
    figures = tuple(
        (one.label, str(one.answers), _share(one.precision), _share(one.recall), f"{one.f1:.3f}")
        for one in found.per_class
    )
    mean = ("mean over labels (macro)", str(len(pairs)), "", "", f"{found.macro_f1:.3f}")
    yield ResultTable("By label", ("", "answers", "precision", "recall", "F1"), (*figures, mean))


def _gold(result: Result) -> str:
    """The gold answer that was given, since any of them is right; the first if none was."""
    key = label_key(result.answer) if result.fault is None else None
    return next((gold for gold in result.golds if label_key(gold) == key), result.golds[0])


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
