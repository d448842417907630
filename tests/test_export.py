"""Exports of small runs of both tasks, through the command line, read by the libraries that define the formats."""

import base64
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from huggingface_hub.repocard import metadata_load

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.export import HELP, main
from rest_react.exporting.card import write_card
from rest_react.exporting.request import ExportRequest
from rest_react.records import Example, ModelRef, Result, Trajectory
from rest_react.run import run
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import write_summary
from tests.loopback import Reply, Request, serve
from tests.serving import serving
from tests.test_ask import SMOKE

QA = [*SMOKE, "run=qa", "policy.right=0.6", "policy.wrong=0.3", "policy.unparsable=0.1"]
CHAT = "run=chat experiment=smoke iteration=1 start=prompted agent.exemplars=never".split()
CHAT_POLICY = (
    "policy=openai policy.mode=chat policy.model=tiny-random policy.api_key_env=null policy.requests_per_minute=null "
    "finetune=hosted finetune.api_key_env=null finetune.poll_s=0.05"
).split()
LABELS = "run=labels experiment=completion_smoke finetune=dry_run world.train=6 world.evaluation=6".split()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two iterations of each task, without training."""
    folder = tmp_path_factory.mktemp("outputs")
    for settings in (QA, LABELS):
        run(compose([*settings, "iteration=1", f"output={folder}"]))
    return folder


def exported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["export", *words])
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def export(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Any]:
    """Runs the command on the runs; returns the rows of its data.jsonl."""

    def made(*words: str) -> list[dict[str, Any]]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        code, _, err = exported(monkeypatch, capsys, f"output={output}", f"out={out}", *words)
        assert code == 0, err
        data = out / "data.jsonl"
        return [json.loads(line) for line in data.read_text().splitlines()] if data.exists() else []

    yield made


def test_messages_are_valid_for_openai_and_hold_the_searches_and_the_final_answer(output: Path, export: Any) -> None:
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
    from pydantic import TypeAdapter

    message: Any = TypeAdapter(ChatCompletionMessageParam)
    rows = export("run=qa", "format=messages", "stage=world", "iteration=1")
    trajectories = {
        f"iter_1/world/{t.id}": t
        for t in read_lines(output / "qa/iter_1/evaluate/world/trajectories.jsonl", Trajectory)
        if t.outcome == "finished"
    }
    assert [row["id"] for row in rows] == list(trajectories)
    for row in rows:
        TypeAdapter(list[ChatCompletionToolUnionParam]).validate_python(row["tools"])
        known = {"role", "content", "tool_calls", "tool_call_id", "reasoning_content"}
        for shown in row["messages"]:
            assert set(shown) <= known
            message.validate_python({key: value for key, value in shown.items() if key != "reasoning_content"})
        trajectory = trajectories[row["id"]]
        calls = [call for shown in row["messages"] for call in shown.get("tool_calls", [])]
        answered = [shown["tool_call_id"] for shown in row["messages"] if shown["role"] == "tool"]
        assert answered == [call["id"] for call in calls]
        assert len(calls) == trajectory.usage.searches
        assert all(json.loads(call["function"]["arguments"])["query"] for call in calls)
        hits = [hit for step in trajectory.steps for hit in step.hits]
        results = [r for shown in row["messages"] if shown["role"] == "tool" for r in json.loads(shown["content"])]
        assert [(r["source"], r["title"], r["snippet"]) for r in results] == [
            (h.source, h.title, h.snippet) for h in hits
        ]
        assert (row["messages"][0]["content"], row["messages"][-1]["content"]) == (
            trajectory.question,
            trajectory.answer,
        )


def test_a_trajectory_of_one_call_is_a_question_and_a_label(export: Any) -> None:
    row = export("run=labels", "format=messages")[0]
    assert [shown["role"] for shown in row["messages"]] == ["user", "assistant"]
    assert row["messages"][0]["content"].startswith('TEXT = "')
    assert (row["messages"][1]["content"], row["tools"]) == ("billing", [])


def test_gold_answers_are_exported_only_on_request(output: Path, export: Any) -> None:
    results = {r.id: r for r in read_lines(output / "labels/iter_1/evaluate/world/results.jsonl", Result)}
    words = ("run=labels", "format=messages", "iteration=1", "stage=world")
    without, with_gold = export(*words), export(*words, "gold=true")
    assert {key for row in without for key in row} == {
        "id", "stage", "question_id", "outcome", "verdict", "messages", "tools",
    }  # fmt: skip
    assert [row["gold"] for row in with_gold] == [
        list(results[row["id"].rpartition("/")[2]].golds) for row in with_gold
    ]


def test_trajectories_are_filtered_by_iteration_stage_outcome_and_verdict(output: Path, export: Any) -> None:
    results = {
        f"iter_{k}/world/{r.id}": r
        for k in (0, 1)
        for r in read_lines(output / f"qa/iter_{k}/evaluate/world/results.jsonl", Result)
    }
    right = export("run=qa", "format=messages", "stage=all", "verdict=correct")
    assert {row["id"] for row in right} == {id_ for id_, r in results.items() if r.verdict.verdict == "correct"}
    failed = export("run=qa", "format=messages", "stage=world", "outcome=failed", "iteration=[0,1]")
    assert {row["id"] for row in failed} == {id_ for id_, r in results.items() if r.outcome == "failed"}
    grown = export("run=qa", "format=messages", "iteration=1")
    assert {row["stage"] for row in grown} == {"iter_1/grow"}


def test_sessions_have_the_shape_of_the_trace_viewer_s_format(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from jsonschema import Draft202012Validator

    text = {"type": "string"}
    function = {"type": "object", "required": ["name", "arguments"], "properties": {"name": text, "arguments": text}}
    call = {"type": "object", "required": ["id", "function"], "properties": {"id": text, "function": function}}
    message = {
        "type": "object", "required": ["role", "content"], "additionalProperties": False,
        "properties": {
            "role": {"enum": ["user", "assistant", "system", "tool"]}, "content": text, "reasoningContent": text,
            "toolCalls": {"type": "array", "items": call}, "toolCallId": text,
        },
    }  # fmt: skip
    envelope = {
        "type": "object", "required": ["type", "message"], "additionalProperties": False,
        "properties": {"type": {"const": "message"}, "message": message},
    }  # fmt: skip
    out = tmp_path / "sts"
    assert (
        exported(monkeypatch, capsys, "run=qa", f"output={output}", "format=sts", "iteration=[0,1]", f"out={out}")[0]
        == 0
    )
    finished = [
        t
        for k in (0, 1)
        for t in read_lines(output / f"qa/iter_{k}/grow/trajectories.jsonl", Trajectory)
        if t.outcome == "finished"
    ]
    sessions = sorted(out.glob("sessions/*/*.jsonl"))
    assert len(sessions) == len(finished)
    for path, trajectory in zip(sessions, finished, strict=True):
        header, *messages = map(json.loads, path.read_text().splitlines())
        assert (header["type"], header["harness"]) == ("session", "rest_react")
        assert header["id"].rpartition("/")[2] == trajectory.id
        for line in messages:
            Draft202012Validator(envelope).validate(line)


def test_training_rows_are_loaded_by_datasets_and_read_by_trl(output: Path, export: Any, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl.data_utils import is_conversational

    pairs = export("run=qa", "format=preferences", "iteration=1")
    rows = export("run=qa", "format=prompt_completion", "iteration=1")
    examples = list(read_lines(output / "qa/iter_1/improve/examples.jsonl", Example))
    assert [(row["prompt"], row["completion"]) for row in rows] == [(e.prompt, e.completion) for e in examples]
    assert 0 < len(pairs) < len(rows)
    assert {row["id"] for row in pairs} <= {row["id"] for row in rows}
    assert all(row["chosen"] != row["rejected"] for row in pairs)
    folder = next(path for path in tmp_path.iterdir() if "chosen" in (path / "data.jsonl").read_text()[:3000])
    files = metadata_load(folder / "README.md")["configs"][0]["data_files"]
    loaded: Any = load_dataset("json", data_files=str(folder / files), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.column_names == ["id", "kind", "prompt", "chosen", "rejected"]
    assert loaded[0] == pairs[0]
    assert not is_conversational(loaded[0])


@pytest.fixture(scope="module")
def chat_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An iteration of a policy that is asked by chats, on a server of scripted replies that trains nothing."""

    async def train(_: object, base: ModelRef, *__: object) -> ModelRef:
        return base

    folder = tmp_path_factory.mktemp("chat_outputs")
    parts = Parts(compose(QA), RunFolder(folder / "unused"))
    with serving(lambda name, _: parts.llm(ModelRef(name, "base", tuned=False)), folder / "service", train) as service:
        urls = [f"policy.base_url={service.url}", f"finetune.base_url={service.url}"]
        run(compose([*CHAT, *CHAT_POLICY, *urls, f"output={folder}"]))
    return folder


@pytest.mark.parametrize("form", ["prompt_completion", "preferences"])
def test_training_rows_of_a_chat_policy_are_conversations_for_trl(chat_output: Path, form: str, export: Any) -> None:
    from datasets import load_dataset
    from trl.data_utils import is_conversational

    rows = export(f"run={chat_output / 'chat'}", f"format={form}", "iteration=1")
    examples = {f"iter_1/{e.id}": e for e in read_lines(chat_output / "chat/iter_1/improve/examples.jsonl", Example)}
    assert rows and {row["id"] for row in rows} <= examples.keys()
    target = "completion" if form == "prompt_completion" else "chosen"
    for row in rows:
        example = examples[row["id"]]
        assert row["prompt"] == [{"role": "user", "content": example.prompt}]
        assert row[target] == [{"role": "assistant", "content": example.completion}]
    data = chat_output / f"{form}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    loaded: Any = load_dataset("json", data_files=str(data), split="train", cache_dir=str(chat_output / "cache"))
    assert list(loaded) == rows
    assert all(is_conversational({key: row[key]}) for row in loaded for key in row.keys() - {"id", "kind"})
    if form == "preferences":
        assert all(row["rejected"][0]["role"] == "assistant" and row["rejected"] != row["chosen"] for row in rows)


@pytest.mark.slow
def test_trl_trains_on_both_kinds_of_training_rows(output: Path, export: Any, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    from rest_react.weights import resolve_weights

    folder = resolve_weights("tiny-random")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    common = {"max_steps": 1, "report_to": "none", "use_cpu": True, "bf16": False, "per_device_train_batch_size": 2}
    for trainer, config, words in (
        (SFTTrainer, SFTConfig, "format=prompt_completion"),
        (DPOTrainer, DPOConfig, "format=preferences"),
    ):
        rows = Dataset.from_list(export("run=qa", words, "iteration=1"))
        trained = trainer(
            model=AutoModelForCausalLM.from_pretrained(folder),
            args=config(output_dir=str(tmp_path / config.__name__), **common),
            train_dataset=rows,
            processing_class=tokenizer,
        )
        assert trained.train().global_step == 1


# ── the Hub ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Hub:
    """What the client of the Hub needs to upload small files, kept in memory."""

    def __init__(self, *, public: bool = False, status: int = 200) -> None:
        self.public, self.status = public, status
        self.created: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}

    def answer(self, request: Request) -> Reply:
        path, place = urlsplit(request.path).path, f"http://{request.headers['host']}"
        if self.status != 200:
            return Reply(self.status, {"error": "no"})
        if path == "/api/repos/create":
            self.created.append(request.json)
            return Reply(200, {"url": f"{place}/{'datasets/' * (request.json['type'] == 'dataset')}me/x"})
        if path == "/api/validate-yaml":
            return Reply(200, {"errors": [], "warnings": []})
        if "/preupload/" in path:
            told = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in request.json["files"]]
            return Reply(200, {"files": told})
        if "/commit/" in path:
            for line in map(json.loads, request.body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                if line["key"] == "deletedFile":
                    del self.files[line["value"]["path"]]
            return Reply(200, {"commitUrl": f"{place}/{path.split('/')[2]}/me/x/commit/1", "commitOid": "1" * 40})
        if "/tree/" in path:
            listed = [{"type": "file", "path": p, "size": len(raw), "oid": "2" * 40} for p, raw in self.files.items()]
            return Reply(200, listed)
        kind = path.split("/")[2]
        return Reply(200, {"id": "me/x", "private": not self.public, "sha": "1" * 40, "siblings": [], "kind": kind})


def uploaded(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    with serve(hub.answer) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        return exported(monkeypatch, capsys, *words)


def test_the_same_export_of_another_run_or_of_a_run_made_anew_is_not_taken_for_this_one(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run=qa", "format=messages", f"out={tmp_path / 'rows'}"]
    assert exported(monkeypatch, capsys, *words, f"output={output}")[0] == 0
    other = tmp_path / "other"
    shutil.copytree(output / "qa", other / "qa")
    code, _, err = exported(monkeypatch, capsys, *words, f"output={other}")
    assert code == 2
    assert "it has the same export of another run, or of this one before it went on" in " ".join(err.split())
    assert exported(monkeypatch, capsys, *words, f"output={output}")[0] == 0


def test_an_export_stays_the_same_when_the_run_is_tracked_again(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(output / "qa", tmp_path / "qa")
    words = ["run=qa", f"output={tmp_path}", "format=messages", f"out={tmp_path / 'rows'}"]
    assert exported(monkeypatch, capsys, *words)[0] == 0
    write_summary(tmp_path / "qa" / "iter_1" / "tracking", {"tracking": "wandb", "mode": "online"})
    code, _, err = exported(monkeypatch, capsys, *words)
    assert (code, "already exported" in err) == (0, True), err


def test_an_export_is_uploaded_with_its_card_to_a_private_data_set_and_once_more_without_a_new_export(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run=qa", f"output={output}", "format=preferences", f"out={tmp_path / 'pairs'}", "hub=me/pairs"]
    for _ in range(2):
        hub = Hub()
        hub.files = {"sessions/000/000001.jsonl": b"of an earlier export, with gold answers"}
        code, out, err = uploaded(hub, monkeypatch, capsys, *words)
        assert code == 0, err
        assert hub.created == [{"name": "pairs", "organization": "me", "visibility": "private", "type": "dataset"}]
        assert hub.files == {p.name: p.read_bytes() for p in (tmp_path / "pairs").iterdir()}
        assert "uploaded: " in out + err
    assert "already exported" in out + err


def test_weights_are_uploaded_with_their_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = tmp_path / "mine" / "iter_1" / "finetune"
    (stage / "model").mkdir(parents=True)
    (stage / "summary.json").write_text('{"schema": 1, "files": {}}')
    (stage / "model.json").write_text('{"name": "iter_1/finetune/model", "where": "local", "tuned": true}')
    (stage / "model" / "model.safetensors").write_bytes(b"weights")
    words = ["run=mine", f"output={tmp_path}", "format=model", "iteration=1", "hub=me/agent", "private=false"]
    hub = Hub(public=True)
    assert "has no card yet" in uploaded(hub, monkeypatch, capsys, *words)[2]
    (stage / "model" / "README.md").write_text("---\ntags: [a]\n---\n")
    assert uploaded(hub, monkeypatch, capsys, *words)[0] == 0
    assert hub.created == [{"name": "agent", "organization": "me", "visibility": "public", "type": "model"}]
    assert hub.files == {"model.safetensors": b"weights", "README.md": b"---\ntags: [a]\n---\n"}


@pytest.mark.parametrize(
    ("hub", "code", "message"),
    [
        (Hub(status=401), 2, "set HF_TOKEN to a token that may write there"),
        (Hub(status=404), 2, "check the name"),
        (Hub(public=True), 2, "it is public; add private=false"),
    ],
)
def test_a_refused_upload_says_what_to_do(
    hub: Hub, code: int, message: str,
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = ["run=qa", f"output={output}", "format=prompt_completion", f"out={tmp_path / 'x'}", "hub=me/x"]
    ended = uploaded(hub, monkeypatch, capsys, *words)
    assert ended[0] == code
    assert message in ended[2]
    assert "hf_secret" not in ended[1] + ended[2]
    assert hub.files == {}


# ── what cannot be exported ───────────────────────────────────────────────────────────────────────────────────────────


def test_all_wrong_words_are_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = "format=csv verdict=right iteration=x gold=true colour=red hub=me".split()
    code, _, err = exported(monkeypatch, capsys, *words)
    assert code == 2
    told = [line.split(":")[0].strip() for line in err.splitlines()[1:]]
    assert told == ["colour", "run", "format", "verdict", "iteration", "out", "hub", "verdict"]


@pytest.mark.parametrize("word", ["private", "private=", "gold", "outcome="])
def test_a_word_without_its_value_is_refused_before_anything_is_uploaded(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = exported(monkeypatch, capsys, "run=qa", "format=messages", "out=x", "hub=me/x", "stage=all", word)
    assert code == 2 and f"{word.strip('=')}: '' is not one of" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run=none format=sts", "has no such run"),
        ("run=qa format=messages verdict=correct", "add stage=<a benchmark>"),
        ("run=qa format=messages stage=bamboogle", "has no such complete stage"),
        ("run=qa format=messages iteration=7", "has no iteration 7; it has 0, 1"),
        ("run=qa format=preferences verdict=correct", "has no trajectories to filter"),
        ("run=qa format=preferences iteration=0", "no row matches"),
        ("run=qa format=model iteration=1 hub=me/x", "has no weights of iteration 1"),
    ],
)
def test_an_export_of_nothing_leaves_no_folder(
    words: str, message: str,
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = [] if "model" in words else [f"out={tmp_path / 'x'}"]
    code, _, err = exported(monkeypatch, capsys, *words.split(), f"output={output}", *out)
    assert code == 2
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_an_export_leaves_the_user_s_own_files_beside_it(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {tmp_path / ".env.local", tmp_path / ".env.d"}
    for path in own:
        path.write_text("mine")
    assert exported(monkeypatch, capsys, "run=qa", f"output={output}", f"out={tmp_path / 'env'}", "format=sts")[0] == 0
    assert {*tmp_path.iterdir()} == {*own, tmp_path / "env"}


def test_another_export_is_not_overwritten(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run=qa", f"output={output}", f"out={tmp_path / 'x'}"]
    assert exported(monkeypatch, capsys, *words, "format=messages")[0] == 0
    code, _, err = exported(monkeypatch, capsys, *words, "format=messages", "gold=true", "stage=all")
    assert (code, "it exists and is not this export" in err) == (2, True)


def test_help_names_every_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(monkeypatch, capsys, "--help") == (0, HELP + "\n", "")
    assert exported(monkeypatch, capsys)[0] == 2


def test_the_card_says_whether_demonstrations_by_an_expert_with_the_answers_are_among_the_rows(tmp_path: Path) -> None:
    said = {}
    for iterations in (None, (0, 1), (1,)):
        request = ExportRequest("r", "messages", iterations=iterations)
        write_card(
            tmp_path, request, {"start": "demonstrations"}, rows=1, data_files="data.jsonl", smoke=False, searches=True
        )
        assert "- synthetic" in (tmp_path / "README.md").read_text()
        said[iterations] = (
            "The demonstrations (iteration 0, Grow) have gold answers" in (tmp_path / "README.md").read_text()
        )
    assert said == {None: False, (0, 1): True, (1,): False}


def test_demonstrations_which_have_the_gold_answers_are_exported_only_by_name(output: Path, export: Any) -> None:
    for form in ("messages", "prompt_completion"):
        rows = export("run=qa", f"format={form}")
        named = export("run=qa", f"format={form}", "iteration=[0,1]")
        shown = [row for row in named if row["id"].startswith("iter_0/")]
        assert shown and rows == [row for row in named if row not in shown]


def test_an_export_with_a_users_labelled_rows_is_not_called_synthetic(tmp_path: Path) -> None:
    for iterations, more, synthetic in (((0,), {}, False), ((1,), {}, True), ((0,), {"synthetic.n": 9}, True)):
        request = ExportRequest("r", "prompt_completion", iterations=iterations)
        made = {"start": "demonstrations", "task.kind": "completion", **more}
        write_card(tmp_path, request, made, rows=1, data_files="data.jsonl", smoke=False, searches=False)
        assert ("- synthetic" in (tmp_path / "README.md").read_text()) == synthetic
