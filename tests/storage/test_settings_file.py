import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import RunFolderError
from rest_react.records import Fault, Trajectory
from rest_react.storage.files import write_file
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings, read_environments, read_settings
from rest_react.storage.summaries import write_summary
from tests.runs import trajectory, write_lines

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SETTINGS: dict[str, object] = {"seed": 0, "agent.select": "perplexity", "policy.command": ["a", "b"], "data": None}
HERE = {"python": "3.11.7", "step_prompts": "abcd"}


def test_other_settings_are_refused_by_name_and_change_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert lock_settings(folder.root, SETTINGS, HERE) == []
    assert lock_settings(folder.root, SETTINGS, HERE) == []
    write_lines(folder.stage(0, "grow") / "trajectories.jsonl", [lost("a"), trajectory("b")])
    before = (tmp_path / "settings.yaml").read_bytes()
    other = {**SETTINGS, "seed": 1, "agent.extra": True}
    del other["data"]
    with pytest.raises(RunFolderError) as refused:
        lock_settings(folder.root, other, {"python": "3.13.0"})
    problem, *differences, way_out = str(refused.value).splitlines()
    assert problem.startswith(f"{tmp_path} ") and "run=<name>" in way_out
    assert differences == [
        "  agent.extra: (absent) in the folder, True now",
        "  data: None in the folder, (absent) now",
        "  seed: 0 in the folder, 1 now",
    ]
    assert (tmp_path / "settings.yaml").read_bytes() == before


def lost(question: str) -> Trajectory:
    return replace(trajectory(question), outcome="failed", fault=Fault("outside", "m at http://nowhere: no reply"))


@pytest.mark.parametrize("stage", ["", "iter_0/evaluate/world"])
@pytest.mark.parametrize("done", [[], [trajectory("a")]], ids=["complete", "begun"])
def test_nothing_finished_is_lost_to_other_settings(tmp_path: Path, stage: str, done: list[Trajectory]) -> None:
    folder = RunFolder(tmp_path)
    lock_settings(folder.root, SETTINGS, HERE)
    if done:
        write_lines(tmp_path / stage / "trajectories.jsonl", [lost("b"), *done])
    else:
        write_summary(tmp_path / stage, {})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunFolderError, match="seed: 0 in the folder, 1 now"):
        lock_settings(folder.root, {**SETTINGS, "seed": 1}, HERE)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("begun", [[], [lost("a"), lost("b")]], ids=["nothing", "outside faults"])
def test_a_folder_where_nothing_was_finished_takes_other_settings(tmp_path: Path, begun: list[Trajectory]) -> None:
    folder, other = RunFolder(tmp_path), {**SETTINGS, "seed": 1}
    lock_settings(folder.root, SETTINGS, HERE)
    write_lines(folder.stage(0, "evaluate", "world") / "trajectories.jsonl", begun)
    assert lock_settings(folder.root, other, HERE) == ["settings changed; no stage had finished with the previous ones"]
    assert read_settings(folder.root) == other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["settings.yaml"]
    write_summary(folder.stage(0, "evaluate", "world"), {})
    with pytest.raises(RunFolderError, match="seed: 1 in the folder, 0 now"):
        lock_settings(folder.root, SETTINGS, HERE)


def test_written_texts_that_only_lack_a_judgement_survive_a_change_of_the_judge(tmp_path: Path) -> None:
    folder, texts = RunFolder(tmp_path), tmp_path / "iter_0" / "synthetic" / "texts.jsonl"
    lock_settings(folder.root, {"reward_model.base_url": "http://a", "seed": 0}, HERE)
    write_file(texts, json.dumps(LOST_TEXT | {"text": "My card was refused."}) + "\n")
    told = lock_settings(folder.root, {"reward_model.base_url": "http://b", "seed": 0}, HERE)
    assert told == ["reward_model.base_url changed; no finished work depends on it"]
    with pytest.raises(RunFolderError, match="seed: 0 in the folder, 1 now"):
        lock_settings(folder.root, {"reward_model.base_url": "http://b", "seed": 1}, HERE)
    assert texts.exists()


GRADED = {"id": "q.0", "verdict": {"verdict": "correct"}}
LOST_TEXT = {"id": "Card.0", "fault": {"whose": "outside", "message": "HTTP 503"}}
OWED = {"id": "q.0", "verdict": {"verdict": "unscored", "owed": True}}


@pytest.mark.parametrize(
    ("group", "file", "none", "some"),
    [
        ("grader", "iter_0/evaluate/world/results.jsonl", OWED, GRADED),
        ("reward_model", "iter_1/improve/rankings.jsonl", {"id": "q.0.0", "status": "errored"}, {"id": "q.0.0"}),
        ("improve", "iter_1/improve/rankings.jsonl", {"id": "q.0.0", "status": "errored"}, {"id": "q.0.0"}),
        ("grader", "baselines/tfidf/world/results.jsonl", OWED, GRADED),
        ("reward_model", "iter_0/synthetic/texts.jsonl", LOST_TEXT, {"id": "Card.0"}),
        ("reward_model", "iter_0/synthetic/unjudged.jsonl", {"id": "Card.0", "text": "My card was refused."}, None),
        ("finetune", "iter_1/finetune/events.jsonl", {"id": "event"}, None),
        ("finetune", "iter_1/finetune/loss.jsonl", {"step": 1, "loss": 0.5}, None),
        ("finetune", "iter_1/finetune/model.json", None, {}),
        # of iteration 0, which has demonstrations alone, neither depends on the reward model nor on the filters
        ("reward_model", "iter_0/improve/rankings.jsonl", {"id": "q.0.0"}, None),
        ("improve", "iter_0/improve/rankings.jsonl", {"id": "q.0.0"}, None),
        ("reward_model", "iter_0/judge/model.json", None, {}),
        ("improve", "iter_1/finetune/model.json", None, {}),
        ("evaluate.choose_by", "iter_1/choose/10/trajectories.jsonl", lost("a"), trajectory("a")),
    ],
)
def test_the_settings_of_a_role_may_change_until_it_has_done_work(tmp_path, group, file, none, some) -> None:
    folder = RunFolder(tmp_path)
    before, after = {**SETTINGS, f"{group}.model": "a"}, {**SETTINGS, f"{group}.model": "b"}
    lock_settings(folder.root, before, HERE)
    write_summary(folder.stage(0, "grow"), {})
    for work, chosen in ((none, after), (some, {**SETTINGS, f"{group}.model": "c"})):
        if work is not None:
            write_lines(tmp_path / file, [work])
        if work is some and work is not None:
            with pytest.raises(RunFolderError, match=f"{group}.model: '.' in the folder, '.' now"):
                lock_settings(folder.root, chosen, HERE)
        elif work is not None:
            assert lock_settings(folder.root, chosen, HERE) == [
                f"{group}.model changed; no finished work depends on it"
            ]
            assert read_settings(folder.root) == chosen


def test_a_choice_of_models_that_was_never_made_may_be_left_out(tmp_path: Path) -> None:
    before, after = ({**SETTINGS, "evaluate.choose_by": name} for name in ("world", None))
    lock_settings(tmp_path, before, HERE)
    write_summary(tmp_path / "iter_0/evaluate/world", {})
    assert lock_settings(tmp_path, after, HERE) == ["evaluate.choose_by changed; no finished work depends on it"]
    with pytest.raises(RunFolderError, match=r"evaluate.choose_by: None in the folder, 'world' now"):
        lock_settings(tmp_path, before, HERE)


def test_a_choice_of_models_that_was_made_stays(tmp_path: Path) -> None:
    lock_settings(tmp_path, {**SETTINGS, "evaluate.choose_by": "world"}, HERE)
    write_summary(tmp_path / "iter_1/choose", {})
    with pytest.raises(RunFolderError, match=r"evaluate.choose_by: 'world' in the folder, None now"):
        lock_settings(tmp_path, {**SETTINGS, "evaluate.choose_by": None}, HERE)


def test_how_many_texts_of_a_teacher_are_dropped_may_change_until_the_rows_are_chosen(tmp_path: Path) -> None:
    before = {**SETTINGS, "synthetic.spare": 0.5, "synthetic.near": 0.5, "synthetic.judged": True}
    lock_settings(tmp_path, before, HERE)
    write_lines(tmp_path / "iter_0/synthetic/texts.jsonl", [{"id": "Card.0"}])
    after = {**before, "synthetic.spare": 1.0, "synthetic.near": 0.8}
    assert lock_settings(tmp_path, after, HERE)[0].startswith("synthetic.near, synthetic.spare changed")
    with pytest.raises(RunFolderError, match=r"synthetic.judged: True in the folder, False now"):
        lock_settings(tmp_path, {**after, "synthetic.judged": False}, HERE)
    write_summary(tmp_path / "iter_0/synthetic", {})
    with pytest.raises(RunFolderError, match=r"synthetic.spare: 1.0 in the folder, 0.5 now"):
        lock_settings(tmp_path, before, HERE)


def test_a_permitted_setting_and_the_environment_may_change_together(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    lock_settings(folder.root, {**SETTINGS, "evaluate.grader_max_tokens": 64}, HERE)
    write_summary(folder.stage(0, "grow"), {})
    now = {**HERE, "python": "3.13.0"}
    assert lock_settings(folder.root, {**SETTINGS, "evaluate.grader_max_tokens": 128}, now) == [
        "evaluate.grader_max_tokens changed; no finished work depends on it",
        "python: 3.11.7 before, 3.13.0 now",
    ]
    assert read_environments(folder.root) == [HERE, now]


def test_a_changed_environment_is_returned_once_and_recorded(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    lock_settings(folder.root, SETTINGS, HERE)
    now = {"python": "3.13.0", "torch": "2.13"}
    assert lock_settings(folder.root, SETTINGS, now) == [
        "python: 3.11.7 before, 3.13.0 now",
        "step_prompts: abcd before, (absent) now",
    ]
    assert lock_settings(folder.root, SETTINGS, now) == []
    text = (tmp_path / "settings.yaml").read_text(encoding="utf-8")
    assert text.startswith("schema: 1\nsettings:\n  seed: 0\n")
    assert text.endswith("environments:\n- python: 3.11.7\n  step_prompts: abcd\n- python: 3.13.0\n  torch: '2.13'\n")


@given(
    st.dictionaries(
        TEXTS, st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.lists(TEXTS)
    )
)
def test_any_settings_are_equal_to_themselves_after_a_trip_to_disk(given_settings: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(Path(path))
        lock_settings(folder.root, given_settings, HERE)
        assert lock_settings(folder.root, given_settings, HERE) == []


@pytest.mark.parametrize("text", ["", "{", "schema: 1\nsettings: {}\nenvironments: []\n", "- 1\n"])
def test_a_damaged_settings_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"settings\.yaml is damaged"):
        lock_settings(tmp_path, SETTINGS, HERE)


def test_what_the_last_command_did_not_record_of_the_environment_is_recorded_and_not_told_as_a_change(
    tmp_path: Path,
) -> None:
    lock_settings(tmp_path, SETTINGS, HERE)
    now = {**HERE, "number_type_policy": "float32"}
    assert lock_settings(tmp_path, SETTINGS, now) == []
    assert read_environments(tmp_path) == [HERE, now]
    other = {**now, "number_type_policy": "bfloat16"}
    assert lock_settings(tmp_path, SETTINGS, other) == ["number_type_policy: float32 before, bfloat16 now"]
