"""The table of families and ways to answer, on answers made by hand."""

from dataclasses import replace

import pytest

from rest_react.judges.results import fault_verdict, result_of
from rest_react.metrics.prices import Price
from rest_react.records import Candidate, Fault, LabelledQuestion, Question, Step, Trajectory, Usage, Verdict
from rest_react.tasks.protocol import Evaluated
from rest_react.tasks.tool_maker.states import dispatch_state
from rest_react.tasks.tool_maker.tables import tool_tables


def test_answers_lost_outside_do_not_make_an_answer_cheaper() -> None:
    found, results = [], {}
    for number, fault in enumerate((None, Fault("outside", "HTTP 503"))):
        asked = Question(f"user_alone:word_sorting-eval-00{number}", "Sort b a.")
        usage = Usage(1, 90 if fault is None else 0, 10 if fault is None else 0)
        one = Trajectory(
            f"{asked.id}.0", asked.id, asked.text, "failed" if fault else "finished", fault, (), "", "a b", usage
        )
        verdict = fault_verdict(one) or Verdict("correct")
        labelled = LabelledQuestion(asked, ("a b",), kind="word_sorting")
        found.append(one)
        results[one.id] = result_of(labelled, one, verdict, before=verdict)
    (table,) = tool_tables([Evaluated(1, "alone", found, results)], {"policy": Price(1.0, 1.0)})
    row = next(row for row in table.rows if row[:2] == ("word sorting", "user alone"))
    assert (row[3], row[5], row[6]) == ("1", "10,000", "$0.0100")


def answered(way: str, family: str, number: int, tokens: int) -> tuple[Trajectory, LabelledQuestion]:
    asked = Question(f"{way}:{family}-eval-00{number}", "Sort b a.")
    one = Trajectory(f"{asked.id}.0", asked.id, asked.text, "finished", None, (), "", "a b", Usage(1, tokens, 0))
    return one, LabelledQuestion(asked, ("a b",), kind=family)


def test_the_answers_before_and_after_a_training_have_a_table_each() -> None:
    evaluations = []
    for iteration, verdict in ((0, "incorrect"), (1, "correct")):
        one, asked = answered("user_with_tool", "word_sorting", 0, 100)
        results = {one.id: result_of(asked, one, Verdict(verdict), before=Verdict(verdict))}
        evaluations.append(Evaluated(iteration, "user_with_tool", [one], results))
    tables = tool_tables(evaluations, {"policy": Price(1.0, 1.0)})
    shares = {table.name: next(row[2] for row in table.rows if row[1] == "user with tool") for table in tables}
    assert list(shares) == ["Tools", "Tools, iteration 0"]
    assert shares["Tools"].startswith("100.0%") and shares["Tools, iteration 0"].startswith("0.0%")


def test_a_second_benchmark_that_is_asked_in_the_same_way_is_not_mixed_in() -> None:
    evaluations = []
    for iteration in (0, 1):
        for name, number, verdict in (("user_with_tool", 0, "correct"), ("zz_more", 1, "incorrect")):
            one, asked = answered("user_with_tool", "word_sorting", number, 100)
            results = {one.id: result_of(asked, one, Verdict(verdict), before=Verdict(verdict))}
            evaluations.append(Evaluated(iteration, name, [one], results))
    for table in tool_tables(evaluations, {"policy": Price(1.0, 1.0)}):
        shares = {row[1]: (row[2][:6], row[3]) for row in table.rows if row[0] == "word sorting"}
        assert shares == {"majority answer": ("100.0%", "1"), "user with tool": ("100.0%", "1")}


@pytest.mark.parametrize(("named", "share"), [("word_sorting", "100.0%"), ("none", "0.0%"), ("remainders", "0.0%")])
def test_an_answer_counts_in_the_table_of_choices_only_after_a_right_choice(named: str, share: str) -> None:
    made, asked = answered("user_with_tool", "word_sorting", 0, 100)
    state = dispatch_state({"word_sorting": "def f(words):", "remainders": "def g(n):"}, made.question)
    one = replace(made, steps=(Step("dispatch", state, (Candidate(named, 1, None, "stop"),), 0),))
    results = {one.id: result_of(asked, one, Verdict("correct"), before=Verdict("correct"))}
    tools, choices = tool_tables([Evaluated(0, "user_with_tool", [one], results)], {})
    assert next(row[2][:6] for row in tools.rows if row[1] == "user with tool") == "100.0%"
    ((case, right, n, user, maker),) = choices.rows
    assert (case, right.split()[0], n, user.split()[0], maker) == ("a known tool fits", share, "1", share, "-")


def test_a_rejected_tool_never_pays_off_and_does_not_make_the_others_cheaper() -> None:
    families, evaluations = ("word_sorting", "remainders"), []
    for way, tokens in (("user_with_tool", {"word_sorting": 100, "remainders": 0}), ("maker_alone", None)):
        made = [answered(way, family, 0, 1000 if tokens is None else tokens[family]) for family in families]
        results = {one.id: result_of(asked, one, Verdict("correct"), before=Verdict("correct")) for one, asked in made}
        evaluations.append(Evaluated(1, way, [one for one, _ in made], results))
    making = [
        Trajectory(f"making:{family}.0", f"making:{family}", "", "finished", None, (), "", told, Usage(1, 5000, 0))
        for family, told in (("word_sorting", "accepted"), ("remainders", "rejected: it fails"))
    ]
    evaluations.append(Evaluated(1, "making", making, {}))
    (table,) = tool_tables(evaluations, {"policy": Price(1.0, 1.0), "task.maker": Price(1.0, 1.0)})
    found = {row[0]: row[5:] for row in table.rows if row[1] == "user with tool"}
    assert found["remainders"] == ("-", "-", "0 + 0, 1 rejected", "$0.0050", "never")
    assert found["word sorting"] == ("10,000", "$0.0100", "0 + 0", "$0.0050", "6")
    assert found["all"] == ("10,000", "$0.0100", "0 + 0, 1 rejected", "$0.0100", "6")


def test_a_question_that_user_and_maker_answer_is_one_question_in_the_table_of_choices() -> None:
    evaluations = []
    for way, named in (("user_with_tool", "word_sorting"), ("maker_with_tool", "none")):
        made, asked = answered(way, "word_sorting", 0, 100)
        state = dispatch_state({"word_sorting": "def f(words):"}, made.question)
        one = replace(made, steps=(Step("dispatch", state, (Candidate(named, 1, None, "stop"),), 0),))
        results = {one.id: result_of(asked, one, Verdict("correct"), before=Verdict("correct"))}
        evaluations.append(Evaluated(0, way, [one], results))
    _, choices = tool_tables(evaluations, {})
    ((_, right, n, user, maker),) = choices.rows
    assert (right.split()[0], n, user.split()[0], maker.split()[0]) == ("50.0%", "1", "100.0%", "0.0%")
