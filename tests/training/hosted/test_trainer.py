import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from rest_react.errors import OutsideFault, RestReactError, UsageError
from rest_react.records import Example, ModelRef
from rest_react.training.hosted.progress import checkpoints_on_disk
from rest_react.training.hosted.rows import render_rows
from tests.loopback import Reply, serve
from tests.odd_bodies import ODD_BODIES, endless
from tests.training.hosted.tuning_api import EXAMPLES, Api, posts, purse, spent, spoilt, train

KEY = "sk-very-secret-0123456789"


def test_examples_are_uploaded_tuned_on_and_become_a_hosted_model(tmp_path):
    api, told = Api(), []
    with serve(api.answer) as server:
        model = train(server, tmp_path, hyperparameters={"n_epochs": 3}, on_event=told.append)
    assert model == ModelRef("ft:base-model:ftjob-0", "hosted", tuned=True)
    [file], [job] = api.files, api.jobs
    rows = [json.loads(line) for line in file["raw"].splitlines() if line.startswith(b'{"messages"')]
    assert rows[2] == {
        "messages": [{"role": "user", "content": "state 2 é"}, {"role": "assistant", "content": "action 2"}]
    }
    assert len(rows) == 3
    assert {key: job[key] for key in ("model", "training_file", "method", "seed", "suffix")} == {
        "model": "base-model",
        "training_file": "file-0",
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
        "seed": 5,
        "suffix": "rest-react",
    }
    assert told == [
        "3 examples, about 21 tokens, 3 epochs: finetune.price is not set",
        "step 0", "step 1", "step 2", "step 3",
        "checkpoint at step 20: ft:ftjob-0:step-20", "checkpoint at step 10: ft:ftjob-0:step-10",
    ]  # fmt: skip
    kept = [json.loads(line) for line in (tmp_path / "checkpoints.jsonl").read_text().splitlines()]
    assert [(one["step_number"], one["fine_tuned_model_checkpoint"]) for one in kept] == [
        (20, "ft:ftjob-0:step-20"), (10, "ft:ftjob-0:step-10")
    ]  # fmt: skip
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["id"] for event in events] == ["ev-0", "ev-1", "ev-2", "ev-3"]
    note = json.loads((tmp_path / "job.json").read_text())
    assert (note["file"], note["job"], note["model"]) == ("file-0", "ftjob-0", "ft:base-model:ftjob-0")


def test_checkpoints_with_the_name_of_a_model_can_be_chosen(tmp_path):
    lines = [
        {"step_number": 20, "fine_tuned_model_checkpoint": "ft:last"},
        {"step_number": 10, "fine_tuned_model_checkpoint": "ft:early"},
        {"step_number": 5, "fine_tuned_model_checkpoint": None},
        {"id": "ck-3"},
    ]
    (tmp_path / "checkpoints.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"step_num')
    early, last = (ModelRef(f"ft:{name}", "hosted", tuned=True) for name in ("early", "last"))
    assert checkpoints_on_disk(tmp_path, last) == {10: early}
    assert checkpoints_on_disk(tmp_path / "none", last) == {}


def test_the_jobs_id_is_on_disk_before_the_first_wait(tmp_path):
    api, notes = Api(["running", "succeeded"]), []
    api.before_answer = lambda what: (
        notes.append(json.loads((tmp_path / "job.json").read_text())) if what == "look" else 0
    )
    with serve(api.answer) as server:
        train(server, tmp_path)
    assert notes[0]["job"] == "ftjob-0"


def test_a_finished_job_is_not_asked_about_again(tmp_path):
    with serve(Api().answer) as server:
        first = train(server, tmp_path)
        asked = len(server.requests)
        assert train(server, tmp_path) == first
        assert len(server.requests) == asked


NOT_READY = {
    "file-processed": ("POST /fine_tuning/jobs", Reply(400, {"error": {"message": "File file-0 is still processed"}})),
    "file-unknown": ("POST /fine_tuning/jobs", Reply(404, {"error": {"message": "No such file: file-0"}})),
    "conflict": ("POST /fine_tuning/jobs", Reply(409, {"error": {"message": "the file is locked"}})),
    "job-unknown": ("GET /fine_tuning/jobs/ftjob-0", Reply(404, {"error": {"message": "No such job: ftjob-0"}})),
    "no-name-yet": ("GET /fine_tuning/jobs/ftjob-0", Reply(200, {"id": "ftjob-0", "status": "succeeded"})),
}


@pytest.mark.parametrize("moment", NOT_READY)
def test_a_service_that_is_not_ready_is_waited_for_with_one_note(tmp_path, moment):
    api, told, left = Api(["succeeded"]), [], [4]
    place, not_yet = NOT_READY[moment]

    def answer(request):
        path = request.path.partition("?")[0].removeprefix("/v1")
        if f"{request.method} {path}" == place and left[0]:
            left[0] -= 1
            return not_yet
        return api.answer(request)

    with serve(answer) as server:
        model = train(server, tmp_path, on_event=told.append, tries=1)
    assert model.name == "ft:base-model:ftjob-0"
    assert (len(api.files), len(api.jobs)) == (1, 1)
    assert sum("up to 10 minutes" in line for line in told) == 1


@pytest.mark.parametrize("moment", NOT_READY)
def test_a_service_that_never_gets_ready_is_an_error_that_names_the_cause(tmp_path, moment):
    api = Api(["succeeded"])
    place, not_yet = NOT_READY[moment]

    def answer(request):
        path = request.path.partition("?")[0].removeprefix("/v1")
        return not_yet if f"{request.method} {path}" == place else api.answer(request)

    words = "no name yet" if moment == "no-name-yet" else "is locked" if moment == "conflict" else r"file-0|ftjob-0"
    with serve(answer) as server, pytest.raises((UsageError, OutsideFault), match=words):
        train(server, tmp_path, ready_within_s=0.02, tries=1)


def test_faults_along_the_way_cost_no_second_upload_and_no_second_job(tmp_path):
    """Every other answer is lost, among them the yes to the upload and the yes to the job."""
    api, count = Api(), iter(range(1000))
    faults = [
        Reply(hang_up=True),
        Reply(500, b"oops"),
        Reply(200, b'{"id": '),
        Reply(429, b"", {"retry-after": "0.01"}),
    ]

    def answer(request):
        reply, number = api.answer(request), next(count)
        return reply if number % 2 else faults[number // 2 % 4]

    with serve(answer) as server:
        assert train(server, tmp_path, tries=12).name == "ft:base-model:ftjob-0"
    assert (len(api.files), len(api.jobs)) == (1, 1)


def test_a_provider_without_listings_can_be_used(tmp_path):
    with serve(Api(can_list=False).answer) as server:
        assert train(server, tmp_path).name == "ft:base-model:ftjob-0"


@pytest.mark.parametrize("moment", ["files", "jobs", "look"])
def test_after_a_kill_at_any_moment_there_is_one_upload_and_one_job(tmp_path, moment):
    api, arrived, killed = Api(["running", "running", "succeeded"]), threading.Event(), threading.Event()

    def stop_here(what):
        if what == moment and not killed.is_set():
            arrived.set()
            killed.wait(20)  # the server has done it, and the client never hears

    api.before_answer = stop_here
    root = Path(__file__).parents[2]
    with serve(api.answer) as server:
        script = (
            "from pathlib import Path; from types import SimpleNamespace\n"
            "from tests.training.hosted.tuning_api import purse, train\n"
            f"folder = Path({str(tmp_path)!r})\n"
            f"train(SimpleNamespace(url={server.url!r}), folder, meter=purse(folder, max_usd=0.01))"
        )
        environment = {**os.environ, "PYTHONPATH": str(root)}
        process = subprocess.Popen([sys.executable, "-c", script], cwd=root, env=environment)
        try:
            assert arrived.wait(30)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed.set()
        assert train(server, tmp_path, meter=purse(tmp_path, max_usd=0.01)).name == "ft:base-model:ftjob-0"
    assert posts(server) == ["/v1/files", "/v1/fine_tuning/jobs"]
    assert spent(tmp_path) == {"calls": 1, "prompt_tokens": 63, "completion_tokens": 0}


def test_other_examples_or_another_seed_are_another_job_and_refused_in_the_same_folder(tmp_path):
    api = Api()
    with serve(api.answer) as server:
        train(server, tmp_path)
        with pytest.raises(UsageError, match=r"job\.json: .* other examples or settings"):
            train(server, tmp_path, examples=EXAMPLES[:2])
        api.looks = 0
        assert train(server, tmp_path / "other", seed=6).name == "ft:base-model:ftjob-1"
    assert len(api.files) == 2


def test_rows_are_checked_before_anything_is_sent(tmp_path):
    bad = [EXAMPLES[0], Example("q9.0.1", "q9.0", 1, "answer", " ", "", "x")]
    with serve(Api().answer) as server:
        with pytest.raises(UsageError, match=r"q9\.0\.1: its prompt is empty; q9\.0\.1: its completion is empty"):
            train(server, tmp_path, examples=bad)
        with pytest.raises(UsageError, match=r"3 examples, .* at least 10"):
            train(server, tmp_path, fewest_examples=10)
        with pytest.raises(UsageError, match="local weights"):
            train(server, tmp_path, base=ModelRef("/weights", "local", tuned=True))
    assert server.requests == []


def test_a_row_that_is_longer_than_the_model_takes_is_named(tmp_path):
    long = Example("q9.0.1", "q9.0", 1, "answer", "a word " * 30, "é" * 30, "x")
    with serve(Api().answer) as server:
        with pytest.raises(UsageError, match=r"q9\.0\.1: about 90 tokens, more than finetune\.max_length=89"):
            train(server, tmp_path, examples=[*EXAMPLES, long], max_length=89)
        assert server.requests == []
        assert train(server, tmp_path, examples=[*EXAMPLES, long], max_length=90)


def test_ids_and_names_that_look_like_keys_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNING_KEY", KEY)
    api, odd = Api(), "ftevent-0e208cf33a6a466994aff31a08aba678"

    def answer(request):
        if request.path.split("?")[0].endswith("/events"):
            return api.listing([{"id": odd, "message": f"{KEY} is fine", "type": "message"}])
        return api.answer(request)

    with serve(answer) as server:
        train(server, tmp_path, api_key_env="TUNING_KEY")
    [event] = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert (event["id"], event["message"]) == (odd, "*** is fine")


def test_a_job_is_cancelled_on_request_and_another_one_starts_only_when_told_to(tmp_path):
    api = Api(["running"])
    with serve(api.answer) as server:
        with pytest.raises(UsageError, match=r"no job .* remove finetune\.cancel"):
            train(server, tmp_path, cancel=True)
        with pytest.raises(OutsideFault, match="'running'"):
            train(server, tmp_path, patience_s=0.0)
        with pytest.raises(UsageError, match=r"ftjob-0 cancelled.*; remove finetune\.cancel, then delete .*job\.json"):
            train(server, tmp_path, cancel=True)
        with pytest.raises(UsageError, match="ftjob-0 cancelled"):
            train(server, tmp_path)
        (tmp_path / "job.json").unlink()
        api.statuses = ["succeeded"]
        assert train(server, tmp_path).name == "ft:base-model:ftjob-1"
    assert "/v1/fine_tuning/jobs/ftjob-0/cancel" in posts(server)


def test_a_job_whose_id_was_not_saved_before_a_kill_can_be_cancelled(tmp_path):
    api = Api(["running"])
    with serve(api.answer) as server:
        with pytest.raises(OutsideFault):
            train(server, tmp_path, patience_s=0.0)
        note = json.loads((tmp_path / "job.json").read_text())
        (tmp_path / "job.json").write_text(json.dumps(note | {"job": ""}))
        with pytest.raises(UsageError, match=r"ftjob-0 cancelled.*; remove"):
            train(server, tmp_path, cancel=True)


def test_a_refused_request_is_a_usage_error_without_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNING_KEY", KEY)
    refusal = Reply(400, {"error": {"message": f"base-model cannot be tuned by {KEY}", "param": "model"}})
    with serve(lambda request: refusal) as server, pytest.raises(UsageError, match="cannot be tuned") as caught:
        train(server, tmp_path, api_key_env="TUNING_KEY")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert len(server.requests) == 1
    monkeypatch.delenv("TUNING_KEY")
    with pytest.raises(UsageError, match="TUNING_KEY"):
        train(server, tmp_path, api_key_env="TUNING_KEY")


@pytest.mark.parametrize("content", ["", '{"content": "x", "fi', "[]", '{"content": 7}', "\0\0"])
def test_a_damaged_job_file_is_refused_and_once_deleted_the_same_job_is_found(tmp_path, content):
    api = Api(["running"])
    with serve(api.answer) as server:
        with pytest.raises(OutsideFault):
            train(server, tmp_path, patience_s=0.0)
        (tmp_path / "job.json").write_text(content)
        with pytest.raises(UsageError, match=r"job\.json is damaged .* Delete it .* the server's list"):
            train(server, tmp_path)
        (tmp_path / "job.json").unlink()
        api.statuses = ["succeeded"]
        train(server, tmp_path)
    assert (len(api.files), len(api.jobs)) == (1, 1)


def test_rows_hold_any_text_that_a_file_can_hold():
    [row] = render_rows([Example("a", "a", 0, "decide", 'quo"te\u2028\ud800', "x\ny", "s")]).splitlines()
    assert json.loads(row)["messages"][1]["content"] == "x\ny"


ROUTES = ["GET /v1/files", "POST /v1/files", "GET /v1/fine_tuning/jobs", "POST /v1/fine_tuning/jobs", "job", "events"]


@pytest.mark.parametrize(("route", "status"), [("POST /v1/files", 200), ("job", 200), ("events", 200), ("events", 400)])
@pytest.mark.parametrize("body", ODD_BODIES)
def test_no_body_ends_the_run_with_a_traceback(tmp_path, route, status, body):
    with serve(spoilt(Api(), route, lambda: Reply(status, body))) as server:
        try:  # some of these bodies are an empty list to the SDK
            train(server, tmp_path, tries=1, ready_within_s=0.0, patience_s=0.0)
        except RestReactError as error:
            assert str(error).encode().decode() == str(error)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": None}, {"id": 7}, {"id": ["ftjob-0"]}, {"id": ""}, {"id": "\ud83d"}, {"status": None}, {"status": {}},
        {"status": "failed", "error": "a text"}, {"status": "failed", "error": ["x"]},
        {"status": "succeeded", "fine_tuned_model": {"name": "x"}},
        {"status": "succeeded", "fine_tuned_model": "half a pair \ud83d"}, {"fine_tuned_model": 7},
    ],
)  # fmt: skip
def test_odd_fields_of_a_job_end_nothing_with_a_traceback(tmp_path, fields):
    body = {"id": "ftjob-0", "object": "fine_tuning.job", "status": "running", **fields}
    for route in ("job", "POST /v1/fine_tuning/jobs"):
        with serve(spoilt(Api(), route, lambda: Reply(200, body))) as server:
            try:
                train(server, tmp_path / route[:3], tries=1, ready_within_s=0.0, patience_s=0.0)
            except RestReactError as error:
                assert str(error).encode().decode() == str(error)


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("route", ROUTES)
def test_a_redirect_does_not_carry_the_examples_along(tmp_path, route, status):
    with serve(Api().answer) as other:
        redirect = Reply(status, b"", {"location": f"{other.url}/v1/files?key=hunter2"})
        told = f"HTTP {status}: .*redirects to {other.url}.*; set finetune.base_url to"
        said: list[str] = []
        with serve(spoilt(Api(), route, lambda: redirect)) as server:
            try:
                train(server, tmp_path, on_event=said.append)
            except UsageError as error:
                said.append(str(error))
        assert any(re.search(told, line) for line in said)
        assert ("hunter2" in "".join(said), other.requests) == (False, [])


@pytest.mark.parametrize("route", ["POST /v1/files", "job"])
def test_a_reply_without_end_is_left_at_its_limit(tmp_path, route):
    with (
        serve(spoilt(Api(), route, lambda: Reply(200, endless()))) as server,
        pytest.raises(OutsideFault, match="than 64 MB"),
    ):
        train(server, tmp_path)


def test_a_reply_that_trickles_has_one_limit_for_all_of_it(tmp_path):
    started = time.monotonic()
    with (
        serve(spoilt(Api(), "job", lambda: Reply(200, endless(part=b" ", wait_s=0.05)))) as server,
        pytest.raises(OutsideFault, match=r"no complete reply within 0\.5 s.*\(after 2 tries\)"),
    ):
        train(server, tmp_path, timeout_s=0.5, tries=2)
    assert time.monotonic() - started < 20
