"""Reading model output: exact on what we write, forgiving to common slips, and never raising."""

import time
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rest_react.actions import (
    Action,
    Answer,
    CheckAnswer,
    LinkSelection,
    ReviseAnswer,
    Search,
    Terminate,
    render_output,
)
from rest_react.parsing import Parsed, parse
from rest_react.records import STEP_KINDS, StepKind

# What parsing gives back is stripped, so only stripped texts can survive the round trip; everything inside may.
texts = st.text(max_size=200).map(str.strip) | st.sampled_from(
    [
        "",
        "# [END]",
        '")) # [END]\n',
        'say "no", thoughts="x")',
        "\\",
        "\\u0041\\",
        "Search(query='x')",
        "<|im_end|></think>",
    ]
).map(str.strip)
# A comment is one line: never empty, and without our own end mark or the mark that closes a model's thinking.
comment_lines = (
    st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=60)
    .map(str.strip)
    .filter(lambda text: text and "[END]" not in text and "</think>" not in text)
)
comments = st.lists(comment_lines, max_size=3).map(tuple)
link_ids = st.lists(st.integers(0, 10**9 - 1), max_size=5, unique=True).map(tuple)
actions: dict[StepKind, st.SearchStrategy[Action]] = {
    "decide": st.builds(Search, texts, texts) | st.builds(Terminate, texts),
    "summarise": st.builds(LinkSelection, texts, texts, link_ids, comments),
    "answer": st.builds(Answer, texts, texts),
    "relevance": st.builds(CheckAnswer, st.booleans(), comments) | st.builds(ReviseAnswer, texts, comments),
    "grounding": st.builds(CheckAnswer, st.booleans(), comments) | st.builds(ReviseAnswer, texts, comments),
}
steps = st.sampled_from(STEP_KINDS).flatmap(lambda kind: st.tuples(st.just(kind), actions[kind]))


@settings(max_examples=400)
@given(steps)
def test_what_is_rendered_is_parsed_back(step: tuple[StepKind, Action]) -> None:
    kind, action = step
    assert parse(kind, render_output(action)) == Parsed(action)


@given(steps)
def test_the_end_mark_may_be_missing_and_prose_may_follow(step: tuple[StepKind, Action]) -> None:
    kind, action = step
    bare = render_output(action).removesuffix("  # [END]")
    assert parse(kind, bare) == Parsed(action)
    assert parse(kind, f"{bare}\n\nI hope that (this) helps: \"it's done") == Parsed(action)


@given(st.sampled_from(STEP_KINDS), st.text(alphabet=st.characters()))
def test_no_text_makes_it_raise(kind: StepKind, text: str) -> None:
    assert_reasoned(parse(kind, text))


@given(
    st.sampled_from(STEP_KINDS),
    st.lists(
        st.sampled_from(
            "ActionWrapper( Search( Terminate LinkSelection( Answer( Check_Answer( Revise_Answer( thoughts= query= "
            "action= passed= answer= selected_link_ids= \" ' “ ” \\ ( ) [ ] { } , # \n = : * ** lambda x f\" b' "
            "\\u \\N{ 1 0x 1j -- True None [END] ``` not if else for in ... \x00 \ud800 \r \\".split(" ")
        ),
        max_size=40,
    ).map("".join),
)
def test_no_salad_of_our_own_words_makes_it_raise(kind: StepKind, text: str) -> None:
    assert_reasoned(parse(kind, text))


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.data())
def test_no_damage_to_a_good_output_makes_it_raise(step: tuple[StepKind, Action], data: st.DataObject) -> None:
    kind, action = step
    text = render_output(action)
    for _ in range(data.draw(st.integers(1, 4))):
        place, width = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 10))
        inserted = data.draw(st.text(max_size=4) | st.sampled_from(list("\"'()[]{},#\\\n=“”")))
        text = data.draw(st.sampled_from([text[:place] + inserted + text[place + width :], text[:place]]))
    assert_reasoned(parse(kind, text))


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_every_truncation_of_an_output_is_read_or_refused_with_a_reason(kind: StepKind) -> None:
    outputs: dict[StepKind, Action] = {
        "decide": Search('the "Beagle" (ship)', "Darwin's ship [link_id=1]; now its commander."),
        "summarise": LinkSelection('It is "so" [link_id=1].', "Known\nnow.", (1, 12), ("link_id=2: no. Rejected.",)),
        "answer": Answer("Both [link_id=1] (see).", 'The "one" (1831) [link_id=1].'),
        "relevance": CheckAnswer(True, ("It names the year.",)),
        "grounding": ReviseAnswer('In "1831" [link_id=1].', ("Wrong year.",)),
    }
    text = render_output(outputs[kind])
    for end in range(len(text)):
        assert_reasoned(parse(kind, text[:end]))
    assert parse(kind, text[: text.rindex(")")]) == Parsed(outputs[kind])


def assert_reasoned(parsed: Parsed) -> None:
    """There is an action or a reason, never both, and the action can be written out again."""
    assert (parsed.action is None) == bool(parsed.problem)
    if parsed.action is not None:
        render_output(parsed.action).encode("utf-8")


THOUGHT = Search("capital of Laos", "I need it.")


@pytest.mark.parametrize(
    "text",
    [
        'ActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos"))',
        "ACTION_SELECTED = ActionWrapper(thoughts='I need it.', action=Search(query='capital of Laos'))",
        'ACTION_SELECTED: Action = ActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos"))',
        "ActionWrapper(thoughts=“I need it.”, action=Search(query=\u2018capital of Laos\u2019))",
        'ActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos"',
        'ActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos")  # [END]',
        'ActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos',
        'ActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos))',
        'ActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos"], )',
        '```python\nActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos"))\n```\nDone.',
        'Sure! Here it is:\nActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos")) Good luck (!)',
        'ActionWrapper("I need it.", Search("capital of Laos"))',
        'actionwrapper(Thoughts="I need it.", ACTION=search(Query="capital of Laos"))',
        'action_wrapper(thoughts="I need it.", action=Search(query="capital of Laos"))',
        'Search(query="capital of Laos", thoughts="I need it.")',
        'ACTION_SELECTED = Search(thoughts="I need it.", query="capital of Laos")',
        'ActionWrapper(action=Search(query="capital of Laos", thoughts="I need it."))',
        'ActionWrapper(thoughts="  I need it.\n", action=Search(query="capital of Laos "))',
        'ActionWrapper(\n    thoughts="I need it.",  # it\'s unknown\n    action=Search(query="capital of Laos"),\n)',
        'ActionWrapper (\n  thoughts = "I need it.", action = Search\n  (query="capital of Laos"))',
        'I would Search (the web) for it.\nActionWrapper(thoughts="I need it.", action=Search("capital of Laos"))',
        '<think>Search(query="wrong")</think>\nActionWrapper(thoughts="I need it.", action=Search("capital of Laos"))',
        'ActionWrapper(thoughts="I need it.", action=Search(query="capital of Laos"))  #[END]\n# Example 9: Search("")',
        'ActionWrapper(thoughts="I need it.", mood="good", action=Search(query="capital of Laos", k=3))',
        'ActionWrapper(thoughts="""I need it.""", action=Search(query="""capital of Laos"""))',
    ],
)
def test_a_search_is_recognised_in_spite_of(text: str) -> None:
    assert parse("decide", text) == Parsed(THOUGHT)


@pytest.mark.parametrize(
    ("kind", "text", "action"),
    [
        ("decide", 'ActionWrapper(thoughts="Done.", action=Terminate)', Terminate("Done.")),
        ("decide", 'ActionWrapper(thoughts="Done.", action=terminate())', Terminate("Done.")),
        ("decide", 'Terminate(thoughts="Done.")', Terminate("Done.")),
        ("decide", "ACTION_SELECTED = Terminate()", Terminate("")),
        ("decide", 'Search(query="the "Beagle", 1831", thoughts="x")', Search('the "Beagle", 1831', "x")),
        ("decide", "Search(query='Darwin's ship')", Search("Darwin's ship")),
        ("decide", 'Search(query="say \\"no\\" \\u00e9\\t\\x41\\q")', Search('say "no" é\tA\\q')),
        ("decide", 'Search(query="say \\"no\\" \\u00e9\\t\\x41', Search('say "no" é\tA')),
        ("decide", 'ActionWrapper("a "b" c", Search("d"))', Search("d", 'a "b" c')),
        ("decide", "Search(query=1969)", Search("1969")),
        ("answer", 'Answer(thoughts="a", answer="one\ntwo")', Answer("a", "one\ntwo")),
        ("answer", 'Answer("a", "b (c) [link_id=1]. ")', Answer("a", "b (c) [link_id=1].")),
        ("answer", 'Answer(answer="b")', Answer("", "b")),
        ("answer", 'Answer(thoughts="a", answer="It was 1831 [link_id=1', Answer("a", "It was 1831 [link_id=1")),
        ("answer", "ANSWER(Thoughts='a', Answer='b')", Answer("a", "b")),
        ("summarise", 'LinkSelection("s", "t", [1, 2])', LinkSelection("s", "t", (1, 2))),
        ("summarise", 'LinkSelection("s", "t", selected_link_ids=[2, 1, 2])', LinkSelection("s", "t", (2, 1))),
        ("summarise", 'link_selection("s", "t", selected_link_ids=3)', LinkSelection("s", "t", (3,))),
        ("summarise", 'LinkSelection("s", "t", ("1", "link_id=2", "[link_id=3]"))', LinkSelection("s", "t", (1, 2, 3))),
        ("summarise", 'LinkSelection("s", "t", [])', LinkSelection("s", "t", ())),
        ("summarise", 'LinkSelection("s", "t", [1, 2', LinkSelection("s", "t", (1, 2))),
        (
            "summarise",
            '```\n# one\n\n  #two\nprose\n#\nACTION_SELECTED = LinkSelection("s", "t", [1])',
            LinkSelection("s", "t", (1,), ("one", "two")),
        ),
        ("relevance", "Check_Answer(True)", CheckAnswer(True)),
        ("relevance", "check_answer(passed=true)", CheckAnswer(True)),
        ("relevance", "CheckAnswer(passed='False')", CheckAnswer(False)),
        ("relevance", "# fine\nCheck_Answer(passed=1", CheckAnswer(True, ("fine",))),
        (
            "grounding",
            "# I could say Check_Answer(passed=True).\nRevise_Answer(revised_answer='b')",
            ReviseAnswer("b", ("I could say Check_Answer(passed=True).",)),
        ),
        ("grounding", "reviseanswer('b')", ReviseAnswer("b")),
    ],
)
def test_common_slips_are_forgiven(kind: StepKind, text: str, action: Action) -> None:
    assert parse(kind, text) == Parsed(action)


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("decide", "", "no call of ActionWrapper, Search or Terminate"),
        ("decide", "I would search for it.", "no call of ActionWrapper, Search or Terminate"),
        ("decide", 'Answer(thoughts="a", answer="b")', "no call of ActionWrapper, Search or Terminate"),
        ("decide", '# Search(query="only a comment")', "no call of ActionWrapper, Search or Terminate"),
        ("decide", 'LookUp("x"); SearchEngine("y")', "no call of ActionWrapper, Search or Terminate"),
        ("decide", 'ActionWrapper(thoughts="x")', "ActionWrapper without an action"),
        ("decide", 'ActionWrapper(thoughts="x", action=Answer("y"))', "the action is neither Search nor Terminate"),
        ("decide", 'ActionWrapper(thoughts="x", action=Fly("y"))', "unknown call Fly"),
        ("decide", "Search(thoughts='x')", "no text in query"),
        ("decide", "Search(query=name)", "no text in query"),
        ("decide", "Search(query=open('/etc/passwd').read())", "no text in query"),
        ("decide", "Search(query=True)", "no text in query"),
        ("decide", "Search(query=0x" + "f" * 15_000 + ")", "a number out of range"),
        ("decide", "Search(" * 30, "brackets more than 20 deep"),
        ("decide", "Search(1 2)", "not a Python call: invalid syntax. Perhaps you forgot a comma?"),
        ("decide", 'Search(query="' + "x" * 20_000 + '")', "longer than 20000 characters"),
        ("summarise", "Answer('a', 'b')", "no call of LinkSelection"),
        ("summarise", 'LinkSelection("s", "t")', "no selected_link_ids"),
        ("summarise", 'LinkSelection("s", "t", ["first"])', "selected_link_ids holds something that is no link id"),
        ("summarise", 'LinkSelection("s", "t", [-1])', "selected_link_ids holds something that is no link id"),
        ("summarise", 'LinkSelection("s", "t", [1.5])', "selected_link_ids holds something that is no link id"),
        ("answer", 'Check_Answer("x", "y")', "no call of Answer"),
        ("answer", 'Answer("only one")', "no text in answer"),
        ("relevance", "Check_Answer()", "passed is neither True nor False"),
        ("relevance", "Check_Answer(passed=maybe)", "passed is neither True nor False"),
        ("grounding", "Answer('a', 'b')", "no call of Check_Answer or Revise_Answer"),
        ("grounding", "Revise_Answer()", "no text in revised_answer"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(kind: StepKind, text: str, problem: str) -> None:
    assert parse(kind, text) == Parsed(None, problem)


def test_nothing_that_is_read_is_ever_run(capsys: pytest.CaptureFixture[str]) -> None:
    for text in (
        'Search(query=print("run"))',
        'Search(query=f"{print(1)}")',
        'Search(*print("run"))',
        "Search(**print(1))",
    ):
        assert parse("decide", text).action is None
    assert capsys.readouterr().out == ""


def test_a_stray_backslash_is_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse("decide", r'Search(query="\d+ \(a\) \w")') == Parsed(Search(r"\d+ \(a\) \w"))


@pytest.mark.parametrize("kind", STEP_KINDS)
@pytest.mark.parametrize(
    "unit",
    [
        "Answer(", "(", "[{(", '"', "'", '"",', "\\", "#", "# ", "#\n", "# [EN", "a,", '"a', '" ', '", ', '", a', "--",
        "not ", "1+", "1**", "a.", "()", "lambda:", "a:=", "1 if 1 else ", "f'{", "“", "“, ", " ", "\n", "0",
        "</think>", "_", "Search (", "ActionWrapper\n(",
    ],
)  # fmt: skip
def test_the_longest_repetitive_text_takes_no_time(kind: StepKind, unit: str) -> None:
    for opening in ("", "Answer(", 'Search("', "LinkSelection(1,", "Check_Answer(passed=", "Revise_Answer(“"):
        text = (opening + unit * 20_000)[:20_000]
        start = time.process_time()
        assert_reasoned(parse(kind, text))
        assert time.process_time() - start < 2.0
