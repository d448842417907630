import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.judges.answer_matching.canonical_numbers import canonical_numbers, ordinal, roman_numeral, roman_value
from rest_react.judges.answer_matching.canonical_text import canonicalise


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("one million, a million, half a million", "1000000 , 1000000 , 500000"),
        ("12,34,567; 1.204.567; 1'204'567", "1234567 ; 1204567 ; 1204567"),
        ("two hundred and five, nineteen eighty-four", "205 , 1984"),
        ("twelve fifteen", "12 15"),
        ("twenty-first, 21st, twelfth, one hundred and first", "21st , 21st , 12th , 101st"),
        ("the one, a second, metres per second", "the one , a second , metres per second"),
        ("1990's, 1990s", "1990s , 1990s"),
        ("1939–1945; from 1939 to 1945; 1914-18", "1939 to 1945 ; 1939 to 1945 ; 1914 to 1918"),
        ("Louis XIV, Malcolm X, Washington DC", "louis 14 , malcolm x , washington dc"),
        ("World War II, WW2, the Second World War", "world war 2 , world war 2 , the world war 2"),
        ("3½, 3 1/2, $3.50, 3.10, 1.2.0", "3.5 , 3.5 , 3.5 dollars , 3.10 , 1.2.0"),
        ("minus 5, −5, +5", "-5 , -5 , +5"),
        ("100 and 1000", "100 and 1000"),
    ],
)
def test_numbers_have_one_canonical_form(text, canonical):
    assert canonicalise(text) == canonical


def test_the_case_of_the_text_is_kept():
    assert canonical_numbers("On 12 March 1931 Ada") == "On 1931 March 12 Ada"


@given(st.integers(0, 10**9))
def test_a_number_has_the_same_form_with_and_without_digit_groups(number):
    assert canonicalise(f"{number:,}") == canonicalise(f"{number}") == str(number)


@pytest.mark.parametrize(("numeral", "value"), [("XIV", 14), ("IIII", 0), ("MCMXCIX", 1999), ("", 0), ("VX", 0)])
def test_well_formed_roman_numerals_have_a_value(numeral, value):
    assert roman_value(numeral) == value


def test_a_roman_numeral_has_the_value_that_it_was_made_from() -> None:
    assert [roman_value(roman_numeral(value)) for value in range(1, 4000)] == list(range(1, 4000))


@pytest.mark.parametrize(("n", "text"), [(1, "1st"), (12, "12th"), (22, "22nd"), (103, "103rd"), (111, "111th")])
def test_ordinals_have_the_right_suffix(n, text):
    assert ordinal(n) == text
