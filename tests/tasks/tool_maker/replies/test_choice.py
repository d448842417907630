"""Which tool a dispatcher chose."""

import pytest

from rest_react.tasks.tool_maker.replies.choice import read_choice

STATE = 'TOOLS = "word_sorting: sorts words\\nremainders: finds a number"\n\n# step: tool\n'


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("word_sorting", "word_sorting"),
        ("`Word_Sorting`.", "word_sorting"),
        ("<think>It sorts words, not remainders.</think>\n\nword_sorting\nsince it sorts", "word_sorting"),
        ("None.", "none"),
        ("<think>word_sorting", ""),
        ("sort", ""),
        ("", ""),
    ],
)
def test_a_reply_names_a_listed_tool_or_none(reply: str, choice: str) -> None:
    assert read_choice(reply, STATE) == choice


@pytest.mark.parametrize(
    ("reply", "choice"),
    [("MySort", "MySort"), ("`mysort`.", "MySort"), ("Dates", "Dates"), ("dates", "dates"), ("DATES", "Dates")],
)
def test_the_folder_of_a_tool_may_have_capitals(reply: str, choice: str) -> None:
    state = 'TOOLS = "MySort: sorts\\nDates: reads dates\\ndates: writes dates"\n\n# step: tool\n'
    assert read_choice(reply, state) == choice
