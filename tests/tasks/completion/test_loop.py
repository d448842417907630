"""The completion task, end to end on its scripted policy: grow, improve, fine-tune, evaluate."""

import asyncio
import json
from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.judges.grader import RuleGrader
from rest_react.prompts import StepPrompt
from rest_react.questions.item_files import INSTRUCTED
from rest_react.records import (
    Candidate,
    Example,
    Fault,
    LabelledQuestion,
    Prompt,
    Question,
    Ranking,
    Result,
    Step,
    Trajectory,
    Usage,
    Verdict,
)
from rest_react.records import Completion as Completed
from rest_react.run import run
from rest_react.storage.jsonl import read_lines
from rest_react.storage.settings_file import read_settings
from rest_react.tasks.completion.items import LABELS, build_items
from rest_react.tasks.completion.task import CLOSINGS, Completion, parse_label, render_state
from rest_react.tasks.protocol import Policy
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.task_of_run_folder import task_of_run_folder
from rest_react.text_safety.escaping import escape_control_tokens
from rest_react.trajectories.step_view import Part, StepView
from tests.tasks.test_rollout import Sayings
from tests.training_here import train_in_this_process

SMALL = ["experiment=completion_smoke", "world.demonstrations=4", "world.train=6", "world.evaluation=8"]


def test_the_loop_grows_improves_fine_tunes_and_evaluates_a_task_without_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_in_this_process(monkeypatch)
    run(compose([*SMALL, "iteration=1", "finetune.max_steps=3", f"output={tmp_path}"]))
    folder = tmp_path / "completion_smoke"
    items = build_items(0, demonstrations=4, train=6, evaluation=8)

    trajectories = list(read_lines(folder / "iter_1/grow/trajectories.jsonl", Trajectory))
    assert [t.question for t in trajectories] == [item.question.text for item in items.train]
    for trajectory in trajectories:
        (step,) = trajectory.steps
        assert (step.kind, step.state) == ("complete", render_state(trajectory.question))
        assert (len(step.candidates), trajectory.usage.calls, trajectory.usage.searches) == (4, 1, 0)
        assert trajectory.answer == ("" if step.chosen is None else step.candidates[step.chosen].text)
    finished = [t for t in trajectories if t.outcome == "finished"]
    assert finished

    rankings = list(read_lines(folder / "iter_1/improve/rankings.jsonl", Ranking))
    examples = list(read_lines(folder / "iter_1/improve/examples.jsonl", Example))
    assert [ranking.id for ranking in rankings] == [f"{t.id}.0" for t in finished]
    assert examples == [
        Example(f"{t.id}.0", t.id, 0, "complete", render_state(t.question), t.answer, "perplexity") for t in finished
    ]
    assert {example.completion for example in examples} <= set(LABELS)

    demonstrated = list(read_lines(folder / "iter_0/improve/examples.jsonl", Example))
    assert [example.completion for example in demonstrated] == [item.answers[0] for item in items.demonstrations]

    results = list(read_lines(folder / "iter_1/evaluate/world/results.jsonl", Result))
    assert [result.golds for result in results] == [item.answers for item in items.evaluation]
    for result in results:
        right = result.fault is None and result.answer == result.golds[0]
        assert (result.verdict.verdict, result.searches) == ("correct" if right else "incorrect", 0)
    assert json.loads((folder / "results.json").read_text())
    start, tuned = ((folder / f"iter_{k}/finetune/model/model.safetensors").read_bytes() for k in (0, 1))
    assert start != tuned
    assert (folder / "report.html").exists()

    task = task_of_run_folder(read_settings(folder))
    assert task == Completion(labels=LABELS)
    (view,) = task.render([task.parse(finished[0].steps[0])])
    answer = finished[0].answer
    assert view == StepView("Answer", (Part("quote", answer),), (f"writes    {answer}",))
    outside = Candidate("I would have to think.", 5, None, "stop")
    (view,) = task.render([task.parse(Step("complete", "", (outside,), None))])
    assert view == StepView(
        "Answer",
        (Part("quote", outside.text), Part("note", "This cannot be used as an answer.")),
        (f"writes    {outside.text}", f"no sample can be used (none of the labels: {outside.text})"),
    )


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("delivery", "delivery"),
        ("Delivery.  # [END]", "delivery"),
        ('\n"BILLING"\nbecause of the invoice', "billing"),
        ("<think>is it late?</think>service", "service"),
        ("I would have to think about that.", None),
        ("", None),
        ("delivery or billing", None),
    ],
)
def test_case_quotes_and_a_final_full_stop_are_ignored(text: str, label: str | None) -> None:
    parsed = parse_label(text, LABELS)
    assert (parsed.action, parsed.target) == (label, label or "")
    assert bool(parsed.problem) == (label is None)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("delivery\n# Because it", "delivery"),
        ("delivery\n\n\n\n", "delivery"),
        ("delivery", None),
        ("delivery  ", None),
        ("It was late\nand I", None),
    ],
)
def test_of_an_output_that_was_cut_off_a_whole_first_line_counts(text: str, label: str | None) -> None:
    task = Completion(StepPrompts({"complete": StepPrompt("# Say it.\n", ())}, CLOSINGS), LABELS)
    policy = Policy(Sayings([Completed(text, 8, -1.0, "length", 3)]), 1, 0.0, 8, "perplexity", True)
    taken = asyncio.run(task.rollout(Question("q", "It was late."), policy, trajectory_id="q.0", seed=1))
    fault = None if label else Fault("model", "no usable sample at step 0 (complete): cut off at 8 tokens")
    assert (taken.answer, taken.fault) == (label or "", fault)
    stored = [action.action for action in task.parse(taken.steps[0]).actions]
    assert stored == [label]


@pytest.mark.parametrize(
    ("options", "gold", "answer", "verdict"),
    [
        (
            (),
            "7",
            "It could be 3, 5, 7 or 9.",
            Verdict("incorrect", "the gold answer is one of several answers in a list"),
        ),
        ((), "7", '"7".', Verdict("correct", "mentions '7'")),
        ((), "New York", "She was born in new york.", Verdict("correct", "mentions 'new york'")),
        (("blue", "red"), "red", "I think this is red.", Verdict("correct", "the answer is red")),
        (("blue", "red"), "red", "red or blue", Verdict("incorrect", "the answer is red")),
    ],
)
def test_an_item_of_another_task_is_right_if_its_label_is_named_or_where_there_are_no_labels_by_the_rule_grader(
    options: tuple[str, ...], gold: str, answer: str, verdict: Verdict
) -> None:
    item = LabelledQuestion(Question(f"{INSTRUCTED}q", "Which?"), (gold,), options)
    said = Trajectory("q.0", item.question.id, "Which?", "finished", None, (), answer, answer, Usage())
    graded = asyncio.run(Completion(labels=LABELS).grade(item, said, RuleGrader(), seed=1))
    assert graded.verdict == verdict


@pytest.mark.parametrize("tuned", [False, True])
def test_an_item_of_another_task_is_sent_as_its_text_alone(tuned: bool) -> None:
    task = Completion(StepPrompts({"complete": StepPrompt("# Say it.\n", ())}, CLOSINGS), LABELS)
    llm = Sayings([Completed("Paris.", 2, -1.0, "stop", 3)])
    question = Question(f"{INSTRUCTED}q", "Where is the Louvre? <|im_end|>")
    taken = asyncio.run(
        task.rollout(question, Policy(llm, 1, 0.0, 8, "perplexity", tuned), trajectory_id="q.0", seed=1)
    )
    assert [prompt for prompt, _, _ in llm.asked] == [Prompt("", escape_control_tokens(question.text))]
    assert taken.answer == "Paris."


def test_without_labels_the_first_line_is_the_answer() -> None:
    parsed = parse_label("\nForty-two.\nBecause.", ())
    assert (parsed.action, parsed.target, parsed.decision) == ("Forty-two.", "Forty-two.", "forty-two")


def test_no_two_sets_share_an_item() -> None:
    items = build_items(3, demonstrations=20, train=20, evaluation=20)
    assert len(items.plans) == 60
    assert items == build_items(3, demonstrations=20, train=20, evaluation=20)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("improve.only_grounded=true", "improve.only_grounded: task=completion has no grounding check"),
        ("improve.max_searches=3", "improve.max_searches: task=completion does not search"),
        ("improve.min_passages=2", "improve.min_passages: task=completion does not search"),
        ("improve.keep=verified", "improve.keep: task=completion has no verifier"),
        ("agent.select=verified", "agent.select: task=completion has no verifier"),
        ("grader=same", "grader: task=completion compares answers with the labels"),
    ],
)
def test_a_setting_that_the_task_does_not_support_is_refused(setting: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        compose([*SMALL, setting])
