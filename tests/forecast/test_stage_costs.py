from rest_react.config.compose import compose
from rest_react.forecast.stage_costs import Pace, rollouts


def test_questions_are_priced_as_the_model_that_answers_them() -> None:
    given = ["experiment=tool_maker", "policy=scripted", "task.maker=openai", "task.maker.price={input:2.0,output:8.0}"]
    s = compose(given)
    costs = {}
    for way, questions in s.evaluate.benchmarks.items():
        row = rollouts(s, Pace(0, 100, 10), way, 50, 1, 0, by=s.task.answered_by(questions))
        costs[way] = (row.usd, row.minutes)
    asked_of_maker = ((50 * 100 * 2 + 50 * 10 * 8) / 1e6, None)
    assert costs == dict.fromkeys(("making", "maker_alone", "maker_with_tool"), asked_of_maker) | dict.fromkeys(
        ("user_alone", "user_with_tool"), (0.0, 0.0)
    )
