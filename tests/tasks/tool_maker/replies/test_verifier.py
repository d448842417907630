"""The verifier of calls: values that do not come from the question."""

import pytest

from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.records import Candidate, Hit, Step, Trajectory, Usage
from rest_react.selection.filters import candidates_of
from rest_react.tasks.tool_maker.families import FAMILIES
from rest_react.tasks.tool_maker.items import build_items
from rest_react.tasks.tool_maker.replies.calls import read_function
from rest_react.tasks.tool_maker.replies.verifier import brought, ungrounded
from rest_react.tasks.tool_maker.states import use_state, wrapper
from rest_react.tasks.tool_maker.task import ANSWER, ToolMaker
from rest_react.trajectories.parsed import ParsedTrajectory

SUMMARY = "def sorted_words(words):\n    The words in alphabetical order."
SHOWN = ("Sort these words: plum, fig", "answer = sorted_words(['plum', 'fig'])")
QUESTION = "Sort these words: pear, kiwi, fig"
RIGHT = "answer = sorted_words(['pear', 'kiwi', 'fig'])"


def test_the_right_calls_of_all_families_have_their_values_from_the_question() -> None:
    items = build_items(3, tuple(FAMILIES), demonstrations=0, train=120, evaluation=60)
    for item in (*items.train, *items.evaluation):
        call, head = items.plans[item.question.text], read_function(FAMILIES[item.kind].function).summary
        assert ungrounded(call, item.question.text, documentation=head) == []


def test_calls_for_other_questions_of_a_family_are_found() -> None:
    items = build_items(3, tuple(FAMILIES), demonstrations=0, train=120, evaluation=60)
    for item, other in zip(items.evaluation, items.train, strict=False):
        call, head = items.plans[other.question.text], read_function(FAMILIES[item.kind].function).summary
        assert item.kind == other.kind
        assert ungrounded(call, item.question.text, documentation=head)


def test_a_value_stands_in_the_question_as_whole_words_in_any_case() -> None:
    def found(value: object) -> list[str]:
        return ungrounded(f"answer = f({value!r})", "Add 130 to\nthe  Fig's 12.5", documentation="mode 'fast'")

    assert found(130) == found("the fig") == found("FAST") == found(12.5) == []
    assert found(3) == found(True) == found(None) == found("") == found(0) == []  # counted, or no value
    assert found(30) == ["30 stands neither in the question nor in the tool's documentation"]
    assert found("ig") == ["'ig' stands neither in the question nor in the tool's documentation"]
    assert len(found([30, 30, "kiwi"])) == 2


@pytest.mark.parametrize(
    ("value", "question", "is_brought"),
    [
        ("fig, pear", "Sort these words: pear, fig", True),
        (["fig", "pear"], "Sort these words: pear, fig", True),
        (["pear", "fig"], "Sort these words: pear, fig", False),
        (["9:30", "10:00"], "Ada is free at 09:30-10:00.", False),
        ("B: red", "(A) blue\n(B) red", False),
        (["]", "["], "Close these: [ ] [ {", False),
        ("] }", "Close these: [ ] [ {", True),
        (23, "at most 230 nuts", True),
    ],
)
def test_a_value_is_brought_if_its_words_do_not_follow_each_other_in_the_question(
    value: object, question: str, is_brought: bool
) -> None:
    text = ", ".join(value) if isinstance(value, list) else str(value)
    assert (text in brought(f"answer = f({value!r})", question)) == is_brought


def test_what_a_mapping_holds_is_data_for_the_tool() -> None:
    pairs = "answer = closing('( ) [ { }', {'(': ')', '[': ']', '{': '}'})"
    assert brought(pairs, "Which brackets complete ( ) [ { } ?") == []
    assert brought("answer = closing('( ) [', [']'])", "Which brackets complete ( ) [ ?") == ["]"]


def trajectory(*calls: str) -> ParsedTrajectory:
    """A step whose samples are these calls, all of which run."""
    hits = tuple(Hit(call, ANSWER, "fig") for call in dict.fromkeys(calls))
    samples = tuple(Candidate(call, 9, -1.0, "stop", "", 0, None) for call in calls)
    step = Step("use", use_state(wrapper(SUMMARY, [SHOWN]), QUESTION), samples, 0, hits=hits)
    made = Trajectory("q.0", "q", QUESTION, "finished", None, (step,), "fig", "fig", Usage(1, 1, 1))
    return ParsedTrajectory(made, (ToolMaker().parse(step),))


def test_a_call_that_is_copied_from_an_example_trains_only_without_the_verifier() -> None:
    tried = trajectory(SHOWN[1], RIGHT, "no call")
    kept = {
        keep: candidates_of(tried, ToolMaker().violations, selector="majority", keep=keep)
        for keep in ("all", "verified")
    }
    assert kept == {"all": [(0, 1)], "verified": [(1,)]}


def test_the_verifier_of_calls_is_allowed_for_all_questions_but_not_in_grow() -> None:
    s = compose(["experiment=tool_user", "improve.selector=verified"])
    assert (s.improve.keep, s.improve.selector) == ("verified", "verified")
    with pytest.raises(ConfigError) as refused:
        compose(["experiment=tool_user", "agent.select=verified"])
    assert refused.value.problems == (
        (
            "agent.select: task=tool_maker has rules for training data only, not for choosing samples in Grow; set "
            "agent.select=perplexity improve.keep=verified"
        ),
    )
    given = compose(["experiment=tool_user", "agent.select=perplexity", "improve.keep=verified"])
    assert given.agent.select == "perplexity"
