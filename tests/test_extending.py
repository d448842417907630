"""docs/extending.md: each of its additions is built in a copy of the package from the text of the page, and used."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Reply, Request, serve
from tests.training.hosted.tuning_api import Api

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict[str, str](re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", PAGE, re.MULTILINE))
ADDITIONS = [heading for heading in SECTIONS if heading.startswith("A ")]


def new_files(section: str) -> dict[str, str]:
    """The files that a section shows in full, by path."""
    return dict(re.findall(r'^```\w+ title="([^"\n]+)"\n(.*?)^```$', SECTIONS[section], re.MULTILINE | re.DOTALL))


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)


def changed_files(section: str) -> list[str]:
    return [path for diff in blocks(section, "diff") for path in re.findall(r"^\+\+\+ b/(.*)$", diff, re.MULTILINE)]


def add(section: str, copy: Path) -> None:
    """Does what a section says, its commands aside."""
    for path, text in new_files(section).items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text(text, encoding="utf-8")
    for diff in blocks(section, "diff"):
        called(["git", "apply", "-"], copy, given=diff)


def called(words: list[str], copy: Path, given: str = "", status: int = 0) -> str:
    """What a command printed; it must end with this status."""
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {
        "PYTHONPATH": str(copy), "GIT_CEILING_DIRECTORIES": str(copy.parent), "PATH": paths, "OMP_NUM_THREADS": "1"
    }  # fmt: skip
    done = subprocess.run(
        words, cwd=copy, env=environment, input=given, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def follow(section: str, copy: Path, change: Callable[[str], str] = str) -> str:
    """Runs the commands of a section, each as `change` makes it: what they printed."""
    add(section, copy)
    return "".join(called(["bash", "-eu"], copy, given=change(text)) for text in blocks(section, "bash"))


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout without documentation and tests."""
    for folder in ("rest_react", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_selector_chooses_every_target(copy: Path) -> None:
    follow("A selector", copy)
    improve = copy / "outputs" / "consensus" / "iter_1" / "improve"
    rankings, examples = lines(improve / "rankings.jsonl"), lines(improve / "examples.jsonl")
    assert {row["selector"] for row in [*rankings, *examples]} == {"consensus"}
    assert {row["status"] for row in rankings} == {"ranked"}


def test_the_filter_keeps_of_each_question_the_trajectories_with_the_fewest_searches(copy: Path) -> None:
    follow("A filter of trajectories", copy)
    iteration = copy / "outputs" / "fewest" / "iter_1"
    searches: dict[str, dict[str, int]] = {}
    for one in lines(iteration / "grow" / "trajectories.jsonl"):
        steps = [step for step in one["steps"] if step["kind"] == "summarise"]
        chosen = [step["candidates"][step["chosen"]]["text"] for step in steps if step["chosen"] is not None]
        if one["outcome"] == "finished" and any(re.search(r"selected_link_ids=\[\d", text) for text in chosen):
            searches.setdefault(one["question_id"], {})[one["id"]] = len(steps)
    kept = {row["trajectory_id"] for row in lines(iteration / "improve" / "examples.jsonl")}
    fewest = {one for these in searches.values() for one, number in these.items() if number == min(these.values())}
    assert kept == fewest
    assert 0 < len(kept) < sum(map(len, searches.values()))


def test_the_filter_is_refused_for_a_task_that_does_not_search(copy: Path) -> None:
    add("A filter of trajectories", copy)
    command = "python -m rest_react.run experiment=tool_maker run=x improve.keep_trajectories=fewest_searches"
    told = called(command.split(), copy, status=2)
    assert "improve.keep_trajectories: fewest_searches needs search results, but task=tool_maker has none" in told


def test_the_search_engine_finds_what_the_agent_answers_from(copy: Path) -> None:
    follow("A search engine", copy)
    trajectories = lines(copy / "outputs" / "sqlite" / "iter_0" / "evaluate" / "world" / "trajectories.jsonl")
    hits = [hit for trajectory in trajectories for step in trajectory["steps"] for hit in step["hits"]]
    with closing(sqlite3.connect(copy / "world.db")) as database:
        passages = set(database.execute("SELECT id, title, text FROM passages"))
    assert len(hits) > len(trajectories)
    assert {(hit["source"], hit["title"], hit["snippet"]) for hit in hits} <= passages
    answered = [trajectory["answer"] for trajectory in trajectories if trajectory["outcome"] == "finished"]
    assert any("[link_id=" in answer for answer in answered)


def test_a_task_without_items_of_its_own_says_what_it_cannot_do(copy: Path) -> None:
    add("A task", copy)
    command = (
        "python -m rest_react.run experiment=smoke task=word_problems improve.selector=reward_model reward_model=tiny"
    )
    told = called(command.split(), copy, status=2)
    assert re.findall(r"^ *(\S+): task=word_problems has no ([\w -]+);", told, re.MULTILINE) == [
        ("agent.select", "verifier"),
        ("improve.keep", "verifier"),
        ("grow.questions", "built-in items"),
        ("evaluate.benchmarks.world", "built-in items"),
        ("policy.kind", "scripted policy"),
        ("start", "demonstrations"),
        ("improve.selector", "prompt for a reward model"),
    ]


class Solver(Api):
    """A service whose model solves halls, at times with a wrong number, and always checks right; it tunes at once."""

    def __init__(self) -> None:
        super().__init__(statuses=["succeeded"])
        self.asked: list[tuple[str, bool]] = []  # the model, and whether it was shown exemplars

    def answer(self, request: Request) -> Reply:
        if not request.path.endswith("/chat/completions"):
            return super().answer(request)
        body = request.json
        turns, state = body["messages"], body["messages"][-1]["content"]
        self.asked.append((body["model"], len(turns) > 1))
        rows, seats, taken = map(int, re.findall(r"has (\d+) rows of (\d+) seats\. (\d+)", state)[-1])
        free = rows * seats - taken
        numbers = [free - self.errs(state, i) for i in range(body.get("n", 1))]
        choices = [
            {"index": i, "message": {"role": "assistant", "content": f"So many are free.\nAnswer: {number}"}}
            for i, number in enumerate(numbers)
        ]
        return Reply(200, {"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 9 * len(numbers)}})

    @staticmethod
    def errs(state: str, sample: int) -> bool:
        return "# step: solution" in state and (sum(map(ord, state)) % 2 == 0 or sample == 3)


def test_the_task_grows_improves_is_tuned_and_graded_with_its_draft(copy: Path) -> None:
    service = Solver()
    with serve(service.answer) as server:
        follow("A task", copy, lambda text: text.replace("http://127.0.0.1:8000/v1", f"{server.url}/v1"))
    run = copy / "outputs" / "word_problems"
    tuned = f"ft:my-model:{service.jobs[0]['id']}"
    assert set(service.asked) == {("my-model", True), (tuned, False)}
    trajectories = lines(run / "iter_1" / "grow" / "trajectories.jsonl")
    assert [[step["kind"] for step in trajectory["steps"]] for trajectory in trajectories] == [["solve", "check"]] * 12
    examples = lines(run / "iter_1" / "improve" / "examples.jsonl")
    assert [(row["kind"], row["completion"].splitlines()[-1]) for row in examples] == [
        (kind, f"Answer: {number}")
        for trajectory in trajectories
        for kind, number in (("solve", trajectory["draft"]), ("check", trajectory["answer"]))
    ]
    problems = {row["id"]: row for row in lines(copy / "test.jsonl")}
    for result in lines(run / "iter_1" / "evaluate" / "test" / "results.jsonl"):
        label = problems[result["question_id"]]["answer"]
        assert (result["answer"], result["verdict"]["verdict"]) == (label, "correct")
        assert (result["verdict_before_checks"]["verdict"] == "correct") == (result["draft"] == label)
    rows = json.loads((run / "results.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["iteration"], row["benchmark"], row["accuracy"]["mean"]) for row in rows] == [
        (0, "test", 1.0), (1, "test", 1.0)
    ]  # fmt: skip
    assert 0 < rows[1]["before_checks"]["mean"] < 1


@pytest.mark.slow
def test_the_trainer_takes_the_weights_that_the_script_leaves_once_there_is_one(copy: Path) -> None:
    from safetensors.torch import load_file

    from rest_react.weights import resolve_weights

    add("A trainer", copy)
    write_script, end, run = blocks("A trainer", "bash")[0].rpartition("EOF\n")
    told = called(["bash", "-eu"], copy, given=run, status=3)
    assert re.search(r"finetune\.script ended with status 2: .*my_training\.py", told)
    for commands in (write_script + end, run):
        called(["bash", "-eu"], copy, given=commands)
    stage = copy / "outputs" / "script" / "iter_0" / "finetune"
    job = lines(stage / "rows.jsonl")
    summary = json.loads((stage / "summary.json").read_text(encoding="utf-8"))
    assert (summary["examples"], summary["model"]) == (len(job), "iter_0/finetune/model")
    assert (stage / "train.log").read_text(encoding="utf-8").count("loss ") == len(job) > 0
    before = load_file(Path(resolve_weights("tiny-random")) / "model.safetensors")
    after = load_file(stage / "model" / "model.safetensors")
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == {name for name, weight in before.items() if weight.dim() == 1}


@pytest.mark.parametrize("section", ADDITIONS)
def test_an_addition_takes_as_many_files_and_lines_as_the_page_says(section: str) -> None:
    new, changed = new_files(section), changed_files(section)
    added = [line for diff in blocks(section, "diff") for line in diff.splitlines() if re.match(r"\+(?!\+\+ )", line)]
    length = sum(len(text.splitlines()) for text in new.values())
    told = [
        f"{len(new)} new file{'s' if len(new) > 1 else ''} ({length} lines)" if new else "",
        f"{len(changed)} changed file{'s' if len(changed) > 1 else ''} ({len(added)} lines)",
    ]
    assert SECTIONS[section].strip().splitlines()[0] == f"Takes {' and '.join(filter(None, told))}."


def test_all_additions_together_are_well_formed(copy: Path) -> None:
    for section in ADDITIONS:
        add(section, copy)
    named = [path for section in ADDITIONS for path in [*new_files(section), *changed_files(section)]]
    sources = sorted({path for path in named if path.endswith(".py")})
    ruff = str(Path(sys.executable).with_name("ruff"))
    called([ruff, "format", "--check", "--diff", "--no-cache", *sources], copy)
    called([ruff, "check", "--no-cache", *sources], copy)


def test_the_page_of_settings_has_the_additions(copy: Path) -> None:
    for section in ADDITIONS:
        add(section, copy)
    page = called([sys.executable, "-m", "rest_react.config.documentation"], copy)
    assert "verified, perplexity, majority, random, consensus |" in page
    assert "reconstructable, supported, corroborated, fewest_searches, judged_good, " in page
    for kind, setting in (
        ("Search engines: sqlite", "path"), ("Tasks: word_problems", "only_confirmed"), ("Trainers: script", "script")
    ):  # fmt: skip
        _, heading, body = page.partition(f"\n## {kind} (`configs/")
        assert f"| `{setting}` |" in body.partition("\n## ")[0], heading


@pytest.mark.slow
def test_all_additions_together_have_sound_types_and_imports(copy: Path) -> None:
    for section in ADDITIONS:
        add(section, copy)
    called([sys.executable, "-m", "mypy", "rest_react"], copy)
    called([str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], copy)
