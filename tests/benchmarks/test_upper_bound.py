"""The upper bound of a scripted run: it trains on right candidates by gold and does not change the run."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from benchmarks.gold import JudgedStep
from benchmarks.upper_bound import GoldLoop, gold_problems, right_target
from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.config.settings import Settings
from rest_react.errors import UsageError
from rest_react.judges.grader import rule_verdict
from rest_react.records import Candidate, Example, Step, Trajectory, Usage
from rest_react.stages.improve.improve import EXAMPLES
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import write_summary
from rest_react.tasks.search_qa.actions import Answer, Search
from rest_react.tasks.search_qa.reading.parsing import parse
from tests.questions.sets import write_jsonl

START = "ACTION_SELECTED = "
SETTINGS = ("experiment=smoke", "finetune.max_steps=2")


def finished(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command, *SETTINGS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's iteration 0, and two iterations of its upper bound in two calls."""
    output = tmp_path_factory.mktemp("runs")
    finished("rest_react.run", f"output={output}", "iteration=1")
    before = files(output / "smoke")
    for iteration in "12":
        reused = ("run=smoke_gold", "grow.reuse=smoke", f"iteration={iteration}")
        finished("benchmarks.upper_bound", f"output={output}", *reused)
    assert files(output / "smoke") == before
    return output


@pytest.mark.slow
def test_it_reuses_the_iteration_0_and_first_grow_of_the_run(runs: Path) -> None:
    run, bound = (runs / name / "iter_1" / "grow" / TRAJECTORIES for name in ("smoke", "smoke_gold"))
    assert bound.samefile(run)
    run, bound = (files(runs / name / "iter_0") for name in ("smoke", "smoke_gold"))
    bound = {name: content for name, content in bound.items() if not name.endswith("README.md")}  # cards name the run
    assert bound.items() <= run.items()
    assert {name.split("/")[0] for name in bound} == {"grow", "improve", "finetune", "evaluate", "tracking"}
    locked = yaml.safe_load((runs / "smoke_gold" / "settings.yaml").read_text())["settings"]
    assert (locked["finetune.max_steps"], locked["improve.targets"]) == (2, "gold")


@pytest.mark.slow
def test_a_plain_run_does_not_go_on_in_its_folder(runs: Path) -> None:
    given = [*SETTINGS, f"output={runs}", "run=smoke_gold", "grow.reuse=smoke", "iteration=2"]
    command = [sys.executable, "-m", "rest_react.run", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "improve.targets" in done.stderr) == (2, True)


def test_the_name_of_a_run_trained_by_labels_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.upper_bound", "experiment=smoke", f"output={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "labels choose the targets of this run; name it so: run=smoke_gold" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_target_is_right_and_steps_without_a_right_sample_have_none(runs: Path) -> None:
    parts = Parts(compose(SETTINGS), RunFolder(runs / "smoke_gold"))
    labelled = {question.question.text: question for question in parts.question_sets.world.train}
    search = parts.search(parts.question_sets.grown().passages)
    for k in (1, 2):
        stage = runs / "smoke_gold" / f"iter_{k}"
        grown = {one.id: one for one in read_lines(stage / "grow" / TRAJECTORIES, Trajectory)}
        examples = list(read_lines(stage / "improve" / EXAMPLES, Example))
        assert {example.selector for example in examples} == {"gold"}
        assert 0 < len(examples) < sum(not step.forced for one in grown.values() for step in one.steps)
        kinds = set()
        for example in examples:
            question = labelled[grown[example.trajectory_id].question]
            match parse(example.kind, example.completion).action:
                case Answer(answer=answer):
                    assert rule_verdict(question, answer).verdict == "correct"
                    kinds.add("answer")
                case Search(query=query):
                    found = {hit.source for hit in asyncio.run(search.search(query, 3))}
                    assert found & set(question.passages)
                    kinds.add("search")
        assert kinds == {"answer", "search"}


def test_a_target_of_gold_is_written_as_in_improve_and_is_a_sample_of_the_policy() -> None:
    query = 'ACTION_SELECTED = ActionWrapper(thoughts="t", action=Search(query="{}"))'
    texts = [f"```python\n{query.format('Ada')}\n```", query.format("Gus"), query.format("Bob")]
    samples = tuple(Candidate(one, 5, -nll, "stop") for one, nll in zip(texts, (2.0, 1.0, 3.0), strict=True))
    step = Step("decide", "s", samples, 0)
    assert right_target(JudgedStep("q.0.0", "q", step, (True, False, True), (0, 0, 0))) == query.format("Ada")
    assert right_target(JudgedStep("q.0.0", "q", step, (False, False, None), (0, 0, 0))) == ""
    supplied = replace(step, candidates=(Candidate(query.format("Ada"), 0, None, "supplied"),))
    assert right_target(JudgedStep("q.0.0", "q", supplied, (True,), (0,))) == ""


def test_gold_refuses_settings_with_which_it_would_not_choose_every_target() -> None:
    settings = compose(["experiment=smoke", "run=smoke_gold", "improve.max_examples=0"])
    assert list(gold_problems(settings)) == [
        "improve.max_examples: gold trains on every right step; set improve.max_examples=null"
    ]
    assert list(gold_problems(compose(["experiment=smoke", "run=smoke_gold"]))) == []
    (problem,) = gold_problems(compose(["run=dpo_gold", "finetune=dpo"]))
    assert problem.startswith("finetune: gold gives targets and no worse candidates")


@pytest.fixture
def user_settings(tmp_path: Path) -> Settings:
    """A user's two questions, one of them with its chain."""
    triples = [["Emma", "author", "Jane Austen"], ["Jane Austen", "place of birth", "Steventon"]]
    asked = {"question": "Where was the author of Emma born?", "answers": ["Steventon"]}
    write_jsonl(tmp_path / "questions.jsonl", {"id": "q1", **asked, "evidence": triples}, {"id": "q2", **asked})
    passages = [{"id": f"p{i}", "title": title, "text": "A text."} for i, title in enumerate(("Emma", "Jane Austen"))]
    write_jsonl(tmp_path / "corpus.jsonl", *passages)
    return compose(["experiment=local_corpus", f"data={tmp_path}", "tracking=none"])


def test_gold_of_a_user_s_questions_comes_from_their_chains(user_settings: Settings, tmp_path: Path) -> None:
    gold = GoldLoop(user_settings, Parts(user_settings, RunFolder(tmp_path / "run"))).gold()
    assert {id_: (question.passages, titles) for id_, (question, titles) in gold.items()} == {
        "q1": (("p0", "p1"), ["Emma", "Jane Austen"])
    }


def test_gold_of_mixed_steps_takes_them_from_wrong_answers_too_and_refuses_targets_of_the_other_kind(
    user_settings: Settings, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    searches = f'{START}ActionWrapper(thoughts="t", action=Search(query="Emma"))'
    ends = f'{START}ActionWrapper(thoughts="t", action=Terminate())'
    mixed, equal = (
        Step("decide", "s", tuple(Candidate(one, 5, -1.0, "stop") for one in texts), 0)
        for texts in ((ends, searches), (searches, searches))
    )
    wrong = Trajectory("q1.0", "q1", "q", "finished", None, (mixed, equal), "London", "London", Usage())
    replace_lines(folder.stage(1, "grow") / TRAJECTORIES, [wrong])
    of_mixed = GoldLoop(user_settings, Parts(user_settings, folder), mixed=True)
    assert asyncio.run(of_mixed.right_examples(1)) == [
        Example("q1.0.0", "q1.0", 0, "decide", "s", searches, "gold_of_mixed_steps")
    ]
    of_right = GoldLoop(user_settings, Parts(user_settings, folder))
    assert asyncio.run(of_right.right_examples(1)) == []
    write_summary(folder.stage(1, "improve"), {"selector": "gold"})
    with pytest.raises(UsageError, match="has the targets of gold, not of gold_of_mixed_steps; choose another run="):
        asyncio.run(of_mixed.run_improve(1))
