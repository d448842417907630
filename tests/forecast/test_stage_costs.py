from rest_react.config.compose import compose
from rest_react.forecast.stage_costs import Pace, rollouts, size_of


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


def test_as_many_tools_are_made_as_there_are_families() -> None:
    s = compose(["experiment=tool_maker", "policy=scripted", "task.families=[word_sorting,remainders]"])
    sizes = {way: size_of(s, questions) for way, questions in s.evaluate.benchmarks.items()}
    assert sizes["making"] == 2
    assert set(sizes.values()) == {2, s.world.evaluation}
