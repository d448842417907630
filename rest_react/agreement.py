"""Does the grader agree with people? A rating sheet out, agreement in (paper section 4: Pearson 0.98, Spearman 0.83).

    python -m rest_react.agreement export ratings.csv outputs/default outputs/mine --sample 200
    python -m rest_react.agreement score ratings.csv outputs/default outputs/mine

In between somebody writes yes or no into the sheet's column `correct`; what is left empty is not counted. The sheet is
blind: no verdict, run or iteration is in it, its rows are shuffled, and an answer that several agents gave is asked for
once. `score` finds every row again by the fingerprint in its first column, so the runs must still be there.

An agent is one iteration of one run on one benchmark. Answers that failed, or have no verdict, are in nobody's sheet.
Not here: who is right where people and grader differ, and agreement between people.
"""

from rest_react.start import start
from rest_react.storage.summaries import refuse_damaged_stages

if __name__ == "__main__":  # in front of the imports, see there
    start("rest_react.agreement")

import argparse
import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rest_react.config.cli import stop
from rest_react.console import console, say
from rest_react.errors import ConfigError, RestReactError, RunFolderError, UsageError
from rest_react.metrics.agreement import cohens_kappa, correlation
from rest_react.metrics.intervals import Share, clustered_interval
from rest_react.records import Result
from rest_react.seeds import derive_seed
from rest_react.storage.files import write_json
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import SCHEMA
from rest_react.storage.summaries import read_summary
from rest_react.text_safety import printable

COLUMNS = ("item", "question", "reference", "answer", "correct", "comment")
YES, NO = {"yes", "y", "true", "1", "correct"}, {"no", "n", "false", "0", "incorrect"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
            "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
_CELL = 30_000  # spreadsheets cut a cell at 32,767 characters


@dataclass(frozen=True, slots=True)
class Graded:
    """One answer of one agent with the grader's verdict. `item` is the fingerprint of what a rater is shown."""

    agent: str
    item: str
    question: str
    golds: tuple[str, ...]
    answer: str
    correct: bool


def graded_answers(runs: Sequence[Path]) -> list[Graded]:
    """Every graded answer of the runs' complete evaluations. Raises UsageError for a run without any."""
    found: list[Graded] = []
    for run in runs:
        refuse_damaged_stages(run)
        own = [graded for stage in sorted(run.glob("iter_*/evaluate/*/")) for graded in _graded(run, stage)]
        if not own:
            raise UsageError(f"{run}: no graded answer of a complete evaluation; give a run's folder")
        found += own
    return found


def _graded(run: Path, stage: Path) -> Iterator[Graded]:
    if read_summary(stage) is None:
        return
    agent = f"{run.resolve().name} {stage.parent.parent.name} {stage.name}"
    for result in read_lines(stage / "results.jsonl", Result):
        if not result.golds:
            raise RunFolderError(f"{stage}/results.jsonl keeps no gold answers; remove the folder and evaluate again")
        if result.outcome == "finished" and result.verdict.verdict != "unscored":
            shown = (result.question, result.golds, result.answer)
            yield Graded(agent, fingerprint(*shown), *shown, result.verdict.verdict == "correct")


def fingerprint(question: str, golds: Sequence[str], answer: str) -> str:
    """Names what a rater is shown; it begins with a letter, or a spreadsheet would read 12e45 as a number."""
    digest = hashlib.blake2b("\x1f".join((question, *golds, answer)).encode("utf-8", "replace"), digest_size=8)
    return f"q{digest.hexdigest()}"


def export(sheet: Path, graded: Sequence[Graded], *, sample: int | None, seed: int) -> int:
    """Writes a new sheet of all different answers, or `sample` of them; returns how many. Raises UsageError rather than
    replace a sheet, which may hold ratings."""
    items = {answer.item: answer for answer in graded}
    drawn = sorted(items.values(), key=lambda answer: derive_seed("rating", seed, answer.item))[:sample]
    try:
        with sheet.open("x", encoding="utf-8-sig", newline="") as file:  # the mark tells a spreadsheet it is UTF-8
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(COLUMNS)
            for a in drawn:
                writer.writerow([a.item, _cell(a.question), _cell("\n".join(a.golds)), _cell(a.answer), "", ""])
    except FileExistsError as error:
        raise UsageError(f"{sheet} is there already and may hold ratings; give another name") from error
    return len(drawn)


def _cell(text: str) -> str:
    """Untrusted text as a spreadsheet may hold it: nothing hidden, nothing that would run as a formula, not cut."""
    shown = printable(text.strip())[:_CELL]
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def read_ratings(sheet: Path) -> dict[str, bool]:
    """What people said of each item; empty cells are left out. Raises ConfigError with every line that is neither."""
    ratings, problems = {}, []
    # Spreadsheets save with the separator and encoding of their country; item and rating are plain letters in all.
    with sheet.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        delimiter = max(",;\t", key=file.readline().count)
        file.seek(0)
        rows = csv.DictReader(file, delimiter=delimiter)
        missing = {"item", "correct"} - set(rows.fieldnames or ())
        if missing:
            raise ConfigError([f"{sheet}: has no column {' or '.join(sorted(missing))}; is it a sheet from `export`?"])
        for row in rows:
            said = (row["correct"] or "").strip().casefold()
            if said in YES | NO:
                ratings[row["item"]] = said in YES
            elif said:
                problems.append(f"{sheet}:{rows.line_num}: {row['correct']!r} is neither yes nor no")
    if problems:
        raise ConfigError(problems)
    return ratings


def score(ratings: Mapping[str, bool], graded: Sequence[Graded]) -> dict[str, Any]:
    """How far grader and people agree, over all rated answers and over agents (docs/metrics.md). Raises UsageError
    where nothing was rated, and where a rated item is no answer of these runs."""
    strangers = sorted(set(ratings) - {answer.item for answer in graded})
    if strangers:
        raise UsageError(
            f"{len(strangers)} rated items are no answers of these runs, e.g. {strangers[0]}; name all runs"
        )
    rated = [answer for answer in graded if answer.item in ratings]
    if not rated:
        raise UsageError("no row is rated yet; write yes or no into the column `correct`")
    same: dict[str, list[float | None]] = {}
    pairs: dict[str, list[tuple[bool, bool]]] = {}
    agents: dict[str, list[tuple[bool, bool]]] = {}
    for answer in rated:
        pair = ratings[answer.item], answer.correct
        same.setdefault(answer.question, []).append(float(pair[0] == pair[1]))
        pairs.setdefault(answer.question, []).append(pair)
        agents.setdefault(answer.agent, []).append(pair)
    people, grader = ([sum(pair[who] for pair in own) / len(own) for own in agents.values()] for who in (0, 1))
    return {
        "schema": SCHEMA,
        "answers": len(rated),
        "items": len(ratings),
        "questions": len(same),
        "accuracy": _interval(clustered_interval(same)),
        "kappa": _interval(cohens_kappa(pairs)),
        "pearson": asdict(correlation(people, grader, "pearson")),
        "spearman": asdict(correlation(people, grader, "spearman")),
        "agents": [
            {"agent": agent, "answers": len(own), "people": share, "grader": theirs}
            for (agent, own), share, theirs in zip(agents.items(), people, grader, strict=True)
        ],
    }


def _interval(share: Share) -> dict[str, float | int | None]:
    return {"value": share.mean, "low": share.low, "high": share.high, "n": share.n}


def _show(scores: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table("agent", "answers", "people", "grader")
    for row in scores["agents"]:
        table.add_row(printable(row["agent"]), str(row["answers"]), f"{row['people']:.1%}", f"{row['grader']:.1%}")
    console.print(table)
    for name in ("accuracy", "kappa", "pearson", "spearman"):
        found = scores[name]
        value, low, high = ("n/a" if found[key] is None else f"{found[key]:.2f}" for key in ("value", "low", "high"))
        over = "agents" if name in ("pearson", "spearman") else "questions"
        say(f"{name:9} {value} [{low}, {high}], n = {found['n']} {over}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m rest_react.agreement", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("what", choices=("export", "score"))
    parser.add_argument("sheet", type=Path, help="the CSV file: written by export, read by score")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, such as outputs/default")
    parser.add_argument("--sample", type=int, help="export so many answers, drawn at random; all if left out")
    parser.add_argument("--seed", type=int, default=0, help="of the draw and the shuffle")
    given = parser.parse_args()
    try:
        graded = graded_answers(given.runs)
        if given.what == "export":
            rows = export(given.sheet, graded, sample=given.sample, seed=given.seed)
            say(f"{given.sheet}: {rows} answers to rate; write yes or no into the column `correct`")
        else:
            scores = score(read_ratings(given.sheet), graded)
            _show(scores)
            write_json(given.sheet.with_suffix(".json"), scores)
    except RestReactError as error:
        stop(error, code=2)
    except OSError as error:
        stop(UsageError(f"{given.sheet}: {error.strerror or error}; check the path"), code=2)
