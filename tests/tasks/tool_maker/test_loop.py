"""Tool makers end to end, with scripted models and a real sandbox: tools are made, found, used and learnt from."""

import asyncio
import base64
import json
import re
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rest_react.build import Parts
from rest_react.config.checks.combinations import combination_problems
from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.export import export
from rest_react.exporting.request import ExportRequest
from rest_react.loop import Loop
from rest_react.protocols import LLM
from rest_react.records import Completion, Example, Prompt, Result, Sampling, Trajectory
from rest_react.run import run
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import differing_data, read_environments
from rest_react.tasks.task_settings import TaskContext
from rest_react.tasks.tool_maker.families import FAMILIES
from rest_react.tasks.tool_maker.items import build_items, how_asked
from rest_react.tasks.tool_maker.library import Library
from rest_react.tasks.tool_maker.sandbox import namespaces_problem
from rest_react.tasks.tool_maker.scripted import ScriptedMaker
from tests.serving import serving

pytestmark = pytest.mark.skipif(bool(namespaces_problem()), reason=f"no namespaces here: {namespaces_problem()}")
WAYS = ("making", "user_alone", "user_with_tool", "maker_alone", "maker_with_tool")
PRICED = ["policy.price.input=1", "policy.price.output=2", "task.maker.price.input=10", "task.maker.price.output=30"]


def start(output: Path, *overrides: str, ways: tuple[str, ...] = WAYS, experiment: str = "tool_maker") -> Path:
    left_out = [f"~evaluate.benchmarks.{way}" for way in WAYS if way not in ways and experiment == "tool_maker"]
    families = [] if any(word.startswith("task.families") for word in overrides) else ["task.families=[word_sorting]"]
    common = [f"experiment={experiment}", "policy=scripted", "tracking=none", f"output={output}"]
    settings = compose([*common, *families, *left_out, *overrides])
    run(settings)
    return output / settings.run


def read(stage: Path) -> list[tuple[Trajectory, Result]]:
    results = {result.id: result for result in read_lines(stage / "results.jsonl", Result)}
    return [(t, results[t.id]) for t in read_lines(stage / "trajectories.jsonl", Trajectory)]


REJECTED = {
    "overfit": "question 1: KeyError",
    "endless": "question 1: ran longer than 0.4 seconds",
    "no_code": "not Python",
    "constant": "question 1: the answer does not come from sorted_words",
    "identity": "question 1: the answer is written in the call; sorted_words must compute it",
}


@pytest.mark.parametrize("behaviour", ["right", *REJECTED])
def test_only_a_tool_that_is_called_once_for_each_question_and_right_on_all_is_accepted(
    behaviour: str, tmp_path: Path
) -> None:
    quick = ["task.sandbox_seconds=0.4", "task.maker_tries=1"] if behaviour == "endless" else ["task.maker_tries=2"]
    folder = start(tmp_path, f"task.maker.behaviour={behaviour}", "world.evaluation=1", *quick, ways=("making",))
    ((trajectory, result),) = read(folder / "iter_0/evaluate/making")
    (tools,) = (tmp_path / "tools").iterdir()
    made = Library(tools).read("word_sorting")
    assert made is not None and made.conversation == trajectory.steps
    kinds = [step.kind for step in trajectory.steps]
    if behaviour == "right":
        assert (made.verdict.accepted, kinds) == (True, ["propose", "verify"])
        assert made.wrapper.count("answer = sorted_words(") == 3 and made.wrapper.count("# [END]") == 3
    else:
        assert made.verdict.reason.startswith(REJECTED[behaviour]) and made.wrapper == ""
        tries = 1 if behaviour == "endless" else 2
        assert kinds == ["propose"] * tries if behaviour == "no_code" else ["propose", *["verify"] * tries]
        last = trajectory.steps[-1]
        assert last.chosen is None and last.candidates[0].problem == made.verdict.reason
        assert tries == 1 or "PROBLEM = " in last.state
    assert result.verdict.verdict == ("correct" if behaviour == "right" else "incorrect")


def test_the_maker_never_sees_the_answers_that_its_calls_are_compared_with(tmp_path: Path) -> None:
    folder = start(tmp_path, "world.evaluation=1", "task.families=[remainders]", ways=("making",))
    ((trajectory, _),) = read(folder / "iter_0/evaluate/making")
    shown, asked = trajectory.steps
    examples = build_items(0, ["remainders"], demonstrations=0, train=0, evaluation=1).examples["remainders"]
    for number, example in enumerate(examples[:3], start=1):
        assert f'ANSWER_{number} = "{example.answers[0]}"' in shown.state
    for example in examples[3:]:
        assert example.question.text not in shown.state and example.question.text in asked.state
        assert not any(f'"{answer}"' in asked.state for answer in example.answers)


@pytest.mark.parametrize("form", ["messages", "sts"])
def test_the_answers_that_the_maker_is_shown_are_exported_only_on_request(form: str, tmp_path: Path) -> None:
    run_folder = start(tmp_path, "world.evaluation=1", ways=("making",))
    told = {}
    for gold in (False, True):
        request = ExportRequest(
            str(run_folder), form, out=str(tmp_path / f"gold-{gold}"), stage="making", outcome="all", gold=gold
        )
        told[gold] = "".join(path.read_text() for path in export(request).rglob("*.jsonl"))
    assert "QUESTION_1 = " in told[False] and "ANSWER_1 = " not in told[False]
    assert "ANSWER_1 = " in told[True]


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs that share the folder of tools."""
    output = tmp_path_factory.mktemp("runs")
    asked = ["world.evaluation=4", "task.families=[word_sorting,remainders]", *PRICED]
    return start(output, *asked, "run=first"), start(output, *asked, "run=second")


def test_each_way_to_answer_is_graded_and_paid_for_by_itself(two_runs: tuple[Path, Path]) -> None:
    for way in WAYS:
        stage = two_runs[0] / "iter_0/evaluate" / way
        prompt, output = (10, 30) if way.startswith("mak") else (1, 2)
        summary = json.loads((stage / "summary.json").read_text())
        cost = (prompt * summary["prompt_tokens"] + output * summary["completion_tokens"]) / 1e6
        assert summary["cost_usd"] == pytest.approx(cost, abs=1e-6) and cost > 0
        for trajectory, result in read(stage):
            if way != "making":
                right = FAMILIES[how_asked(trajectory.question_id).family].is_right(trajectory.answer, result.golds)
                assert result.verdict.verdict == ("correct" if right else "incorrect")
            if way.startswith("maker"):
                assert result.verdict.verdict == "correct"


def test_a_tool_is_found_again_by_the_next_run(two_runs: tuple[Path, Path]) -> None:
    calls = [json.loads((run / "spending.json").read_text())["task.maker"]["calls"] for run in two_runs]
    assert calls == [4 + 8, 8]  # two replies for each tool, two ways to answer four questions
    for way in WAYS:
        first, second = ((run / "iter_0/evaluate" / way / "trajectories.jsonl").read_bytes() for run in two_runs)
        assert first == second


def test_a_tool_that_was_edited_after_the_command_that_made_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder = start(tmp_path, ways=("making",))
    (function,) = (tmp_path / "tools").glob("*/word_sorting/function.py")
    name = f"task.tools.{function.parents[1].name}.word_sorting"
    assert [name in one for one in read_environments(run_folder)] == [False, True]
    start(tmp_path, ways=("making",))
    assert "since this run began" not in capsys.readouterr().err
    function.write_text(function.read_text() + "# edited")
    start(tmp_path, ways=("making",))
    assert f"since this run began, {name}: " in " ".join(capsys.readouterr().err.split())
    assert list(differing_data(run_folder, read_environments(run_folder)[0] | {name: "other"})) == [f"{name}.content"]


def test_the_report_has_a_row_for_each_family_and_way(two_runs: tuple[Path, Path]) -> None:
    table = (two_runs[0] / "report.md").read_text().partition("## Tools")[2].partition("## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith(("| word sorting |", "| all |"))]
    ways = ["majority answer", "user alone", "user with tool", "maker alone", "maker with tool"]
    assert [row[1] for row in rows] == [*ways, *ways]
    _, _, _, n, _, _, _, tries, making, after = rows[2]
    assert (n, tries) == ("2", "1 + 1") and float(making[1:]) > 0 and int(after.rstrip(" |")) > 0


def test_the_page_shows_code_and_what_it_came_to(two_runs: tuple[Path, Path]) -> None:
    page = (two_runs[0] / "report.html").read_text()
    blocks = re.findall(r'<script id="block-\d+" type="[^"]+">(.+?)</script>', page)
    shown = [one for block in blocks for one in json.loads(zlib.decompress(base64.b64decode(block)))]
    steps = [step for one in shown if one["verdict"]["verdict"] == "correct" for step in one["steps"]]
    parts: dict[str, Any] = {step["title"]: step["parts"] for step in steps}
    assert [part["kind"] for part in parts["Propose a function"]] == ["code", "verdict"]
    assert [part["kind"] for part in parts["Verify it by calls"]] == ["code", "line", "line", "line", "verdict"]
    assert [part["kind"] for part in parts["Use the tool"]] == ["code", "verdict"]
    assert parts["Use the tool"][0]["text"].startswith("answer = ")
    assert "<h2>Tools</h2>" in page


def test_without_a_maker_the_tools_of_the_only_one_are_used_and_of_several_the_user_chooses(tmp_path: Path) -> None:
    start(tmp_path, "run=made", ways=("making",))
    without = ["task.maker=null", "world.evaluation=2", "policy.right=1", "policy.wrong=0", "policy.unparsable=0"]
    without.append("policy.empty=0")

    def answered(*overrides: str) -> set[str]:
        folder = start(tmp_path, *without, *overrides, ways=("user_with_tool",))
        return {result.verdict.verdict for _, result in read(folder / "iter_0/evaluate/user_with_tool")}

    assert answered("run=one") == {"correct"}
    start(tmp_path, "run=other", "task.maker.behaviour=overfit", ways=("making",))
    makers = sorted((tmp_path / "tools").iterdir())
    with pytest.raises(ConfigError, match="several makers have tools") as refused:
        answered("run=two")
    assert all(str(maker) in str(refused.value) for maker in makers) and len(makers) == 2
    right = next(maker for maker in makers if Library(maker).accepted())
    assert answered("run=two", f"task.tools={right}") == {"correct"}


def test_a_dispatcher_names_a_known_tool_or_says_that_a_new_one_is_needed(tmp_path: Path) -> None:
    asked = ["world.evaluation=2", "task.dispatch=true", "task.dispatcher=scripted_maker"]
    choices = []
    for name in ("first", "second"):
        folder = start(tmp_path, *asked, f"run={name}", ways=("user_with_tool",))
        steps = [t.steps[0] for t, _ in read(folder / "iter_0/evaluate/user_with_tool")]
        choices.append([step.candidates[0].text for step in steps])
        assert [step.kind for step in steps] == ["dispatch", "dispatch"]
        assert "| 100.0% " in (folder / "report.md").read_text().partition("## Choice of the tool")[2]
        assert json.loads((folder / "spending.json").read_text())["task.dispatcher"]["calls"] == 2
    assert choices == [["none", "none"], ["word_sorting", "word_sorting"]]


TWO = ("word_sorting", "remainders")
# The share of right choices, and of right answers: by none, a built-in question falls back on the family in its id.
# Only answers after a right choice count in the table of choices.
NAMED = {"right": ("100.0%", 1.0), "other": ("0.0%", 0.0), "none": ("0.0%", 1.0)}


@dataclass(frozen=True)
class Dispatcher:
    """A model that names the right tool of two, the other one, or none."""

    names: str

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        sorts = "Counted in groups" not in prompt.state.rpartition("QUESTION = ")[2]
        named = {"right": TWO[not sorts], "other": TWO[sorts], "none": "none"}[self.names]
        return [Completion(named, 2, None, "stop", 9)] * n

    async def aclose(self) -> None:
        """Nothing to release."""


def test_only_the_right_tool_answers_and_by_none_a_built_in_question_has_its_family_s(tmp_path: Path) -> None:
    asked = [f"task.families=[{','.join(TWO)}]", "world.evaluation=4"]
    start(tmp_path, *asked, "run=made", ways=("making",))
    items = build_items(0, TWO, demonstrations=0, train=0, evaluation=4)
    question = items.evaluation[0]
    own = {"id": "mine 1", "question": question.question.text, "answers": question.answers}
    (tmp_path / "own.jsonl").write_text(json.dumps(own))
    asked += ["+questions@evaluate.benchmarks.own=file", f"evaluate.benchmarks.own.path={tmp_path / 'own.jsonl'}"]
    asked += ["policy=openai", "policy.model=user", "finetune=hosted", "task.dispatch=true", "task.dispatcher=openai"]
    user = ScriptedMaker("right", items.plans, items.answers())
    for names, (chosen, answered) in NAMED.items():
        served = {"user": user, "dispatcher": Dispatcher(names)}
        with serving(lambda name, mode, served=served: served[name], tmp_path / names) as service:
            at = [
                f"{role}.{one}"
                for role in ("policy", "task.dispatcher")
                for one in (f"base_url={service.url}", "api_key_env=null")
            ]
            asked_now = [*asked, *at, "task.dispatcher.model=dispatcher", f"run={names}"]
            folder = start(tmp_path, *asked_now, ways=("user_with_tool",))
        right = [result.verdict.verdict == "correct" for _, result in read(folder / "iter_0/evaluate/user_with_tool")]
        assert sum(right) / 4 == answered
        (row,) = (line for line in (folder / "report.md").read_text().splitlines() if "a known tool fits" in line)
        _, right_choice, n, and_correct, by_maker = row.strip("| ").split(" | ")
        assert (right_choice.split()[0], n, and_correct.split()[0], by_maker) == (chosen, "4", chosen, "-")
        ((trajectory, result),) = read(folder / "iter_0/evaluate/own")
        assert (result.verdict.verdict == "correct") == (names == "right")  # its id names no family
        if names == "none":
            assert trajectory.fault is not None and trajectory.fault.message.startswith("no tool for this question")


def test_maker_and_dispatcher_can_be_served_models(tmp_path: Path) -> None:
    items = build_items(0, ["word_sorting"], demonstrations=0, train=0, evaluation=2)
    with serving(
        lambda name, mode: ScriptedMaker("right", items.plans, items.answers()), tmp_path / "server"
    ) as service:
        roles = [
            word
            for role in ("task.maker", "task.dispatcher")
            for word in (f"{role}=openai", f"{role}.base_url={service.url}", f"{role}.api_key_env=null")
        ]
        folder = start(tmp_path, "world.evaluation=2", "task.dispatch=true", *roles)
    for way in ("making", "maker_alone", "maker_with_tool"):
        graded = read(folder / "iter_0/evaluate" / way)
        assert {result.verdict.verdict for _, result in graded} == {"correct"}
        summary = json.loads((folder / "iter_0/evaluate" / way / "summary.json").read_text())
        assert (summary["cost_usd"], summary["cost_reason"].split()[0]) in {
            (None, "task.maker.price"), (None, "task.dispatcher.price"),
        }  # fmt: skip
    (function,) = (tmp_path / "tools").glob("gpt-4.1-mini-2025-04-14-????????/word_sorting/function.py")
    assert function.read_text()


def test_improve_trains_on_calls_that_execution_verified_whatever_their_labels(tmp_path: Path) -> None:
    shares = [
        "improve.keep=all",
        "policy.wrong=0.45",
        "policy.right=0.45",
        "task.families=[word_sorting]",
        "world.train=8",
    ]
    settings = compose(["experiment=tool_user", "policy=scripted", "grow.samples=4", f"output={tmp_path}", *shares])
    folder = tmp_path / "tool_user"
    parts = Parts(settings, RunFolder(folder))
    loop = Loop(settings, parts)
    asyncio.run(loop.run_grow(1, parts.llm(parts.starting_model()), parts.starting_model()))
    asyncio.run(loop.run_improve(1))
    train = build_items(0, ["word_sorting"], demonstrations=0, train=8, evaluation=0).train
    items = {item.question.text: item for item in train}
    grown = {t.id: t for t in read_lines(folder / "iter_1/grow/trajectories.jsonl", Trajectory)}
    examples = list(read_lines(folder / "iter_1/improve/examples.jsonl", Example))
    assert {example.kind for example in examples} == {"use"} and len(examples) > 2
    rights = set()
    for example in examples:
        step = grown[example.trajectory_id].steps[0]
        answers = {hit.source: hit.snippet for hit in step.hits if hit.title == "answer"}
        assert example.prompt == step.state and example.completion in answers
        golds = items[grown[example.trajectory_id].question].answers
        rights.add(FAMILIES["word_sorting"].is_right(answers[example.completion], golds))
    assert rights == {True, False}  # a wrong answer of a call that ran trains too: no label was looked at


@pytest.mark.slow
def test_the_loop_of_a_user_trains_on_its_own_calls(tmp_path: Path) -> None:
    sizes = ["world.train=8", "world.evaluation=2", "finetune=tiny", "finetune.max_steps=2", "iteration=2"]
    folder = start(tmp_path, *sizes, experiment="tool_user")
    models = [(folder / f"iter_{k}/finetune/model/model.safetensors").read_bytes() for k in (1, 2)]
    assert models[0] != models[1]
    assert len(json.loads((folder / "results.json").read_text())["rows"]) == 6


def problems(*overrides: str) -> list[str]:
    try:
        return list(combination_problems(compose(["experiment=tool_maker", "policy=scripted", *overrides])))
    except ConfigError as error:
        return list(error.problems)


def test_code_is_not_run_without_isolation_unless_the_user_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rest_react.tasks.tool_maker.settings.namespaces_problem", lambda: "unshare: not permitted")
    (problem,) = problems()
    assert problem.startswith("task.sandbox: this system cannot isolate") and "task.sandbox=limits_only" in problem
    assert problems("task.sandbox=limits_only") == []


def test_settings_that_cannot_work_are_told_at_once() -> None:
    told = problems("task.dispatcher=scripted_maker", "~llm@task.maker")
    assert [line.partition(":")[0] for line in told] == [
        "task.dispatcher",
        *(f"evaluate.benchmarks.{way}.asked" for way in ("making", "maker_alone", "maker_with_tool")),
    ]
    with pytest.raises(ConfigError, match="kind=tools belongs to task=tool_maker"):
        run(compose(["experiment=smoke", "grow.questions=tools", "dry_run=false", "iteration=1", "output=/tmp/never"]))


@dataclass(frozen=True)
class TipsMaker(LLM):
    """A model that names the own family `tips`, makes its tool, and calls it."""

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        state = prompt.state
        calls = [f"answer = euros({price})" for price in re.findall(r"A meal costs (\d+)", state)]
        text = {
            "function": 'def euros(price):\n    """The price with a tip of a tenth."""\n    return price + price // 10',
            "calls": "\n".join(f"# question {number}\n{call}" for number, call in enumerate(calls, start=1)),
            "tool": "tips",
            "call": calls[-1],
        }[state.rstrip().rpartition("# step: ")[2]]
        return [Completion(f"{text}  # [END]", 9, None, "stop", 9)] * n

    async def aclose(self) -> None:
        """Nothing to release."""


def meals(path: Path, prices: range) -> Path:
    rows = [
        {"kind": "tips", "question": f"A meal costs {n} euros, with a tip?", "answers": [str(n + n // 10)]}
        for n in prices
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_tool_of_an_own_family_is_made_when_the_dispatcher_first_names_it(tmp_path: Path) -> None:
    solved, own = meals(tmp_path / "solved.jsonl", range(10, 70, 10)), meals(tmp_path / "own.jsonl", range(100, 103))
    with serving(lambda name, mode: TipsMaker(), tmp_path / "server") as service:
        asked = ["task.dispatch=true", f"task.solved={solved}", "policy=openai", "finetune=hosted", "task.maker=openai"]
        asked += [
            f"{role}.{one}"
            for role in ("policy", "task.maker")
            for one in (f"base_url={service.url}", "api_key_env=null", "model=served")
        ]
        asked += ["+questions@evaluate.benchmarks.own=file", f"evaluate.benchmarks.own.path={own}"]
        shown = []
        for name in ("first", "second"):
            folder = start(tmp_path, *asked, f"run={name}", ways=())
            answered = read(folder / "iter_0/evaluate/own")
            assert {result.verdict.verdict for _, result in answered} == {"correct"}
            assert [step.kind for step in answered[0][0].steps] == ["dispatch", "use"]
            shown.append({t.steps[0].state.partition("QUESTION")[0] for t, _ in answered})
            spent = json.loads((folder / "spending.json").read_text())
            assert spent.get("task.maker", {"calls": 0})["calls"] == {"first": 2, "second": 0}[name]
    assert [len(lists) for lists in shown] == [1, 1]
    assert "tips: no tool yet; name it to have one made" in shown[0].pop()
    assert "tips: def euros(price): The price with a tip of a tenth." in shown[1].pop()


def test_solved_questions_that_cannot_be_used_are_told_at_once(tmp_path: Path) -> None:
    solved = f"task.solved={meals(tmp_path / 'solved.jsonl', range(10, 60, 10))}"
    assert problems(solved, "task.dispatch=true")[0].startswith("task.solved: a script makes tools for the built-in")
    assert [problem.partition(";")[0] for problem in problems(solved)] == [
        "task.solved: is not used",
        f"task.solved: {tmp_path / 'solved.jsonl'}: the family tips has 5 questions",
    ]
    missing = problems("task.solved=/nowhere.jsonl", "task.dispatch=true", "task.maker=openai")
    assert missing[0].startswith("task.solved: /nowhere.jsonl")


def test_no_benchmark_may_have_a_question_that_the_maker_was_shown_solved(tmp_path: Path) -> None:
    solved, own = meals(tmp_path / "solved.jsonl", range(10, 70, 10)), meals(tmp_path / "own.jsonl", range(60, 64))
    asked = ["task.dispatch=true", f"task.solved={solved}", "policy=openai", "finetune=hosted", "task.maker=openai"]
    asked += ["policy.api_key_env=null", "task.maker.api_key_env=null"]
    asked += ["+questions@evaluate.benchmarks.own=file", f"evaluate.benchmarks.own.path={own}"]
    with pytest.raises(ConfigError, match=r"task\.solved: 1 of 6 questions equal .* evaluate\.benchmarks\.own"):
        start(tmp_path, *asked, "run=shown", ways=())


def test_other_solved_questions_under_the_same_path_are_told_and_not_shared(tmp_path: Path) -> None:
    digests = []
    for name, prices in (("one", range(10, 70, 10)), ("two", range(11, 71, 10))):
        solved = meals(tmp_path / f"{name}.jsonl", prices)
        given = ["experiment=tool_maker", "policy=scripted", "task.dispatch=true", f"task.solved={solved}"]
        settings = compose([*given, "task.maker=openai", f"output={tmp_path}"])
        built_in = Parts(settings, RunFolder(tmp_path / name)).question_sets.built_in
        context = TaskContext(items=partial(lambda items: items, built_in))
        digests.append(settings.task.content_digests(context))
    assert [set(one) for one in digests] == [{"task.solved"}] * 2
    assert digests[0] != digests[1]
