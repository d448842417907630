import asyncio
import time

import pytest

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault, OutsideFault, UsageError
from rest_react.records import Hit
from rest_react.search.retrieval_server import HttpSearch, read_hits
from tests.loopback import Reply, Server, serve


def item(contents, score=1.0, **fields):
    return {"document": {"contents": contents, **fields}, "score": score}


def result(*items):
    return Reply(200, {"result": [list(items)]})


def ask(server: Server, k=3, **settings):
    client = HttpSearch(f"{server.url}/retrieve", **{"tries": 3, "first_wait_s": 0.001, **settings})
    return asyncio.run(client.search("who founded Ostrim", k))


def test_documents_become_hits_best_first():
    items = [item('"Ostrim"\nOstrim is &amp; was a <b>town</b>.\nOld.', 9.5, id="17"), item("Ada Mell\nA founder.", 3)]
    with serve(lambda _: result(*items)) as server:
        hits = ask(server)
    assert hits == [Hit("17", "Ostrim", "Ostrim is & was a town. Old."), Hit("Ada Mell", "Ada Mell", "A founder.")]
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/retrieve")
    assert request.json == {"queries": ["who founded Ostrim"], "topk": 3, "return_scores": True}


def test_a_score_that_is_no_number_and_half_a_character_do_not_lose_the_documents():
    raw = b'{"result": [[{"document": {"contents": "T \\ud83d\\nA town", "id": 7}, "score": NaN}]]}'
    assert read_hits(raw) == [Hit("7", "T", "A town")]


def test_no_results_give_an_empty_list():
    with serve(lambda _: result()) as server:
        assert ask(server) == []


def test_no_more_than_k_hits_are_returned():
    with serve(lambda _: result(*(item(f"t{i}\nx") for i in range(9)))) as server:
        assert [hit.title for hit in ask(server, k=2)] == ["t0", "t1"]


@pytest.mark.parametrize(
    "bad",
    [
        Reply(429, b"slow", {"retry-after": "0.01"}),
        Reply(503, b"loading the index"),
        Reply(hang_up=True),
        Reply(200, b'{"result": [[{"doc'),
        Reply(200, {"result": []}),
        Reply(200, {"detail": "oops"}),
    ],
    ids=["429", "503", "hang-up", "cut-json", "no-list", "other-shape"],
)
def test_an_outage_is_retried_and_then_an_outside_fault(bad):
    count = iter(range(100))
    with serve(lambda _: result(item("t\nx")) if next(count) == 2 else bad) as server:
        assert ask(server) == [Hit("t", "t", "x")]
    with serve(lambda _: bad) as server, pytest.raises(OutsideFault, match=r"/retrieve: .*\(after 3 tries\)"):
        ask(server)
    assert len(server.requests) == 3


def test_an_incomplete_error_reply_is_an_outage():
    stalls = Reply(503, b"loading", {"content-length": "900"})
    with serve(lambda _: stalls) as server, pytest.raises(OutsideFault, match=r"HTTP 503: .*\(after 2 tries\)"):
        ask(server, timeout_s=0.3, tries=2)
    assert len(server.requests) == 2


def test_a_request_to_a_stalled_server_ends_at_the_timeout():
    started = time.monotonic()
    with (
        serve(lambda _: Reply(200, {}, delay_s=30)) as server,
        pytest.raises(OutsideFault, match=r"no complete reply within 0\.2 s"),
    ):
        ask(server, timeout_s=0.2, tries=2)
    assert time.monotonic() - started < 20


def test_retry_after_is_respected():
    count = iter(range(100))
    busy = Reply(429, b"", {"retry-after": "0.3"})
    with serve(lambda _: result() if next(count) else busy) as server:
        assert ask(server) == []
    first, second = server.requests
    assert second.at - first.at >= 0.3


def test_a_wrong_url_is_a_usage_error_and_one_bad_query_is_not():
    with serve(lambda _: Reply(404, b"not found")) as server, pytest.raises(UsageError, match=r"search\.url"):
        ask(server)
    with serve(lambda _: Reply(422, b"query too long")) as server, pytest.raises(OutsideFault, match="query too long"):
        ask(server)
    assert len(server.requests) == 2  # the second one is harmless
    too_long = Reply(422, b"query too long")
    answering = serve(lambda request: too_long if b"Ostrim" in request.body else result())
    with answering as server, pytest.raises(ModelFault, match=r"query too long \(the engine refuses this query"):
        ask(server)
    with pytest.raises(UsageError, match="file:///etc/hosts"):
        HttpSearch("file:///etc/hosts")


def test_searches_run_in_parallel_up_to_the_limit():
    with serve(lambda _: Reply(200, result().body, delay_s=0.02)) as server:

        async def main():
            client = HttpSearch(f"{server.url}/retrieve", max_in_flight=8)
            await gather_or_cancel(client.search("q", 3) for _ in range(40))

        asyncio.run(main())
    assert 4 <= server.most_in_flight <= 8


def test_a_local_server_is_requested_without_the_environment_s_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with serve(lambda _: result(item("Ostrim\nA town."))) as server:
        assert ask(server) == [Hit("Ostrim", "Ostrim", "A town.")]


def test_a_remote_server_is_requested_through_the_environment_s_proxy(monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)
    with serve(lambda _: result(item("Ostrim\nA town."))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert ask(Server("http://retrieval.example", [])) == [Hit("Ostrim", "Ostrim", "A town.")]
    assert [request.path for request in proxy.requests] == ["http://retrieval.example/retrieve"]


def parts(first=b"", part=b" ", wait_s=0.0, times=10**9):
    """A body that arrives in small parts until the client closes the connection."""
    yield first
    for _ in range(times):
        time.sleep(wait_s)
        yield part


def test_a_slow_reply_has_one_time_limit_in_total():
    started = time.monotonic()
    with (
        serve(lambda _: Reply(200, parts(b'{"result": [[', wait_s=0.05))) as server,
        pytest.raises(OutsideFault, match=r"no complete reply within 0\.3 s.*\(after 2 tries\)"),
    ):
        ask(server, timeout_s=0.3, tries=2)
    assert time.monotonic() - started < 20


def test_an_endless_reply_is_refused_at_the_size_limit():
    body = parts(b'{"result": [[', part=b" " * 2**20)
    with serve(lambda _: Reply(200, body)) as server, pytest.raises(OutsideFault, match="larger than 16 MB"):
        ask(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"result": [[{"document": {"contents": "\xff\xfe"}}]]}',
        b"[" * 200_000,
        b'{"result": ' + b"[" * 200_000,
        b'{"result": [[{"document": {"contents": "t"}, "more": ' + b'{"a":' * 200_000,
        b"{}",
        b"null",
        b"[]",
        b"",
        b'{"result": []}',
        b'{"result": null}',
        b'{"result": [null]}',
        b'{"result": [[null]]}',
        b'{"result": [[{}]]}',
        b'{"result": [[]], "error": "the index is not loaded"}',
        b'{"result": [[]], "detail": [{"msg": "busy"}]}',
        b"<html>Please prove that you are human</html>",
    ],
)
def test_a_reply_without_documents_is_an_outage_and_not_an_empty_result(body):
    with serve(lambda _: Reply(200, body)) as server, pytest.raises(OutsideFault, match=r"\(after 2 tries\)"):
        ask(server, tries=2)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_the_query_is_not_sent_to_it(status):
    with serve(lambda _: result(item("t\nx"))) as other:
        redirect = Reply(status, b"", {"location": f"{other.url}/retrieve"})
        message = rf"{other.url}, which is refused; set search\.url"
        with serve(lambda _: redirect) as server, pytest.raises(UsageError, match=message):
            ask(server)
        assert (len(server.requests), other.requests) == (1, [])


def test_an_interrupted_search_ends_at_once():
    async def main(url):
        task = asyncio.create_task(HttpSearch(url, timeout_s=60).search("q", 3))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait([task])

    with serve(lambda _: Reply(200, {}, delay_s=30)) as server:
        started = time.monotonic()
        asyncio.run(main(server.url))
        assert time.monotonic() - started < 20


def test_a_password_in_the_url_is_sent_and_not_shown():
    with serve(lambda _: Reply(400, b"no")) as server, pytest.raises(OutsideFault) as refused:
        asyncio.run(HttpSearch(server.url.replace("://", "://ada:secret@"), tries=1).search("q", 1))
    assert "secret" not in str(refused.value)
    assert server.requests[0].headers["authorization"].startswith("Basic ")
