"""A trajectory as the messages of a chat."""

from rest_react.records import Candidate, Step
from rest_react.trajectories.chat_messages import Message, one_turn_per_step
from rest_react.trajectories.parsed import ParsedAction, ParsedStep


def test_a_step_without_an_action_does_not_end_the_chat() -> None:
    steps = [
        ParsedStep(
            Step("use", f"state {n}", (Candidate("x", 1, None, "stop"),), chosen),
            (ParsedAction("x", target=f"action {n}"),),
        )
        for n, chosen in enumerate((0, None, 0))
    ]
    assert one_turn_per_step(steps).messages == (
        Message("user", "state 0"),
        Message("assistant", "action 0"),
        Message("user", "state 2"),
        Message("assistant", "action 2"),
    )
