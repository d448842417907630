import re
import time

import pytest

from rest_react.judges.reply_markup import QUOTATION, last_labelled, parse_objects, strip_wrappers


def test_tags_and_boxes_around_a_verdict_are_removed() -> None:
    assert strip_wrappers("<verdict>True</verdict>").strip() == "True"
    assert strip_wrappers("The best is \\boxed{3}.") == "The best is 3."


def test_the_last_line_with_a_colon_counts_before_a_sentence_with_the_same_word() -> None:
    best = re.compile(r"^BEST\W*(\d)", re.MULTILINE)
    found = last_labelled(best, "BEST: 1\nBEST: 3\nBEST 2 comes next")
    assert found is not None
    assert found[1] == "3"
    assert last_labelled(best, "none") is None


def test_json_and_python_objects_are_parsed_the_last_one_first() -> None:
    assert list(parse_objects("{\"a\": 1} {no object} {'b': 2,} {")) == [{"b": 2}, {"a": 1}]


@pytest.mark.parametrize(
    "last",
    [
        '{"correct": false, "reason": "it says "1950", not 1951"}',
        '{"correct": fal',
        *["".join(f'{{"a": {i}}} ' for i in range(5))],
    ],
)
def test_an_object_before_one_that_cannot_be_read_does_not_count(last: str) -> None:
    assert list(parse_objects(f'Draft: {{"correct": true}}\n{last}')) == []


def test_a_repetition_that_was_cut_off_does_not_count() -> None:
    assert list(parse_objects('{"best": 3} {"best": 3} {"bes')) == [{"best": 3}] * 2
    assert list(parse_objects('{"best": 3} ' * 9)) == [{"best": 3}] * 5
    assert list(parse_objects('{"best": 1} is wrong, as {output 1 doesn\'t cite}. {"best": 3}')) == []


def test_an_object_behind_one_that_cannot_be_read_counts() -> None:
    assert list(parse_objects('{"best": "1} {"best": 3}')) == []
    assert list(parse_objects('{"best": ?} {"best": 3}')) == [{"best": 3}]


def test_an_object_with_a_number_too_long_to_write_in_digits_is_skipped() -> None:
    number = f"0x{'f' * 5000}"
    assert list(parse_objects(f"{{'best': {number}}} {{{number}: 1}} {{'best': [0xf]}}")) == [{"best": [15]}]


def test_a_quotation_ends_at_its_own_mark_and_many_open_ones_are_read_once() -> None:
    assert QUOTATION.sub("", 'so “it is” and "that" “not “this”') == "so  and  “not "
    started = time.process_time()
    QUOTATION.sub("", "“" * 100_000)
    assert time.process_time() - started < 2.0  # once from each takes minutes
