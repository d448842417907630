from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.judges.answer_matching.canonical_numbers import ordinal
from rest_react.judges.answer_matching.canonical_text import canonicalise


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("born on March 12th, 1931 (1,204 metres up)", "born on 1931 march 12 ( 1204 m up )"),
        ("the 12th of Mar. 1931", "the 1931 march 12"),
        ("1931-03-12, 12.3.1931, 12/3/1931", "1931 march 12 , 1931 march 12 , 1931 march 12"),
        ("3/25/1931 and 31 July 989", "1931 march 25 and 989 july 31"),
        ("in Sept 1931", "in 1931 september"),
        ("May 6; she may; 12 may have", "may 6 ; she may ; 12 may have"),
        ("44 BC, 44 B.C.E., AD 79, 79 CE", "44 bc , 44 bc , 79 ad , 79 ad"),
    ],
)
def test_dates_and_eras_have_one_canonical_form(text, canonical):
    assert canonicalise(text) == canonical


_DAYS = st.dates(date(1000, 1, 1), date(2999, 12, 31))


@given(_DAYS, _DAYS)
def test_every_notation_of_a_day_has_one_form_and_other_days_have_another(one, other):
    def forms(day: date) -> set[str]:
        texts = (day.isoformat(), f"{day:%B} {day.day}, {day.year}", f"{ordinal(day.day)} of {day:%b} {day.year}")
        return {canonicalise(text) for text in texts}

    assert len(forms(one)) == 1
    assert (forms(one) == forms(other)) is (one == other)
