import pytest

from rest_react.judges.answer_matching.place_names import place_level


@pytest.mark.parametrize(
    ("name", "level"),
    [("Paris", 0), ("Texas", 1), ("TX", 1), ("France", 2), ("the Netherlands", 2), ("U.S.", 2), ("", 0)],
)
def test_states_have_level_1_and_countries_level_2(name, level):
    assert place_level(name) == level
