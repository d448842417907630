"""The whole loop through the command line: what a person types, what lies in the folder afterwards."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.config.students import settings_of_student
from rest_react.errors import ConfigError, RunFolderError
from rest_react.loop import Loop
from rest_react.questions import read_corpus, read_questions
from rest_react.records import Example, LabelledQuestion, Preference, Question, Ranking, Result, Trajectory
from rest_react.run import run as run_here
from rest_react.storage.jsonl import read_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings
from rest_react.storage.summaries import write_summary
from rest_react.weights import resolve_weights
from tests.conftest import SMALL
from tests.training_here import train_in_this_process

UNTRAINED = ("experiment=smoke", "world.evaluation=6", "finetune=dry_run")
# Enough rollouts that a kill can land inside every stage, and few enough training steps.
LONGER = (
    "experiment=smoke",
    "world.passages=4000",
    "world.train=120",
    "world.evaluation=120",
    "world.demonstrations=120",
    "finetune.max_steps=6",
    "finetune.save_every=2",
)
STAGES = tuple(f"iter_{k}/{stage}" for k in (0, 1) for stage in ("grow", "improve", "finetune", "evaluate/world"))


def command(output: Path, *overrides: str) -> list[str]:
    return [sys.executable, "-m", "rest_react.run", f"output={output}", *overrides]


def run(output: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(output, *overrides), capture_output=True, text=True, timeout=280, check=False)


def finished(output: Path, *overrides: str) -> Path:
    done = run(output, *overrides)
    assert done.returncode == 0, done.stderr[-3000:]
    return output / "smoke"


def timeless(value: Any) -> Any:
    """A JSON value without its clock readings."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in ("seconds", "latency")}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def contents(folder: Path) -> dict[str, Any]:
    """What a run promises to be the same: every record, the weights, and the summaries but for their times."""
    kept: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".safetensors" or (path.suffix == ".jsonl" and path.name != "loss.jsonl"):
            kept[name] = path.read_bytes()
        elif path.name in ("summary.json", "model.json", "results.json"):
            kept[name] = timeless(json.loads(path.read_text()))
        elif path.name == "loss.jsonl":
            kept[name] = [(row["step"], row["loss"]) for row in map(json.loads, path.read_text().splitlines())]
    return kept


@pytest.fixture(scope="module")
def smoke(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke run of two iterations."""
    return shutil.copytree(smoke_run, tmp_path_factory.mktemp("smoke") / "smoke")


def test_a_smoke_run_completes_every_stage_and_marks_its_report(smoke: Path) -> None:
    for k in (0, 1, 2):
        for stage in ("grow", "improve", "finetune", "evaluate/world"):
            assert (smoke / f"iter_{k}" / stage / "summary.json").exists()
    rows = json.loads((smoke / "results.json").read_text())["rows"]
    assert [(row["iteration"], row["benchmark"], row["questions"]) for row in rows] == [
        (k, "world", 6) for k in (0, 1, 2)
    ]
    assert "<title>Smoke run" in (smoke / "report.html").read_text()
    assert (smoke / "report.md").read_text().startswith("# Smoke run")


def test_every_file_of_a_run_reads_back_as_its_records(smoke: Path) -> None:
    trajectories = list(read_lines(smoke / "iter_1/grow/trajectories.jsonl", Trajectory))
    rankings = {ranking.id: ranking for ranking in read_lines(smoke / "iter_1/improve/rankings.jsonl", Ranking)}
    examples = list(read_lines(smoke / "iter_1/improve/examples.jsonl", Example))
    results = list(read_lines(smoke / "iter_1/evaluate/world/results.jsonl", Result))
    assert [t.id for t in trajectories] == [f"train-{i:03d}.0" for i in range(6)]
    steps = {f"{t.id}.{i}": step for t in trajectories for i, step in enumerate(t.steps)}
    for example in examples:
        ranking = rankings[example.id]
        assert example.prompt == steps[example.id].state
        assert example.completion == steps[example.id].candidates[ranking.best].text
    assert [r.id for r in results] == [f"eval-{i:03d}.0" for i in range(6)]


def test_dpo_tunes_the_policy_of_the_iteration_before_on_preferences_and_the_card_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_in_this_process(monkeypatch)  # iteration 0, which is supervised
    how = ("finetune=dpo", "finetune.batch_size=4", "finetune.micro_batch_size=4", "finetune.max_length=4096")
    run_here(compose([f"output={tmp_path}", *SMALL, *how, "finetune.threads=1", "iteration=1"]))
    folder = tmp_path / "smoke"
    tuned = folder / "iter_1" / "finetune"
    rows = list(read_lines(tuned / "preferences.jsonl", Preference))
    examples = {example.id: example for example in read_lines(folder / "iter_1/improve/examples.jsonl", Example)}
    assert 0 < len(rows) <= len(examples)
    for row in rows:
        example = examples[row.id]
        assert (row.prompt, row.completion) == (example.prompt, example.completion)
        assert row.rejected.strip() != row.completion.strip()
    curve = [json.loads(line) for line in (tuned / "loss.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve] == [1, 2, 3]
    assert curve[0]["loss"] == pytest.approx(0.6931, abs=1e-3) and all(0 < line["loss"] < 1 for line in curve)
    before, after = ((folder / f"iter_{k}/finetune/model/model.safetensors").read_bytes() for k in (0, 1))
    assert before != after
    summary = json.loads((tuned / "summary.json").read_text())
    assert (summary["learns_from"], summary["base"]) == ("preferences", "iter_0/finetune/model")
    assert summary["examples"] == len(rows)
    assert json.loads((folder / "iter_0/finetune/summary.json").read_text())["learns_from"] == "examples"
    card = (tuned / "model" / "README.md").read_text().replace("\\_", "_")
    assert "(DPO)" in card and "iter_0/finetune/model as the reference model" in card
    assert "| learns from | examples | preferences |" in (folder / "report.md").read_text()


def test_a_benchmark_chooses_among_the_models_of_each_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_in_this_process(monkeypatch)
    given = [f"output={tmp_path}", *SMALL, "finetune.snapshots=3", "evaluate.choose_by=world", "iteration=1"]
    run_here(compose(given))
    folder, told = tmp_path / "smoke", capsys.readouterr().err.replace("\n", " ")
    for k in (0, 1):
        stage = folder / f"iter_{k}"
        choice = json.loads((stage / "choose" / "summary.json").read_text())
        shares = choice["accuracy"]
        assert sorted(shares) == ["1", "2", "3"]
        best = max(shares, key=lambda steps: (shares[steps], steps))
        model = "model" if best == "3" else f"snapshots/{best}/model"
        assert choice["model"] == f"iter_{k}/finetune/{model}" and str(choice["chosen_steps"]) == best
        for name in ("results.jsonl", "trajectories.jsonl"):
            answers = (stage / "choose" / best / name).read_bytes()
            assert (stage / "evaluate" / "world" / name).read_bytes() == answers
        assert "The labels of world chose this model" in (stage / "finetune" / model / "README.md").read_text()
        assert f"note: iteration {k}: the labels of world chose the model after {best} steps" in told
    before = contents(folder)
    run_here(compose(given))
    assert contents(folder) == before


def test_the_same_command_again_does_nothing_and_a_later_iteration_continues(smoke: Path, tmp_path: Path) -> None:
    first = shutil.copytree(smoke, tmp_path / "smoke")
    shutil.rmtree(first / "iter_2")
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*.jsonl")}
    finished(tmp_path, *SMALL, "iteration=1")
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*.jsonl")} == before
    continued, whole = contents(finished(tmp_path, *SMALL, "iteration=2")), contents(smoke)
    assert continued.keys() == whole.keys()
    for name, content in whole.items():
        assert continued[name] == content, name


def test_demonstrations_search_the_built_in_world_whatever_the_run_searches(smoke: Path, tmp_path: Path) -> None:
    elsewhere = ("search=http", "search.url=http://127.0.0.1:9/retrieve", "search.tries=1", "iteration=0")
    without_search = run(tmp_path, *UNTRAINED, *elsewhere)
    assert without_search.returncode == 3, without_search.stderr[-3000:]
    trajectories = "iter_0/grow/trajectories.jsonl"
    assert (tmp_path / "smoke" / trajectories).read_bytes() == (smoke / trajectories).read_bytes()
    examined = read_lines(tmp_path / "smoke/iter_0/evaluate/world/trajectories.jsonl", Trajectory)
    assert not any(trajectory.outcome == "finished" for trajectory in examined)


@pytest.mark.slow
def test_a_run_stops_at_its_budget_and_resumes_with_a_larger_one(smoke: Path, tmp_path: Path) -> None:
    def spent() -> int:
        accounts = json.loads((tmp_path / "smoke/spending.json").read_text())
        return sum(account["prompt_tokens"] + account["completion_tokens"] for account in accounts.values())

    for most in (12_000, 24_000):
        stopped = run(tmp_path, *SMALL, "iteration=2", f"budget.max_tokens={most}")
        assert stopped.returncode == 4, stopped.stderr[-3000:]
        assert "raise the limit and run the same command again" in stopped.stderr
        assert 0.9 * most < spent() <= most
    assert contents(finished(tmp_path, *SMALL, "iteration=2")) == contents(smoke)


@pytest.mark.parametrize("dry", [(), ("dry_run=true",)])
def test_different_settings_in_the_same_folder_are_refused(smoke: Path, dry: Sequence[str]) -> None:
    before = contents(smoke)
    refused = run(smoke.parent, *SMALL, "iteration=2", "grow.samples=2", "agent.max_searches=3", *dry)
    assert refused.returncode == 2
    assert "grow.samples: 4 in the folder, 2 now" in refused.stderr
    assert "agent.max_searches: 5 in the folder, 3 now" in refused.stderr
    assert contents(smoke) == before


def test_a_second_live_process_in_the_folder_is_refused(tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path, *LONGER), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_for(tmp_path / "smoke/settings.yaml")
        second = run(tmp_path, *LONGER)
        first.kill()
    assert second.returncode == 2
    assert "in use by another running process" in second.stderr


def test_labels_never_reach_grow_or_improve(smoke: Path, tmp_path: Path) -> None:
    """The same run, but for the trainings, over a world whose every gold answer was replaced by garbage."""
    script = tmp_path / "garbage.py"
    script.write_text(GARBAGE)
    done = subprocess.run(
        [sys.executable, str(script), f"output={tmp_path}", *UNTRAINED, "iteration=1"],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for k in (0, 1):
        for name in ("grow/trajectories.jsonl", "improve/rankings.jsonl", "improve/examples.jsonl"):
            assert (tmp_path / "smoke" / f"iter_{k}" / name).read_bytes() == (smoke / f"iter_{k}" / name).read_bytes()
    rows = json.loads((tmp_path / "smoke/results.json").read_text())["rows"]
    assert [row["accuracy"]["mean"] for row in rows] == [0, 0]


def test_a_run_that_reuses_stages_has_the_same_files_as_one_that_does_not(
    smoke: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_in_this_process(monkeypatch)
    mine = (*SMALL, "run=random", "improve.selector=random", "iteration=1")
    alone = tmp_path / "alone"
    shutil.copytree(smoke / "iter_0", alone / "random" / "iter_0")  # selection begins after it
    run_here(compose([f"output={alone}", *mine]))
    run_here(compose([f"output={smoke.parent}", *mine, "grow.reuse=smoke"]))
    reused, own = contents(smoke.parent / "random"), contents(alone / "random")
    assert [
        reused["results.json"]["settings"].pop("grow.reuse"),
        own["results.json"]["settings"].pop("grow.reuse"),
    ] == [
        "smoke",
        None,
    ]
    assert reused == own
    shared = "iter_0/finetune/model/model.safetensors"
    assert (smoke / shared).stat().st_ino == (smoke.parent / "random" / shared).stat().st_ino


@pytest.mark.slow
def test_a_second_generation_of_twice_the_trajectories_goes_on_from_the_same_first_one(smoke: Path) -> None:
    twice = ("run=second_2x", "iteration=2", "grow.trajectories_per_question=2")
    done = run(smoke.parent, *SMALL, *twice, "grow.reuse=smoke", "grow.reuse_through=1")
    assert done.returncode == 0, done.stderr[-3000:]
    own = smoke.parent / "second_2x"
    for name in ("grow/trajectories.jsonl", "improve/examples.jsonl", "finetune/model/model.safetensors"):
        assert (own / "iter_1" / name).stat().st_ino == (smoke / "iter_1" / name).stat().st_ino
    trajectories = [
        json.loads(line)["id"] for line in (own / "iter_2/grow/trajectories.jsonl").read_text().splitlines()
    ]
    assert len(trajectories) == 12
    assert {id_.rpartition(".")[2] for id_ in trajectories} == {"0", "1"}


@pytest.mark.slow
def test_a_student_is_tuned_and_evaluated_on_its_teacher_s_data(tmp_path: Path) -> None:
    student = str(resolve_weights("tiny-random"))  # the same weights under another name
    small = ("world.train=2", "world.evaluation=2", "finetune.max_steps=2", "iteration=1")
    teacher = finished(tmp_path, "experiment=smoke", *small, f"students=[{student}]")
    own = tmp_path / f"smoke_{Path(student).name}"
    for name in ("grow/trajectories.jsonl", "improve/examples.jsonl"):
        assert (own / "iter_1" / name).read_bytes() == (teacher / "iter_1" / name).read_bytes()
    rows = json.loads((own / "results.json").read_text())["rows"]
    assert [row["iteration"] for row in rows] == [0, 1]
    assert (own / "iter_1/finetune/model/model.safetensors").exists()


def test_changed_questions_or_passages_under_the_same_path_are_reported(tmp_path: Path) -> None:
    questions, corpus, searched = (tmp_path / name for name in ("questions.jsonl", "corpus.jsonl", "searched.jsonl"))
    given = ["experiment=local_corpus", f"data={tmp_path}", f"output={tmp_path}", f"search.corpus={searched}"]

    def held(answer: str, text: str, other: str) -> dict[str, str]:
        questions.write_text(json.dumps({"id": "q1", "question": "Where is Vienna?", "answers": [answer]}))
        corpus.write_text(json.dumps({"id": "p1", "title": "Vienna", "text": text}))
        searched.write_text(json.dumps({"id": "p1", "title": "Vienna", "text": other}))
        settings = compose(given)
        return Loop(settings, Parts(settings, RunFolder(tmp_path / "mine"))).data_digests()

    first = held("Austria", "A city.", "A city.")
    changes = {}
    for name, now in {
        "nothing": held("Austria", "A city.", "A city."),
        "an answer": held("Europe", "A city.", "A city."),
        "a passage": held("Austria", "A town.", "A city."),
        "the corpus": held("Austria", "A city.", "A town."),
    }.items():
        changes[name] = [key for key in first if now[key] != first[key]]
    sets = ["grow.questions", "evaluate.local"]
    assert changes == {"nothing": [], "an answer": sets, "a passage": sets, "the corpus": ["search.corpus"]}


def test_missing_keys_are_reported_together_before_any_file_is_written(tmp_path: Path) -> None:
    clients = ("policy=openai", "grader=gemini", "finetune=hosted", "start=prompted", "iteration=0")
    keyless = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    refused = subprocess.run(command(tmp_path, *clients), env=keyless, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert re.findall(r"^  (\w+)\.api_key_env: the environment variable (\w+)", refused.stderr, re.MULTILINE) == [
        ("policy", "OPENAI_API_KEY"),
        ("grader", "GEMINI_API_KEY"),
    ]
    assert not list(tmp_path.rglob("settings.yaml"))


def test_a_dry_run_names_what_this_machine_lacks_and_predicts_all_the_same(tmp_path: Path) -> None:
    served = ("policy=vllm", "policy.command=[/no/such/vllm,serve]", "start=prompted", "iteration=0", "dry_run=true")
    done = run(tmp_path, *served)
    told = " ".join(done.stderr.split())
    assert (done.returncode, "this machine lacks what the run needs: policy.command: /no/such/vllm" in told) == (
        0,
        True,
    )
    assert "Forecast for the remaining stages" in done.stdout + done.stderr


def test_a_student_whose_folder_has_other_settings_is_refused_before_its_teacher_works(tmp_path: Path) -> None:
    small = ["experiment=smoke", f"output={tmp_path}", "iteration=1"]
    weights = str(resolve_weights("tiny-random"))
    first = compose([*small, f"students=[{weights}]"])
    (student,) = first.students
    own = settings_of_student(first, student)
    lock_settings(tmp_path / own.run, locked_settings(own), {})
    write_summary(tmp_path / own.run / "iter_0/grow", {})
    with pytest.raises(RunFolderError, match=r"evaluate.samples: \d in the folder, 3 now"):
        run_here(compose([*small, f"students=[{{model:{weights},samples:3}}]"]))
    assert not (tmp_path / "smoke").exists()


def test_a_dry_run_reads_the_question_files(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text('{"id": "q", "question": "Who?", "answers": ["Ada"]}\n')
    (tmp_path / "corpus.jsonl").write_text('{"id": "p", "title": "Ada"}\n')
    settings = compose(["experiment=local_corpus", f"data={tmp_path}", f"output={tmp_path}", "dry_run=true"])
    with pytest.raises(ConfigError, match=r"corpus.jsonl:1: 'text' is missing or empty"):
        run_here(settings)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_says_that_it_can_be_resumed(tmp_path: Path, number: int) -> None:
    with subprocess.Popen(command(tmp_path, *LONGER), stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "smoke/iter_0/grow/trajectories.jsonl")
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert told.splitlines()[-1] == "Interrupted. Progress is saved; run the same command again to resume."
    assert "Traceback" not in told


# Runs the command line over a world whose labels mean nothing; the passages and the expert's plans are untouched.
GARBAGE = """
import sys
from dataclasses import replace
from rest_react import run
from rest_react.tasks.search_qa import settings, world

def garbage(questions):
    return tuple(replace(q, answers=("xyzzy",), options=(), passages=(), explanation="xyzzy") for q in questions)

def build_world(*args, **kwargs):
    w = world.build_world(*args, **kwargs)
    shown, train, evaluation = map(garbage, (w.demonstrations, w.train, w.evaluation))
    return replace(w, demonstrations=shown, train=train, evaluation=evaluation)

settings.build_world = build_world
run.main()
"""


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.002)


def killed(output: Path, when: "Iterator[bool]") -> bool:
    """Runs the command and kills it, and its children by losing their parent, at the first True. False: it finished."""
    with subprocess.Popen(command(output, *LONGER), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for now in when:
            if now or process.poll() is not None:
                break
            time.sleep(0.002)
        alive = process.poll() is None
        if alive:
            os.kill(process.pid, signal.SIGKILL)
    return alive


def begun(stage: Path) -> Iterator[bool]:
    """True once the stage has written its first records."""
    while True:
        lines = [path for path in stage.glob("*.jsonl") if path.stat().st_size > 0]
        yield bool(lines) or (stage / "summary.json").exists()


def after(seconds: float) -> Iterator[bool]:
    end = time.monotonic() + seconds
    while True:
        yield time.monotonic() >= end


def finished_records(folder: Path) -> dict[str, list[bytes]]:
    """Whole lines of every record file, as they stand."""
    files = [p for p in folder.rglob("*.jsonl") if p.name != "loss.jsonl" and "checkpoints" not in p.parts]
    return {str(p): [line for line in p.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] for p in files}


def kill_and_compare(tmp_path: Path, stages: Sequence[str], extra_kills: int) -> list[str]:
    whole, torn = finished(tmp_path / "whole", *LONGER), tmp_path / "torn"
    reference = contents(whole)
    for stage in STAGES[: STAGES.index(stages[0])]:  # those before the first kill
        shutil.copytree(whole / stage, torn / "smoke" / stage)
    inside = []
    moments: list[tuple[str, Any]] = [(stage, begun(torn / "smoke" / stage)) for stage in stages]
    rng = random.Random(7)
    moments += [("anywhere", after(rng.uniform(0.5, 12))) for _ in range(extra_kills)]
    # In the order of the stages; the others in between, once the short first stages have had their kill.
    moments.sort(key=lambda moment: STAGES.index(moment[0]) if moment[0] in STAGES else rng.uniform(2, len(STAGES)))
    for stage, when in moments:
        if killed(torn, when) and stage in STAGES and not (torn / "smoke" / stage / "summary.json").exists():
            inside.append(stage)
        before = finished_records(torn / "smoke")
        # A kill in the middle of a write leaves half a line.
        for name in [n for n in before if n.endswith("trajectories.jsonl")][-1:]:
            if not Path(name).with_name("summary.json").exists():
                with Path(name).open("ab") as file:
                    file.write(b'{"id":"torn')
    final = contents(finished(torn, *LONGER))
    assert final.keys() == reference.keys()
    assert [name for name in final if final[name] != reference[name]] == []
    return inside


def test_kills_inside_the_stages_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    assert kill_and_compare(tmp_path, STAGES[3:], extra_kills=0)


@pytest.mark.slow
def test_twenty_kills_at_any_moment_leave_the_files_of_an_uninterrupted_run(tmp_path: Path) -> None:
    inside = kill_and_compare(tmp_path, STAGES, extra_kills=20 - len(STAGES))
    assert {stage.split("/")[1] for stage in inside} == {"grow", "improve", "finetune", "evaluate"}


@pytest.mark.skipif("REST_REACT_DATA" in os.environ, reason="the test on the real data sets covers it")
def test_a_run_on_real_questions_and_passages_completes_one_iteration(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    questions = [
        LabelledQuestion(Question("q1", "Which river flows through the capital of Austria?"), ("Danube",)),
        LabelledQuestion(Question("q2", "In which country was the author of The Trial born?"), ("Austria-Hungary",)),
    ]
    passages = [
        ("p1", "Vienna", "Vienna is the capital of Austria and lies on the river Danube."),
        ("p2", "The Trial", "The Trial is a novel by Franz Kafka."),
        ("p3", "Franz Kafka", "Franz Kafka was born in Prague, then in Austria-Hungary."),
    ]
    (data / "questions.jsonl").write_text(
        "".join(
            json.dumps({"id": q.question.id, "question": q.question.text, "answers": q.answers}) + "\n"
            for q in questions
        )
    )
    (data / "corpus.jsonl").write_text(
        "".join(json.dumps(dict(zip(("id", "title", "text"), passage, strict=True))) + "\n" for passage in passages)
    )
    once_around(tmp_path, data, data)


@pytest.mark.skipif("REST_REACT_DATA" not in os.environ, reason="REST_REACT_DATA names no folder of real questions")
def test_a_run_on_the_real_data_sets_completes_one_iteration(tmp_path: Path) -> None:
    data = Path(os.environ["REST_REACT_DATA"])
    once_around(tmp_path, data / "hotpotqa_train100", data / "musique_dev100")


@pytest.mark.skipif("REST_REACT_DATA" not in os.environ, reason="REST_REACT_DATA names no folder of real questions")
@pytest.mark.parametrize(
    ("name", "questions", "passages"),
    [
        ("hotpotqa_train100", 100, 994), ("musique_train100", 100, 1890), ("musique_dev100", 100, 1839),
        ("2wikimultihopqa_590", 590, 6119), ("bamboogle", 125, 0), ("bamtwoogle", 100, 0),
    ],
)  # fmt: skip
def test_the_real_data_sets_are_read_completely(name: str, questions: int, passages: int) -> None:
    folder = Path(os.environ["REST_REACT_DATA"]) / name
    read = read_questions(folder / "questions.jsonl")
    corpus = read_corpus(folder / "corpus.jsonl") if passages else []
    assert (len(read), len(corpus)) == (questions, passages)
    golds = {line["id"]: line["answers"] for line in lines(folder / "questions.jsonl")}
    assert {one.question.id: list(one.answers) for one in read} == {
        id_: list(dict.fromkeys(found)) for id_, found in golds.items()
    }
    if name == "bamtwoogle":  # the authors' own file, without ids
        shipped = read_questions(folder / "bamtwoogle.csv")
        assert [(one.question.text, one.answers) for one in shipped] == [
            (one.question.text, one.answers) for one in read
        ]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def once_around(output: Path, grow: Path, evaluate: Path) -> None:
    """One iteration of experiment=local_corpus on the tiny random model: every line of it, none of the sense."""
    done = run(
        output, "experiment=local_corpus", f"data={grow}", f"evaluate_data={evaluate}", "policy=tiny", "tracking=none",
        "grow.questions.sample=2", "evaluate.benchmarks.local.sample=2", "world.demonstrations=2", "world.train=1",
        "world.evaluation=1", "world.passages=60", "finetune.max_steps=2", "finetune.max_length=4096",
        "agent.max_tokens=16", "agent.max_searches=2", "iteration=1", "demonstrations.epochs=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((output / "local_corpus/results.json").read_text())["rows"]
    assert [(r["iteration"], r["benchmark"], r["questions"], r["unscored"]) for r in rows] == [
        (k, "local", 2, 0) for k in (0, 1)
    ]
    asked = {line["question"] for line in lines(grow / "questions.jsonl")}
    asked_of = [line["question"] for line in lines(output / "local_corpus/iter_1/grow/trajectories.jsonl")]
    assert len(asked_of) == 2 and set(asked_of) <= asked
    assert {line["selector"] for line in lines(output / "local_corpus/iter_1/improve/rankings.jsonl")} <= {
        "reward_model"
    }
    for k in (0, 1):
        trained = {line["id"] for line in lines(output / f"local_corpus/iter_{k}/finetune/examples.jsonl")}
        assert len([id_ for id_ in trained if id_.startswith("exemplar.")]) == 31
        assert {"exemplar.decide.0", "demo-001.0.1"} <= trained
