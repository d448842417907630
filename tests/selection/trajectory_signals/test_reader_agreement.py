"""Agreement with a reader: when a reply is the answer of the trajectory, and when there is no verdict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.selection.trajectory_signals.reader_agreement import gives_same_answer
from rest_react.trajectories.parsed import Evidence

BORN = Evidence("Where was Ada Mell born?", "Ada Mell was born in Vell [link_id=1].", "Vell")
PRINTED = Evidence("When was Dusk printed?", "Dusk was printed in 1871 [link_id=1].", "1871")
NOTHING = Evidence("Where was Ada Mell born?", "Unknown.", "Unknown")


@pytest.mark.parametrize(
    ("found", "reply", "same"),
    [
        (BORN, "Vell", True),
        (BORN, "**Vell.**", True),
        (BORN, "She was born in Vell.", True),
        (BORN, "<think>\nGar? No.\n</think>\nVell", True),
        (BORN, "Ada Mell was born in Vell.\nVell\n```", True),
        (BORN, "Gar", False),
        (BORN, "unknown", False),
        (BORN, "Vell\nGar", False),
        (PRINTED, "1871", True),
        (PRINTED, "It was printed in 1871.", True),
        (PRINTED, "1817", False),
        (NOTHING, "unknown", False),
        (NOTHING, "Unknown.", False),
        (NOTHING, "The answer is unknown.", False),
        (Evidence("Where was Ada Mell born?", "", ""), "Vell", False),
        (BORN, "", None),
        (BORN, " \n```\n", None),
        (BORN, "<think>\nVell, or", None),
    ],
)
def test_the_last_line_of_a_reply_is_the_readers_answer(found: Evidence, reply: str, same: bool | None) -> None:
    assert gives_same_answer(found, reply) is same


@given(st.text(), st.text(min_size=1))
def test_any_reply_to_any_answer_has_a_verdict_or_none(reply: str, answer: str) -> None:
    found = Evidence("Where was Ada Mell born?", answer, answer)
    assert gives_same_answer(found, reply) in (True, False, None)
