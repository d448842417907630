"""Which label an output names."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.tasks.completion.label import alike_labels, label_key, read_label

LABELS = ("Credit card", "Card", "Mortgage", "Debt collection", "トピック", "스포츠", "กีฬา", "product")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("**Label:** `credit card`", "Credit card"),
        ("The correct class is Mortgage.", "Mortgage"),
        ("Mortgage, since the credit card was paid.", "Mortgage"),
        ("Mortgage, not Card", "Mortgage"),
        ("Mortgage or Card", None),
        ("Mortgage / the Card", None),
        ("Card, Mortgage", None),
        ("The bank took it back.\nMortgage?\nAnswer: Debt collection", "Debt collection"),
        ("I think this one is about a mortgage", "Mortgage"),
        ("This is not a mortgage", None),
        ("This is not a mortgage but debt collection", "Debt collection"),
        ("Either a card or a mortgage", None),
        ("Cardigan", None),
        ("これはトピックです", "トピック"),
        ("주제는 스포츠입니다.", "스포츠"),
        ("비스포츠", None),
        ("스포츠카 뉴스", None),
        ("เป็นกีฬาครับ", "กีฬา"),
        ("product: the lamp broke", "product"),
        ("\uff2d\uff4fr\uff54gage", "Mortgage"),
        ("", None),
    ],
)
def test_an_output_names_the_label(text: str, label: str | None) -> None:
    assert read_label(text, LABELS) == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A mitochondrion makes the energy of a cell, so the answer is B.", None),  # and A is named, too
        ("A plant makes it.\nAnswer: B", "B"),
        ("A because B is wrong", "A"),
        ("A is right and B is wrong.", "A"),
        ("Answer: A mitochondrion", "A"),
        ("A or B", None),
        ("The answer is A and B", None),
        ("A を選ぶ", "A"),
        ("A good way is to try all of them.\nAnswer: D", "D"),
        ("A", "A"),
        ("A. It makes energy.", "A"),
        ("A: a cell", "A"),
        ("B because of a cell", "B"),
    ],
)
def test_an_article_is_no_label_of_one_letter(text: str, label: str | None) -> None:
    assert read_label(text, "ABCD") == label


around = st.text(" \t\n\"'*`.:“”", max_size=5)
cases = st.sampled_from([str, str.upper, str.lower, str.title])


@given(st.sampled_from(LABELS), around, around, cases, st.text("xyz ", max_size=20))
def test_case_quotes_marks_and_text_behind_do_not_change_the_label(label, before, after, case, behind) -> None:  # type: ignore[no-untyped-def]
    assert read_label(f"{before}{case(label)}{after}", LABELS) == label
    assert read_label(f"{before}{case(label)}{after} - {behind}", LABELS) == label


@given(st.text(), st.lists(st.text(min_size=1), max_size=4))
def test_any_text_gives_one_of_the_labels_or_none(text: str, labels: list[str]) -> None:
    found = read_label(text, labels)
    assert found is None or found in labels


@given(st.lists(st.sampled_from(LABELS), min_size=2, max_size=2, unique_by=label_key))
def test_the_longest_of_two_labels_at_one_place_counts_and_no_order_of_the_list_changes_that(labels: list[str]) -> None:
    text = " ".join(labels)
    assert read_label(text, labels) == read_label(text, labels[::-1]) == labels[0]
    assert read_label("Credit card fee", ("Credit", "Credit card")) == "Credit card"


def test_labels_that_no_output_could_tell_apart_are_named() -> None:
    assert list(alike_labels(["Card", "card", "Loan"])) == []
    told = list(alike_labels(["C", "C#", "Python", "?"]))
    assert [one.partition(",")[0] for one in told] == [
        "'C' and 'C#' differ in marks alone",
        "'?' has no letter or digit",
    ]


def test_a_long_line_is_searched_for_denials_near_its_labels_alone() -> None:
    started = time.process_time()
    assert read_label("it says " + "mortgage " * 20_000, LABELS) == "Mortgage"
    assert time.process_time() - started < 4.0  # from the beginning for each label takes minutes
    assert read_label(f"{'it says ' * 9}that it is without the “mortgage” of the debt collection", LABELS) == LABELS[3]
