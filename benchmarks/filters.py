"""The comparison of filters, made from the published results: two tables in Markdown and a picture.

    python -m benchmarks.filters                                       # the tables of docs/results/README.md
    python -m benchmarks.filters --picture docs/images/filters.svg     # the picture of the README

A column is a built-in world, a row one kind of training data beside the demonstrations (an *arm*). A cell holds the
accuracy after one iteration and its difference to the restart control of the same world. With several trainings
intervals are over questions and trainings (metrics.trainings), with one over questions alone (metrics.intervals).
Not here: runs of your own (`python -m rest_react.report`), and how the arms were run (docs/ablations.md).
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from rest_react.metrics.intervals import clustered_interval, paired_difference
from rest_react.metrics.number_formats import Difference, change, percent, span
from rest_react.metrics.trainings import Answers, difference_over_trainings, mean_over_trainings
from rest_react.reporting.results.results_json import read_results, scores_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
# How the files of a world begin, and the heading of its column.
WORLDS = {
    "world_27182": "27182: 12 demonstrations",
    "world_14142": "14142: 12 demonstrations",
    "world_57721": "57721: 12 demonstrations",
    "world_16180_slow": "16180: 24 demonstrations",
}
SAME_SETTINGS = ("world_27182", "world_14142", "world_57721")
CONTROL, RULES = "restart", "verified"
# The next part of the files' names, and which trajectories train beside the demonstrations.
ARMS = {
    CONTROL: "restart control: demonstrations alone",
    "perplexity": "no filter",
    "agreeing": "two trajectories agree",
    "judged": "trained judge of answers",
    "judged_better": "judge's better half",
    "corroborated_better": "corroborated, judge's better half",
    "reader_agrees": "reader",
    "reader_and_judge": "reader and judge",
    "reader_two_passages": "reader, two passages",
    "reader_and_judge_two_passages": "reader and judge, two passages",
    RULES: "rules of the built-in world",
    "gold": "gold answers (labels)",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm in one world: accuracy and its difference to the control (None for the control)."""

    accuracy: Difference
    gain: Difference | None
    trainings: int


def cells(results: Path = RESULTS) -> dict[str, dict[str, Cell]]:
    """By arm, then by world; iteration 0 is the arm `start`. Arms without a file and worlds without a control are left
    out."""
    found: dict[str, dict[str, Cell]] = {}
    for world in WORLDS:
        control = _trainings(results, f"{world}_{CONTROL}", 1)
        if not control:
            continue
        start = _trainings(results, f"{world}_{CONTROL}", 0)[:1]  # the trainings share iteration 0
        found.setdefault("start", {})[world] = Cell(_mean(start), None, 1)
        for arm in ARMS:
            if given := _trainings(results, f"{world}_{arm}", 1):
                gain = None if arm == CONTROL else _difference(given, control)
                found.setdefault(arm, {})[world] = Cell(_mean(given), gain, len(given))
    return found


def table(results: Path = RESULTS) -> str:
    """The table in Markdown; ¹ marks a cell of one training."""
    found = cells(results)
    worlds = [world for world in WORLDS if world in found[CONTROL]]
    lines = [["filter of trajectories", *(WORLDS[world] for world in worlds)]]
    lines += [["---"] * len(lines[0])]
    for arm, label in {"start": "before: iteration 0", **ARMS}.items():
        if arm in found:
            lines.append([label, *(_text(found[arm].get(world)) for world in worlds)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def table_over_worlds(results: Path = RESULTS) -> str:
    """The arms that several worlds of the same settings have: their differences over the questions of these worlds, in
    Markdown. A question's score is its mean over trainings; intervals are over questions alone."""
    lines = [["filter of trajectories", "worlds", "questions", "minus the restart control", "minus the rules"]]
    lines += [["---"] * len(lines[0])]
    for arm, label in ARMS.items():
        worlds = [
            one for one in SAME_SETTINGS if all(_trainings(results, f"{one}_{a}", 1) for a in (arm, CONTROL, RULES))
        ]
        if arm == CONTROL or len(worlds) < 2:
            continue
        ours, *others = (_together(results, worlds, one) for one in (arm, CONTROL, RULES))
        differences = [change(paired_difference(ours, other)) for other in others]
        lines.append([label, str(len(worlds)), str(len(ours)), differences[0], "" if arm == RULES else differences[1]])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def picture(results: Path = RESULTS) -> str:
    """The differences to the control with their intervals, as SVG: one panel a world, one line an arm."""
    found = cells(results)
    worlds = {world: title for world, title in WORLDS.items() if world in found[CONTROL]}
    arms = {arm: label for arm, label in ARMS.items() if arm != CONTROL and arm in found}
    template = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    source = Path(__file__).with_name("filters.svg.j2").read_text(encoding="utf-8")
    return template.from_string(source).render(worlds=worlds, arms=arms, cells=found, change=change)


def _trainings(results: Path, name: str, iteration: int) -> list[Answers]:
    """The questions' scores in each training of an arm."""
    return list(_scores(sorted(results.glob(f"{name}_[0-9].json")), iteration))


def _together(results: Path, worlds: Sequence[str], arm: str) -> dict[str, list[float | None]]:
    """The scores of an arm in each of its trainings, by world and question."""
    found: dict[str, list[float | None]] = {}
    for world in worlds:
        for training in _trainings(results, f"{world}_{arm}", 1):
            for question, scores in training.items():
                found.setdefault(f"{world} {question}", []).extend(scores)
    return found


def _scores(files: Sequence[Path], iteration: int) -> Iterator[Answers]:
    for file in files:
        (row,) = (row for row in read_results(file).rows if row.iteration == iteration)
        scores = scores_of(row)
        if scores is None:
            raise ValueError(f"{file}: iteration {iteration} has no verdicts")
        yield scores


def _mean(trainings: Sequence[Answers]) -> Difference:
    return clustered_interval(trainings[0]) if len(trainings) == 1 else mean_over_trainings(trainings)


def _difference(ours: Sequence[Answers], theirs: Sequence[Answers]) -> Difference:
    if len(ours) == len(theirs) == 1:
        return paired_difference(ours[0], theirs[0])
    return difference_over_trainings(ours, theirs)


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    accuracy = f"{percent(cell.accuracy.mean)} {span(cell.accuracy)}{' ¹' if cell.trainings == 1 else ''}"
    return accuracy if cell.gain is None else f"{accuracy}<br>{change(cell.gain)}"


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--picture", type=Path, help="write the picture to this file, in place of printing the table")
    given = options.parse_args()
    if given.picture:
        given.picture.write_text(picture(), encoding="utf-8")
    else:
        print(table(), table_over_worlds(), sep="\n", end="")


if __name__ == "__main__":
    main()
