import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ConfigError, UsageError
from rest_react.judges.rating_sheet import Graded, fingerprint, read_ratings, write_sheet


def test_a_sample_depends_only_on_the_seed_and_a_sheet_is_never_overwritten(tmp_path: Path) -> None:
    graded = [Graded("run iter_0 world", f"q{i}", f"Who is {i}?", ("Ada",), "Bob", True) for i in range(50)]
    assert write_sheet(tmp_path / "a.csv", graded, sample=10, seed=1) == 10
    write_sheet(tmp_path / "b.csv", list(reversed(graded)), sample=10, seed=1)
    write_sheet(tmp_path / "c.csv", graded, sample=10, seed=2)
    a, b, c = ((tmp_path / f"{name}.csv").read_bytes() for name in "abc")
    assert a == b != c
    with pytest.raises(UsageError, match="may contain ratings"):
        write_sheet(tmp_path / "a.csv", graded, sample=10, seed=1)
    assert (tmp_path / "a.csv").read_bytes() == a


@pytest.mark.parametrize(
    "hostile", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\N{FULLWIDTH EQUALS SIGN}1"]
)
def test_no_cell_of_a_sheet_is_a_formula(hostile: str, tmp_path: Path) -> None:
    graded = Graded("run iter_0 world", fingerprint(hostile, (hostile,), hostile), hostile, (hostile,), hostile, True)
    write_sheet(tmp_path / "sheet.csv", [graded], sample=None, seed=0)
    (row,) = csv.reader((tmp_path / "sheet.csv").read_text(encoding="utf-8-sig").splitlines()[1:])
    assert {cell[:1] for cell in row} <= {"", "'", "q"}


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_answer_survives_a_spreadsheet(tmp_path_factory, question: str, answer: str) -> None:
    folder = tmp_path_factory.mktemp("sheet")
    question, answer = (text.encode("utf-8", "replace").decode() for text in (question, answer))
    item = fingerprint(question, ("Ada",), answer)
    write_sheet(folder / "sheet.csv", [Graded("a", item, question, ("Ada",), answer, True)], sample=None, seed=0)
    sheet = (folder / "sheet.csv").read_bytes().decode("utf-8-sig")
    (row,) = csv.DictReader(sheet.splitlines(keepends=True))
    with (folder / "rated.csv").open("w", encoding="utf-8", newline="") as file:
        saved = csv.DictWriter(file, row, delimiter=";")  # the separator of many locales
        saved.writeheader()
        saved.writerow(row | {"correct": "Yes"})
    assert read_ratings(folder / "rated.csv") == {item: True}


def test_one_error_reports_every_rating_that_is_neither_yes_nor_no(tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text("item,correct\nq1,yes\nq2,maybe\nq3,\nq4,ja\nq5,FALSE\n")
    with pytest.raises(ConfigError) as refused:
        read_ratings(tmp_path / "sheet.csv")
    third, fifth = refused.value.problems
    assert third.startswith(f"{tmp_path}/sheet.csv:3: 'maybe'")
    assert fifth.startswith(f"{tmp_path}/sheet.csv:5: 'ja'")
    (tmp_path / "sheet.csv").write_text("id,rating\nq1,yes\n")
    with pytest.raises(ConfigError, match="no column correct or item"):
        read_ratings(tmp_path / "sheet.csv")


def test_ratings_that_contradict_each_other_or_have_no_item_are_refused_with_their_lines(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("item,correct\nq1,yes\nq2,no\nq1,no\n,yes\nq2,No\nq1,\n,\n")
    with pytest.raises(ConfigError) as refused:
        read_ratings(sheet)
    fourth, fifth = refused.value.problems
    assert fourth.startswith(f"{sheet}:4: q1 is rated otherwise at line 2")
    assert fifth.startswith(f"{sheet}:5: the rating 'yes' has no item")
    sheet.write_text("correct,item\nyes\n")
    with pytest.raises(ConfigError, match="has no item"):
        read_ratings(sheet)


def test_a_cell_too_long_for_csv_is_refused_with_its_line(tmp_path: Path) -> None:
    sheet, longest = tmp_path / "sheet.csv", csv.field_size_limit(131_072)
    sheet.write_text(f"item,correct,comment\nq1,yes,\nq2,yes,{'x' * 140_000}\n")
    try:
        with pytest.raises(ConfigError, match=r"sheet\.csv:3: not CSV"):
            read_ratings(sheet)
    finally:
        csv.field_size_limit(longest)
