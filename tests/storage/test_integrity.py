"""Complete stages whose files were damaged afterwards, and what a power cut leaves."""

import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.config.compose import compose
from rest_react.errors import RunFolderError
from rest_react.run import run as run_settings
from rest_react.stages.reuse.copy_stages import copy_stage
from rest_react.storage.files import write_file
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import read_summary, refuse_damaged_stages, write_summary
from rest_react.weights import resolve_weights
from tests.conftest import SMALL
from tests.power_cut import recorded
from tests.runs import scripted_run
from tests.training_here import train_in_this_process

ONE = (*SMALL, "iteration=1")
# Every file that a number, a training or a model comes from.
RECORDS = [
    f"iter_{k}/{name}"
    for k, names in {
        0: ("grow/trajectories.jsonl", "improve/rankings.jsonl", "improve/examples.jsonl"),
        1: ("grow/trajectories.jsonl", "improve/rankings.jsonl", "improve/examples.jsonl"),
    }.items()
    for name in (
        *names,
        "finetune/model.json",
        "finetune/examples.jsonl",
        "finetune/loss.jsonl",
        "finetune/model/model.safetensors",
        "finetune/model/tokenizer.json",
        "finetune/model/generation_config.json",
        "evaluate/world/trajectories.jsonl",
        "evaluate/world/results.jsonl",
    )
]


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def without_its_last_line(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


DAMAGES: list[Callable[[Path], None]] = [emptied, cut, without_its_last_line, Path.unlink]


@pytest.fixture(scope="module")
def smoke(smoke_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke run of one iteration."""
    folder = shutil.copytree(smoke_run, tmp_path_factory.mktemp("smoke") / "smoke")
    shutil.rmtree(folder / "iter_2")
    return folder


@pytest.fixture
def copied(smoke: Path, tmp_path: Path) -> Path:
    shutil.copytree(smoke, tmp_path / "smoke")
    return tmp_path / "smoke"


def again(run: Path) -> None:
    """The same command, in this process."""
    run_settings(compose([f"output={run.parent}", *ONE]))


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in RECORDS if not name.endswith("loss.jsonl")}


@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_file_of_a_complete_stage_is_refused_by_name(smoke: Path, name: str) -> None:
    path = smoke / name
    before = path.read_bytes()
    for damage in DAMAGES:
        # The whole command once, of which this is the part that looks.
        refuses = again if damage is cut else refuse_damaged_stages
        try:
            damage(path)
            with pytest.raises(RunFolderError) as refused:
                refuses(smoke)
        finally:  # the folder is that of all tests of this module
            path.write_bytes(before)
        assert str(refused.value).startswith(f"{path} ")


@pytest.mark.parametrize(
    "name", ["grow/trajectories.jsonl", "improve/examples.jsonl", "finetune/model.json", "evaluate/world/results.jsonl"]
)
def test_the_way_out_makes_a_damaged_file_again_as_it_was(
    smoke: Path, copied: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_in_this_process(monkeypatch)
    emptied(copied / "iter_1" / name)
    with pytest.raises(RunFolderError) as refused:
        again(copied)
    subprocess.run(shlex.split(str(refused.value).splitlines()[-1]), check=True)
    again(copied)
    assert contents(copied) == contents(smoke)


@pytest.mark.parametrize(
    "command",
    [
        ["run", *ONE],
        ["ask", "Who?", *ONE],
        ["report", "runs=[smoke]"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_refuses_a_damaged_run_with_status_2(copied: Path, command: list[str]) -> None:
    emptied(copied / "iter_1/evaluate/world/results.jsonl")
    program, *arguments = command
    done = subprocess.run(
        [sys.executable, "-m", f"rest_react.{program}", *arguments, f"output={copied.parent}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    told = done.stderr.replace("\n", "")
    assert "results.jsonl is empty" in told and "rm -r" in told and "Traceback" not in told


def test_changed_weights_are_refused_where_they_are_loaded(copied: Path) -> None:
    weights = copied / "iter_1/finetune/model/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    assert resolve_weights(str(weights.parent)) == weights.parent
    weights.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"model\.safetensors has different content"):
        resolve_weights(str(weights.parent))


def test_changed_weights_of_a_chosen_snapshot_are_refused_where_they_are_loaded(copied: Path) -> None:
    stage = copied / "iter_1/finetune"
    snapshot = shutil.copytree(stage / "model", stage / "snapshots" / "2" / "model")
    write_summary(stage, read_summary(stage) or {})
    assert resolve_weights(str(snapshot)) == snapshot
    weights = snapshot / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(RunFolderError, match=r"snapshots/2/model/model\.safetensors has different content"):
        resolve_weights(str(snapshot))


def test_a_stage_of_another_run_is_not_taken_over_damaged(smoke: Path, copied: Path) -> None:
    emptied(copied / "iter_1/improve/rankings.jsonl")
    with pytest.raises(RunFolderError, match=r"rankings\.jsonl is empty"):
        copy_stage(RunFolder(copied), RunFolder(copied.parent / "mine"), "iter_1/improve")
    assert not (copied.parent / "mine/iter_1/improve").exists()


# ── any file, any damage ──────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.data())
def test_any_other_content_is_refused_and_the_same_is_not(lines: list[bytes], data: st.DataObject) -> None:
    content = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        path = stage / "trajectories.jsonl"
        path.write_bytes(content)
        write_summary(stage, {"steps": 1})
        other = data.draw(st.one_of(st.binary(max_size=len(content) + 3), st.just(content), st.none()))
        if other is None:
            path.unlink()
        else:
            path.write_bytes(other)
        if other == content:
            assert read_summary(stage) == {"schema": 1, "steps": 1}
        else:
            with pytest.raises(RunFolderError, match=r"trajectories\.jsonl "):
                read_summary(stage)


def test_a_summary_says_what_each_file_holds(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name, content in {
        "trajectories.jsonl": "{}\n{}\n",
        "loss.jsonl": "{}\n",
        "model.json": "{}",
        "model/config.json": "{}",
        "model/README.md": "a card",
        "train.log": "a log",
        "job.json": "{}",
    }.items():
        (tmp_path / name).write_text(content)
    write_summary(tmp_path, {})
    digest, other = (hashlib.blake2b(text, digest_size=16).hexdigest() for text in (b"{}", b"{}\n{}\n"))
    assert json.loads((tmp_path / "summary.json").read_text())["files"] == {
        "loss.jsonl": {"rows": 1},
        "model.json": {"bytes": 2, "digest": digest},
        "model/config.json": {"bytes": 2, "digest": digest},
        "trajectories.jsonl": {"bytes": 6, "digest": other, "rows": 2},
    }


# ── a power cut ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_whenever_the_power_is_cut_a_complete_stage_is_whole(tmp_path: Path) -> None:
    complete: list[int] = []

    def look() -> None:
        left = disk.after_power_cut(tmp_path / "left")
        refuse_damaged_stages(left)
        complete.append(len(list(left.rglob("summary.json"))))

    with recorded(tmp_path / "run") as disk:
        disk.watch = look
        scripted_run(tmp_path / "run")
        whole = {p.relative_to(disk.root): p.read_bytes() for p in disk.root.rglob("*.json*")}
        left = disk.after_power_cut(tmp_path / "left")
        assert {p.relative_to(left): p.read_bytes() for p in left.rglob("*.json*")} == whole
    assert complete == sorted(complete) and set(complete) == set(range(7))


def test_all_that_learnt_from_damaged_synthetic_texts_is_made_again(tmp_path: Path) -> None:
    stages = [f"iter_0/{name}" for name in ("synthetic", "grow", "improve", "finetune", "evaluate/x")]
    for stage in (*stages, "baselines/tfidf/x"):
        write_file(tmp_path / stage / "texts.jsonl", "{}\n")
        write_summary(tmp_path / stage, {})
    emptied(tmp_path / stages[0] / "texts.jsonl")
    with pytest.raises(RunFolderError, match=r"texts\.jsonl is empty") as told:
        read_summary(tmp_path / stages[0])
    _, _, *again = shlex.split(str(told.value).splitlines()[-1])
    assert again == [str(tmp_path / path.removesuffix("/x")) for path in (*stages, "baselines")]


def test_a_judge_of_answers_with_a_damaged_fold_is_made_again_whole(tmp_path: Path) -> None:
    judge = tmp_path / "iter_0" / "outcome_judge"
    weights = judge / "weights"
    for stage in (judge / "fold_0" / "answers", weights, judge, tmp_path / "iter_0/evaluate/x", tmp_path / "iter_1/x"):
        write_file(stage / "trajectories.jsonl", "{}\n")
        write_file(stage / "model.json", "{}\n")
        write_summary(stage, {})
    emptied(weights / "model.json")
    with pytest.raises(RunFolderError, match=r"model\.json is empty") as told:
        read_summary(weights)
    _, _, *again = shlex.split(str(told.value).splitlines()[-1])
    assert again == [str(judge / "summary.json"), str(weights / "summary.json"), str(weights / "model.json")]
    emptied(judge / "fold_0" / "answers" / "trajectories.jsonl")
    with pytest.raises(RunFolderError, match=r"trajectories\.jsonl is empty") as told:
        read_summary(judge / "fold_0" / "answers")
    _, _, *again = shlex.split(str(told.value).splitlines()[-1])
    assert again == [str(judge), str(tmp_path / "iter_1")]
