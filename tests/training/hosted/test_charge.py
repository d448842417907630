import itertools
import json

import pytest

from rest_react.errors import BudgetReached, DiskError, OutsideFault, UsageError
from tests.clients import Killed
from tests.loopback import Reply, serve
from tests.power_cut import recorded
from tests.training.hosted.tuning_api import Api, purse, spent, train


def test_the_cost_of_training_is_printed_and_reserved_before_anything_is_sent(tmp_path):
    told, tokens = [], 21 * 3
    with serve(Api().answer) as server:
        with pytest.raises(BudgetReached, match=r"max_usd=0\.006 .*: 0\.0000 US dollars .* 0\.0063"):
            train(server, tmp_path / "a", meter=purse(tmp_path, max_usd=0.006), on_event=told.append)
        assert told == ["3 examples, about 21 tokens, 3 epochs: about 0.01 US dollars"]
        assert server.requests == []
        for _ in range(2):
            train(server, tmp_path / "a", meter=purse(tmp_path, max_usd=0.0064))
    assert spent(tmp_path) == {"calls": 1, "prompt_tokens": tokens, "completion_tokens": 0}


def test_the_tokens_that_the_service_counted_are_charged(tmp_path):
    api = Api()

    def answer(request):
        reply = api.answer(request)
        return Reply(200, reply.body | {"trained_tokens": 630}) if "ftjob-0" in request.path.split("/") else reply

    with serve(answer) as server:
        train(server, tmp_path, meter=purse(tmp_path, max_usd=0.0064))
        train(server, tmp_path, meter=purse(tmp_path, max_usd=0.0064))
    assert spent(tmp_path) == {"calls": 1, "prompt_tokens": 630, "completion_tokens": 0}


def test_after_a_kill_at_any_moment_the_tokens_are_charged_once(tmp_path):
    for moment in itertools.count(1):
        api, folder, flushes = Api(["succeeded"]), tmp_path / str(moment), itertools.count(1)

        def answer(request, api=api):
            reply = api.answer(request)
            return Reply(200, reply.body | {"trained_tokens": 30}) if "ftjob-0" in request.path.split("/") else reply

        def watch(moment=moment, flushes=flushes):
            if next(flushes) == moment:
                raise Killed

        with serve(answer) as server, recorded(folder) as disk:
            disk.watch = watch
            try:
                train(server, folder, meter=purse(folder))
            except Killed:
                train(server, folder, meter=purse(folder))
            assert spent(folder) == {"calls": 1, "prompt_tokens": 30, "completion_tokens": 0}
        if next(flushes) <= moment:
            break
    assert moment > 10


def test_a_training_that_is_refused_costs_nothing(tmp_path):
    refusal = Reply(400, {"error": {"message": "base-model cannot be tuned", "param": "model"}})
    api = Api()
    with (
        serve(lambda request: refusal if request.method == "POST" else api.answer(request)) as server,
        pytest.raises(UsageError, match="cannot be tuned"),
    ):
        train(server, tmp_path, meter=purse(tmp_path, max_usd=0.0064))
    assert spent(tmp_path) == {"calls": 1, "prompt_tokens": 0, "completion_tokens": 0}
    with serve(api.answer) as server:
        train(server, tmp_path, meter=purse(tmp_path, max_usd=0.0064))
    assert spent(tmp_path)["prompt_tokens"] == 63


@pytest.mark.parametrize(("counted", "left"), [({}, 0), ({"trained_tokens": 17}, 17)])
def test_a_job_that_failed_costs_what_the_service_counted_and_the_next_one_is_charged_anew(tmp_path, counted, left):
    api = Api(["failed"])
    api.error = {"code": "invalid_file", "message": "row 2 is too long"}

    def answer(request):
        reply = api.answer(request)
        return Reply(reply.status, reply.body | counted) if request.path.startswith("/v1/fine_tuning/jobs/") else reply

    with serve(answer) as server:
        for _ in range(2):  # the same command again
            with pytest.raises(UsageError, match=r"row 2 is too long.* delete .*job\.json"):
                train(server, tmp_path, meter=purse(tmp_path, max_usd=0.01))
            assert spent(tmp_path)["prompt_tokens"] == left
        (tmp_path / "job.json").unlink()
        api.statuses, api.error = ["succeeded"], None
        counted.clear()
        train(server, tmp_path, meter=purse(tmp_path, max_usd=0.01))
    assert spent(tmp_path)["prompt_tokens"] == left + 63


def test_a_job_that_may_run_keeps_its_note_and_its_charge_if_the_service_refuses_to_list_jobs(tmp_path):
    api, expired = Api(["running"]), [False]
    refusal = Reply(401, {"error": {"message": "the key has expired"}})
    with serve(lambda request: refusal if expired[0] else api.answer(request)) as server:
        with pytest.raises(OutsideFault):
            train(server, tmp_path, patience_s=0.0, meter=purse(tmp_path, max_usd=0.01))
        note = json.loads((tmp_path / "job.json").read_text()) | {"job": ""}  # killed before the id was saved
        (tmp_path / "job.json").write_text(json.dumps(note))
        expired[0] = True
        with pytest.raises(UsageError, match="the key has expired"):
            train(server, tmp_path, meter=purse(tmp_path, max_usd=0.01))
        assert json.loads((tmp_path / "job.json").read_text()) == note
        assert spent(tmp_path)["prompt_tokens"] == 63
        expired[0], api.statuses = False, ["succeeded"]
        train(server, tmp_path, meter=purse(tmp_path, max_usd=0.01))
    assert (len(api.jobs), spent(tmp_path)["calls"]) == (1, 1)


def test_a_job_whose_id_could_not_be_written_stays_charged_and_is_found_again(tmp_path):
    api, note, kept = Api(), tmp_path / "job.json", tmp_path / "kept.json"

    def put_a_folder_in_the_way(what):
        if what == "jobs":
            note.rename(kept)
            note.mkdir()

    api.before_answer = put_a_folder_in_the_way
    with serve(api.answer) as server:
        with pytest.raises(DiskError, match=r"job\.json"):
            train(server, tmp_path, meter=purse(tmp_path, max_usd=0.01))
        note.rmdir()
        kept.rename(note)
        assert json.loads(note.read_text())["file"] == "file-0"
        train(server, tmp_path, meter=purse(tmp_path, max_usd=0.01))
    assert (len(api.jobs), spent(tmp_path)["calls"]) == (1, 1)
