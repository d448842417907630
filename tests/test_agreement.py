"""The agreement of grader and people, computed from runs and a rating sheet."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rest_react.agreement import graded_answers, main, score
from rest_react.errors import UsageError
from rest_react.judges.rating_sheet import COLUMNS, Graded, read_ratings, write_sheet
from rest_react.records import Fault, Result, Verdict
from rest_react.storage.jsonl import replace_lines
from rest_react.storage.summaries import write_summary


def result(question: str, answer: str, verdict: Verdict, fault: Fault | None = None) -> Result:
    outcome = "failed" if fault else "finished"
    numbers = {"em": 0.0, "f1": 0.0, "searches": 1, "calls": 6, "tokens": 90}
    return Result(
        id=f"{question}.0", question_id=question, kind="", hops=None, outcome=outcome, fault=fault, answer=answer,
        draft=answer, verdict=verdict, verdict_before_checks=verdict, question=f"Who is {question}?", golds=("Ada",),
        **numbers,
    )  # fmt: skip


def write_run(run: Path, iteration: int, results: list[Result]) -> Path:
    stage = run / f"iter_{iteration}" / "evaluate" / "world"
    replace_lines(stage / "results.jsonl", results)
    write_summary(stage, {"grader": "rule", "questions": len(results), "repeats": 1, "seconds": 1.0})
    return run


# Cell by cell of Wikipedia's example: both yes, people yes, grader yes, both no. Kappa is (0.7 - 0.5) / (1 - 0.5).
CELLS = ((True, True, 20), (True, False, 5), (False, True, 10), (False, False, 15))


def example() -> tuple[list[Graded], dict[str, bool]]:
    """50 answers to as many questions by five agents, and their ratings."""
    pairs = [(people, grader) for people, grader, n in CELLS for _ in range(n)]
    graded = [
        Graded(f"run iter_{i % 5} world", f"q{i}", f"Who is {i}?", ("Ada",), "Bob", grader)
        for i, (_, grader) in enumerate(pairs)
    ]
    return graded, {f"q{i}": people for i, (people, _) in enumerate(pairs)}


def test_accuracy_and_kappa_match_the_textbook_table() -> None:
    graded, ratings = example()
    scores = score(ratings, graded)
    assert (scores["answers"], scores["items"], scores["questions"]) == (50, 50, 50)
    assert scores["accuracy"]["value"] == pytest.approx(0.7)
    assert scores["kappa"]["value"] == pytest.approx(0.4)
    # Fleiss, Cohen and Everitt's standard error of this table is 0.126.
    assert scores["kappa"]["low"] == pytest.approx(0.4 - 1.96 * 0.126, abs=0.06)
    assert scores["kappa"]["high"] == pytest.approx(0.4 + 1.96 * 0.126, abs=0.06)


# The same cells dealt to five agents of 10 answers each: both yes, people yes, grader yes, both no. Right by people
# are 9, 7, 5, 3, 1 and by the grader 9, 6, 8, 3, 4, so Pearson is 0.26 / sqrt(0.40 * 0.26) and, with differences of
# rank 0, 1, -1, 1, -1, Spearman is 1 - 6 * 4 / (5 * 24).
AGENTS = ((8, 1, 1, 0), (5, 2, 1, 2), (5, 0, 3, 2), (2, 1, 1, 6), (0, 1, 4, 5))


def test_a_rated_sheet_gives_the_kappa_accuracy_and_correlations_of_the_textbook(tmp_path: Path) -> None:
    people = {}
    for iteration, cells in enumerate(AGENTS):
        pairs = [pair[:2] for pair, n in zip(CELLS, cells, strict=True) for _ in range(n)]
        names = [f"w{iteration}-{i}" for i in range(len(pairs))]
        people |= {f"Who is {name}?": rating for name, (rating, _) in zip(names, pairs, strict=True)}
        verdicts = [Verdict("correct" if grader else "incorrect") for _, grader in pairs]
        write_run(tmp_path / "run", iteration, list(map(result, names, ["Bob, so to say"] * len(names), verdicts)))
    graded, sheet, rated = graded_answers([tmp_path / "run"]), tmp_path / "sheet.csv", tmp_path / "rated.csv"
    assert write_sheet(sheet, graded, sample=None, seed=0) == 50
    with sheet.open(encoding="utf-8-sig", newline="") as blank, rated.open("w", encoding="utf-8", newline="") as file:
        filled = csv.DictWriter(file, COLUMNS)
        filled.writeheader()
        filled.writerows(row | {"correct": "Yes" if people[row["question"]] else "no"} for row in csv.DictReader(blank))
    scores = score(read_ratings(rated), graded)
    assert (scores["answers"], scores["items"], scores["questions"]) == (50, 50, 50)
    assert scores["agents"] == [
        {"agent": f"run iter_{k} world", "answers": 10, "people": (a + b) / 10, "grader": (a + c) / 10}
        for k, (a, b, c, _) in enumerate(AGENTS)
    ]
    known = {"accuracy": (0.7, 50), "kappa": (0.4, 50), "pearson": (0.65**0.5, 5), "spearman": (0.8, 5)}
    found = {name: (scores[name]["value"], scores[name]["n"]) for name in known}
    assert found == {name: (pytest.approx(value), n) for name, (value, n) in known.items()}


def test_the_docs_define_every_number_about_agreement() -> None:
    graded, ratings = example()
    scores = score(ratings, graded)
    text = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    section = text.partition("## Agreement with people")[2].partition("\n## ")[0]
    keys = {*scores, *scores["kappa"], *scores["pearson"], *scores["agents"][0]} - {"schema"}
    assert {key for key in keys if f"`{key}`" not in section} == set()


def test_correlations_compare_the_agents_shares_of_right_answers() -> None:
    """Agents with 1, 2, 3, 4 of 4 right by people; the grader sees 1, 3, 2, 4: Spearman is 1 - 6 * 2 / (4 * 15)."""
    graded, ratings = [], {}
    for agent, (people, grader) in enumerate([(1, 1), (2, 3), (3, 2), (4, 4)]):
        for i in range(4):
            item = f"q{agent}-{i}"
            graded.append(Graded(f"run iter_{agent} world", item, f"Who is {i}?", ("Ada",), "Bob", i < grader))
            ratings[item] = i < people
    scores = score(ratings, graded)
    assert [(row["people"], row["grader"]) for row in scores["agents"]] == [
        (0.25, 0.25), (0.5, 0.75), (0.75, 0.5), (1.0, 1.0),
    ]  # fmt: skip
    for name in ("pearson", "spearman"):
        found = scores[name]
        assert (found["n"], found["value"]) == (4, pytest.approx(0.8))
        assert -1 <= found["low"] < 0.8 < found["high"] <= 1


def test_the_sheet_is_blind_and_shuffled_and_has_each_answer_once(tmp_path: Path) -> None:
    same = [result(f"w{i}", "Ada", Verdict("correct", "gold")) for i in range(20)]
    run = write_run(tmp_path / "default", 0, same)
    write_run(run, 1, [*same, result("w20", "Bob", Verdict("incorrect"))])
    graded = graded_answers([run])
    assert (len(graded), write_sheet(tmp_path / "sheet.csv", graded, sample=None, seed=0)) == (41, 21)
    text = (tmp_path / "sheet.csv").read_text(encoding="utf-8-sig")
    leaked = [word for word in ("default", "iter_", "correct", "gold", "rule") if word in text.partition("\n")[2]]
    assert leaked == []
    rows = list(csv.DictReader(text.splitlines()))
    assert sorted(row["question"] for row in rows) == sorted(f"Who is w{i}?" for i in range(21))
    assert [row["question"] for row in rows] != [answer.question for answer in graded][:21]
    assert {row["correct"] for row in rows} == {""}


def test_failed_and_unscored_answers_and_unfinished_evaluations_are_not_in_the_sheet(tmp_path: Path) -> None:
    results = [
        result("a", "Ada", Verdict("correct")),
        result("b", "", Verdict("incorrect"), Fault("model", "nothing parsable")),
        result("c", "Ada", Verdict("unscored", "HTTP 503", owed=True)),
    ]
    run = write_run(tmp_path / "run", 0, results)
    unfinished = write_run(run, 1, results) / "iter_1/evaluate/world/summary.json"
    unfinished.unlink()
    assert [(a.agent, a.question) for a in graded_answers([run])] == [("run iter_0 world", "Who is a?")]
    with pytest.raises(UsageError, match=r"nowhere: no graded answer"):
        graded_answers([tmp_path / "nowhere"])


def test_a_sheet_of_other_runs_and_an_unrated_sheet_are_refused() -> None:
    graded, ratings = example()
    with pytest.raises(UsageError, match=r"^1 rated items .* q99"):
        score({**ratings, "q99": True}, graded)
    with pytest.raises(UsageError, match="no row has a rating"):
        score({}, graded)


def test_the_command_exports_a_sheet_and_scores_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 0, [result(f"w{i}", "Ada", Verdict("correct")) for i in range(4)])

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        asked = [sys.executable, "-m", "rest_react.agreement", *words]
        return subprocess.run(asked, capture_output=True, text=True, check=False)

    sheet = tmp_path / "ratings.csv"
    exported = command("export", str(sheet), str(run))
    assert (exported.returncode, "4 answers to rate" in exported.stderr) == (0, True)
    text = sheet.read_text(encoding="utf-8-sig").replace('"",""', '"yes",""')
    sheet.write_text(text.replace('"yes"', '"no"', 1), encoding="utf-8-sig")
    scored = command("score", str(sheet), str(run))
    assert (scored.returncode, "accuracy  0.75" in scored.stderr) == (0, True), scored.stderr
    scores = json.loads((tmp_path / "ratings.json").read_text())
    assert (scores["schema"], scores["accuracy"]["value"], scores["pearson"]["value"]) == (1, 0.75, None)
    again = command("export", str(sheet), str(run))
    assert (again.returncode, "may contain ratings" in again.stderr) == (2, True)


def test_the_command_exports_and_scores_ratings_of_tone(tmp_path: Path) -> None:
    tones = [Verdict("correct" if tone > 3 else "incorrect", f"rating {tone} of 5") for tone in (5, 4, 2, 1)]
    run = write_run(tmp_path / "run", 0, [result(f"w{i}", "Dear you", tone) for i, tone in enumerate(tones)])

    def command(what: str) -> str:
        asked = [sys.executable, "-m", "rest_react.agreement", what, str(tmp_path / "ratings.csv"), str(run)]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stderr

    assert "4 answers to rate; write 1 to 5 into the column `rating`" in command("export")
    sheet = tmp_path / "ratings.csv"
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    people = {"Who is w0?": 5, "Who is w1?": 5, "Who is w2?": 3, "Who is w3?": 3}
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"rating": people[row["question"]]} for row in rows)
    assert "within_one 0.75" in command("score")
    scores = json.loads((tmp_path / "ratings.json").read_text())
    assert (scores["answers"], scores["within_one"]["value"], scores["judge_minus_people"]["value"]) == (4, 0.75, -1.0)


def test_an_evaluation_that_two_runs_share_counts_once(tmp_path: Path) -> None:
    start = [result("a", "Ada", Verdict("correct")), result("b", "Bob", Verdict("incorrect"))]
    mine, other = (write_run(tmp_path / name, 0, start) for name in ("mine", "other"))
    write_run(other, 1, [result("a", "Eve", Verdict("incorrect"))])
    assert [graded.agent for graded in graded_answers([mine, other])] == [
        "mine iter_0 world", "mine iter_0 world", "other iter_1 world",
    ]  # fmt: skip


def test_runs_in_folders_of_the_same_name_are_two_agents(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / place / "default", 0, [result("a", answer, Verdict(verdict))])
        for place, answer, verdict in (("one", "Ada", "correct"), ("two", "Bob", "incorrect"))
    ]
    assert [graded.agent for graded in graded_answers(runs)] == [f"{run.resolve()} iter_0 world" for run in runs]


def test_brackets_in_the_name_of_a_run_are_shown_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, sheet = write_run(tmp_path / "a[b]", 0, [result("a", "Ada", Verdict("correct"))]), tmp_path / "ratings.csv"
    (answer,) = graded_answers([run])
    sheet.write_text(f"item,correct\n{answer.item},yes\n")
    monkeypatch.setattr(sys, "argv", ["agreement", "score", str(sheet), str(run)])
    main()
    assert "a[b] iter_0 world" in capsys.readouterr().err


@pytest.mark.parametrize("sample", ["0", "-5"])
def test_a_sample_of_no_answers_is_refused(
    sample: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, sheet = write_run(tmp_path / "run", 0, [result("a", "Ada", Verdict("correct"))]), tmp_path / "ratings.csv"
    monkeypatch.setattr(sys, "argv", ["agreement", "export", str(sheet), str(run), "--sample", sample])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, sheet.exists()) == (2, False)
    assert f"--sample {sample}: a sheet needs at least one answer; give 1 or more" in capsys.readouterr().err
