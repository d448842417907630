"""The table of families and ways to answer, on answers made by hand."""

from rest_react.judges.results import fault_verdict, result_of
from rest_react.metrics.prices import Price
from rest_react.records import Fault, LabelledQuestion, Question, Trajectory, Usage, Verdict
from rest_react.tasks.protocol import Evaluated
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
