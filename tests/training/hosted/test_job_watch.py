import json
import time

import pytest

from rest_react.errors import OutsideFault, UsageError
from rest_react.records import ModelRef
from tests.loopback import Reply, serve
from tests.training.hosted.tuning_api import Api, posts, spoilt, train


def test_checkpoints_without_a_models_name_do_not_spoil_a_job_that_is_done(tmp_path):
    api, told = Api(["succeeded"]), []

    def answer(request):
        if request.path.partition("?")[0].endswith("/checkpoints"):
            return api.listing([{"id": "ck-1", "step_number": 10, "result_files": ["file-9"]}])
        return api.answer(request)

    with serve(answer) as server:
        model = train(server, tmp_path, on_event=told.append)
    assert model == ModelRef("ft:base-model:ftjob-0", "hosted", tuned=True)
    assert told[-1] == "checkpoint at step 10: ck-1"
    [kept] = [json.loads(line) for line in (tmp_path / "checkpoints.jsonl").read_text().splitlines()]
    assert (kept["id"], kept["result_files"]) == ("ck-1", ["file-9"])


def test_checkpoints_that_cannot_be_listed_do_not_hold_a_finished_job_back(tmp_path):
    api, told = Api(["succeeded"]), []

    def answer(request):
        refused = request.path.partition("?")[0].endswith("/checkpoints")
        return Reply(403, {"error": {"message": "no such right"}}) if refused else api.answer(request)

    with serve(answer) as server:
        model = train(server, tmp_path, on_event=told.append)
    assert model == ModelRef("ft:base-model:ftjob-0", "hosted", tuned=True)
    assert told[-1].startswith("the checkpoints could not be listed: ")
    assert not (tmp_path / "checkpoints.jsonl").exists()


@pytest.mark.parametrize("status", [500, 403])
def test_events_that_cannot_be_read_do_not_hold_a_job_back(tmp_path, status):
    told = []
    with serve(spoilt(Api(), "events", lambda: Reply(status, b"<html>oops</html>"))) as server:
        model = train(server, tmp_path, on_event=told.append, tries=1)
    assert model == ModelRef("ft:base-model:ftjob-0", "hosted", tuned=True)
    assert sum("the events could not be read: " in line and f"HTTP {status}" in line for line in told) == 1


def test_an_unknown_status_counts_as_running(tmp_path):
    api = Api(["validating_files", "paused_for_review", "defrosting", "succeeded"])
    with serve(api.answer) as server:
        assert train(server, tmp_path).name == "ft:base-model:ftjob-0"
    assert api.looks == 4


@pytest.mark.parametrize("status", ["SUCCEEDED", "JOB_STATE_COMPLETED"])
def test_success_in_another_spelling_is_success(tmp_path, status):
    api = Api(["RUNNING", status])

    def answer(request):
        reply = api.answer(request)
        if isinstance(reply.body, dict) and reply.body.get("status") == status:
            reply.body["fine_tuned_model"] = "ft:x"
        return reply

    with serve(answer) as server:
        assert train(server, tmp_path).name == "ft:x"


def test_a_paused_job_is_noted_once_and_waited_for(tmp_path):
    api, told = Api(["paused", "paused", "running", "succeeded"]), []
    with serve(api.answer) as server:
        assert train(server, tmp_path, on_event=told.append).name == "ft:base-model:ftjob-0"
    said = "job ftjob-0 is paused; resume it at the provider, or cancel it with finetune.cancel=true"
    assert told.count(said) == 1


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_ends_badly_is_explained_and_a_new_one_starts_only_on_request(tmp_path, status):
    api = Api(["running", status])
    api.error = {"code": "invalid_file", "message": "row 2 is too long", "param": "training_file"}
    with serve(api.answer) as server:
        for _ in range(2):
            with pytest.raises(UsageError, match=rf"ftjob-0 {status}: invalid_file: row 2 is too long.*job\.json"):
                train(server, tmp_path)
        assert len(api.jobs) == 1
        (tmp_path / "job.json").unlink()
        (tmp_path / "loss.jsonl").write_text('{"step": 99, "loss": 0.1}\n')  # of the job that ended
        before = (tmp_path / "events.jsonl").read_text()
        api.statuses, api.looks = ["succeeded"], 0
        assert train(server, tmp_path).name == "ft:base-model:ftjob-1"
    assert len(api.files) == 1
    assert before.startswith((tmp_path / "events.jsonl").read_text())
    assert not (tmp_path / "loss.jsonl").exists()


def test_a_job_longer_than_our_patience_is_owed_and_waited_for_again(tmp_path):
    api = Api(["running"])
    with serve(api.answer) as server:
        with pytest.raises(OutsideFault, match="ftjob-0 is 'running'"):
            train(server, tmp_path, patience_s=0.05)
        api.statuses = ["succeeded"]
        assert train(server, tmp_path).name == "ft:base-model:ftjob-0"
    assert posts(server) == ["/v1/files", "/v1/fine_tuning/jobs"]


def test_a_torn_last_event_is_repaired(tmp_path):
    api = Api(["running"])
    with serve(api.answer) as server:
        with pytest.raises(OutsideFault):
            train(server, tmp_path, patience_s=0.0)
        with (tmp_path / "events.jsonl").open("a") as file:
            file.write('{"id": "ev-1", "mess')
        api.statuses = ["succeeded"]
        train(server, tmp_path)
    events = [json.loads(line)["id"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert events == ["ev-0", "ev-1", "ev-2"]


def test_a_damaged_event_is_passed_over(tmp_path):
    api = Api(["running"])
    with serve(api.answer) as server:
        with pytest.raises(OutsideFault):
            train(server, tmp_path, patience_s=0.0)
        (tmp_path / "events.jsonl").write_bytes(b'{"id": "\xff"}\n{"id": "ev-0"}\n')
        api.statuses = ["succeeded"]
        train(server, tmp_path)
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in lines[1:]] == ["ev-0", "ev-1", "ev-2"]


def test_waits_for_events_grow_while_nothing_happens(tmp_path):
    api = Api(["running"], can_list=False)
    started = time.monotonic()
    with serve(api.answer) as server, pytest.raises(OutsideFault):
        train(server, tmp_path, poll_s=0.02, patience_s=0.6)
    assert time.monotonic() - started >= 0.6
    assert api.looks < 12


def test_odd_events_and_checkpoints_are_kept_as_far_as_they_can_be_read(tmp_path):
    odd = [{"id": "ev-1", "message": "half a pair \ud83d"}, {"id": "ev-0", "message": ["x"], "data": None}]
    with serve(spoilt(Api(["succeeded"]), "events", lambda: Api.listing(odd))) as server:
        told = []
        train(server, tmp_path, on_event=told.append)
    assert "half a pair ?" in told
    assert [json.loads(line)["id"] for line in (tmp_path / "events.jsonl").read_bytes().splitlines()] == [
        "ev-0",
        "ev-1",
    ]
