import asyncio
import time
from pathlib import Path

import pytest
from ddgs.engines import ENGINES

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import ModelFault, OutsideFault, UsageError
from rest_react.records import Hit
from rest_react.remote.retry import TryAgain
from rest_react.search.engine_settings import SearchContext
from rest_react.search.web import DuckDuckGo, DuckDuckGoSettings, _on_same_host, _Page
from tests.loopback import Reply, serve

HTML = {"content-type": "text/html; charset=utf-8"}
NOTHING = Reply(200, b"<html><body><div class='no-results'>No results.</div></body></html>", HTML)


def page(*results):
    divs = "".join(
        f"<div class='links result__body'><h2>{title}</h2><a href='{url}'>{text}</a></div>"
        for url, title, text in results
    )
    return Reply(200, f"<html><body>{divs}</body></html>".encode(), HTML)


OSTRIM = page(
    ("https://x.example/1", "Ostrim", "Founded by <b>Ada</b> Mell &amp;amp; sons"),
    ("https://duckduckgo.com/y.js?ad", "Buy Ostrim", "an advertisement"),
    ("https://x.example/2", "Other", "Other text"),
)


@pytest.fixture
def engine(monkeypatch):
    """Makes a real engine of ddgs, with its parser, request a server of the test."""

    def point_at(server, name="duckduckgo"):
        monkeypatch.setattr(ENGINES["text"][name], "search_url", f"{server.url}/html/")

    return point_at


def ask(query="Ostrim founder", k=3, **settings):
    settings = {"tries": 3, "first_wait_s": 0.001, "requests_per_minute": None, **settings}
    return asyncio.run(DuckDuckGo(**settings).search(query, k))


def test_a_page_of_results_becomes_clean_hits_without_advertisements(engine):
    with serve(lambda _: OSTRIM) as server:
        engine(server)
        hits = ask()
        assert ask(k=1) == hits[:1]
    assert hits == [
        Hit("https://x.example/1", "Ostrim", "Founded by Ada Mell & sons"),
        Hit("https://x.example/2", "Other", "Other text"),
    ]
    assert b"q=Ostrim" in server.requests[0].body


def test_no_results_give_an_empty_list_without_a_retry(engine):
    with serve(lambda _: NOTHING) as server:
        engine(server)
        assert ask() == []
    assert len(server.requests) == 1


def test_an_empty_query_sends_no_request(engine):
    with serve(lambda _: OSTRIM) as server:
        engine(server)
        assert ask("  ") == []
    assert server.requests == []


@pytest.mark.parametrize(
    "bad",
    [Reply(202, b"<html>slow down</html>", HTML), Reply(429, b"", HTML), Reply(503, b"", HTML), Reply(hang_up=True)],
    ids=["202", "429", "503", "hang-up"],
)
def test_an_outage_is_never_an_empty_list(engine, bad):
    count = iter(range(100))
    with serve(lambda _: OSTRIM if next(count) == 2 else bad) as server:
        engine(server)
        assert len(ask()) == 2
    with serve(lambda _: bad) as server:
        engine(server)
        with pytest.raises(OutsideFault, match=r"^duckduckgo: .*\(after 3 tries\)$"):
            ask()
    assert len(server.requests) >= 3


def test_a_query_that_is_refused_while_another_is_answered_is_the_model_s_fault(engine):
    with serve(lambda request: OSTRIM if len(request.body) < 200 else Reply(400, b"", HTML)) as server:
        engine(server)
        with pytest.raises(ModelFault, match=r"^duckduckgo: HTTP 400: the engine refused the query .*answers another"):
            ask("founder " * 100)
    assert len(server.requests) == 2


def test_searches_keep_the_rate_limit_as_measured_by_the_server(engine):
    with serve(lambda _: NOTHING) as server:
        engine(server)

        async def main():
            client = DuckDuckGo(requests_per_minute=600)
            await gather_or_cancel(client.search("q", 3) for _ in range(5))

        asyncio.run(main())
    assert server.requests[-1].at - server.requests[0].at >= 4 * 0.1 - 0.05


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'altavista'.*duckduckgo"):
        ask(backend="altavista")


@pytest.mark.parametrize(
    "bad",
    [
        b"<html><body></body></html>",
        b"",
        b"{}",
        b"<html><body><form id='challenge-form'>Unfortunately, bots use DuckDuckGo too.</form></body></html>",
        b"<html><style>.no-results {color: red}</style><script>var a = 'class=no-results'</script>Verify</html>",
        b"<html><body><div class='result results_links'>another layout</div></body></html>",
        page(("https://duckduckgo.com/y.js?ad", "Buy Ostrim", "an advertisement")).body,
        b"\xff\xfe<\x00h\x00",
        b"<div>" * 100_000,
    ],
)
def test_an_empty_page_without_a_notice_of_no_results_is_an_outage(engine, bad):
    with serve(lambda _: Reply(200, bad, HTML)) as server:
        engine(server)
        with pytest.raises(OutsideFault, match=r"^duckduckgo: the page .*\(after 2 tries\)$"):
            ask(tries=2)
    assert len(server.requests) == 2


def text_page(text):
    return Reply(200, f"<html><body><p>{text}</p></body></html>".encode(), HTML)


@pytest.mark.parametrize(
    ("backend", "nothing"),
    [
        ("duckduckgo", NOTHING),
        ("duckduckgo", Reply(200, b"<div class='result result--no-result'>No results.</div>", HTML)),
        ("brave", text_page("Not many great matches came back for your search: <b>q</b>")),
        ("mojeek", text_page("No pages found matching: <strong>q</strong>")),
    ],
)
def test_each_engine_has_its_own_notice_of_no_results(engine, monkeypatch, backend, nothing):
    with serve(lambda _: nothing) as server:
        engine(server, backend)
        monkeypatch.setattr(ENGINES["text"][backend], "build_payload", lambda *_, **__: {"q": "q"})
        assert ask(backend=backend) == []
    other = text_page("Prove that you are human")
    with serve(lambda _: other) as server:
        engine(server, backend)
        with pytest.raises(OutsideFault, match="does not say that there are none"):
            ask(backend=backend, tries=1)


@pytest.mark.parametrize(
    ("backend", "pages", "none"),
    [
        ("wikipedia", ['["q", [], [], []]'], True),
        ("wikipedia", ["{}"], False),
        ("wikipedia", ["[]"], False),
        ("wikipedia", ['["q", []]'], False),
        ("wikipedia", ['{"error": {"code": "ratelimited"}}'], False),
        ("grokipedia", ['{"results": []}'], True),
        ("grokipedia", ["{}"], False),
        ("grokipedia", ['{"error": "busy"}'], False),
        ("yahoo", ["<p>We did not find results for: <b>q</b></p>"], True),
        ("yahoo", ["<p>Consent</p>"], False),
        ("startpage", ["<form id='search'></form>", "<p class='no-results'>None</p>"], True),
        ("startpage", ["<form></form>", "<p>Verify</p>"], False),
    ],
)  # fmt: skip
def test_engines_with_fixed_urls_have_their_own_notice_of_no_results(monkeypatch, backend, pages, none):
    async def fetch(self, client, wanted):
        return _Page(next(left).encode())

    left = iter(pages)
    monkeypatch.setattr(DuckDuckGo, "_fetch", fetch)
    if none:
        assert ask(backend=backend, tries=1) == []
    else:
        with pytest.raises(OutsideFault, match="the page"):
            ask(backend=backend, tries=1)
    assert list(left) == []


def test_an_engine_with_two_pages_reads_both(monkeypatch):
    async def fetch(self, client, wanted):
        return _Page(next(left).encode())

    left = iter(
        [
            '["Ostrim", ["Ostrim"], [""], ["https://en.wikipedia.org/wiki/Ostrim"]]',
            '{"query": {"pages": {"1": {"extract": "Ostrim is a town."}}}}',
        ]
    )
    monkeypatch.setattr(DuckDuckGo, "_fetch", fetch)
    assert ask(backend="wikipedia") == [Hit("https://en.wikipedia.org/wiki/Ostrim", "Ostrim", "Ostrim is a town.")]


def test_an_empty_page_is_tried_again_and_makes_no_hit(monkeypatch):
    async def fetch(self, client, wanted):
        return _Page(next(left).encode())

    found = '["Ostrim", ["Ostrim"], [""], ["https://en.wikipedia.org/wiki/Ostrim"]]'
    left = iter([found, "\n", found, '{"query": {"pages": {"1": {"extract": "Ostrim is a town."}}}}'])
    monkeypatch.setattr(DuckDuckGo, "_fetch", fetch)
    assert ask(backend="wikipedia") == [Hit("https://en.wikipedia.org/wiki/Ostrim", "Ostrim", "Ostrim is a town.")]
    left = iter([found, ""])
    with pytest.raises(OutsideFault, match="wikipedia: the page is empty"):
        ask(backend="wikipedia", tries=1)


def settings(backend, region="us-en", timeout_s=20):
    return DuckDuckGoSettings("duckduckgo", backend, region, 30, timeout_s, 5)


def test_engines_that_split_the_region_need_a_country_and_a_language():
    def splits(engine):
        try:
            engine(timeout=1).build_payload("q", "us", "moderate", None)
        except ValueError:
            return True
        return False

    for backend, engine in ENGINES["text"].items():
        told = list(settings(backend, "us").problems("search"))
        assert [one.startswith("search.region: 'us' is not a country and a language") for one in told] == (
            [True] if splits(engine) else []
        ), backend
    wrong = [region for region in ("us-en", "us-", "-en", "zh-Hans-CN") if [*settings("brave", region).problems("s")]]
    assert wrong == ["us-", "-en", "zh-Hans-CN"]


def test_a_time_limit_under_a_second_is_not_rounded_to_none():
    client = settings("duckduckgo", timeout_s=0.5).open(SearchContext(None, Path("unused"), lambda _: ()))
    assert client._timeout_s == 1


def parts(first, part=b" ", wait_s=0.0):
    yield first
    while True:
        time.sleep(wait_s)
        yield part


def test_a_page_has_a_time_limit_and_a_size_limit(engine):
    started = time.monotonic()
    with serve(lambda _: Reply(200, parts(b"<html>", wait_s=0.05), HTML)) as server:
        engine(server)
        with pytest.raises(OutsideFault, match="no complete reply within 1 s"):
            ask(timeout_s=1, tries=1)
    assert time.monotonic() - started < 20
    with serve(lambda _: Reply(200, parts(b"<html>", b" " * 2**20), HTML)) as server:
        engine(server)
        with pytest.raises(OutsideFault, match="larger than 16 MB"):
            ask()
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_only_redirects_on_the_same_host_are_followed(engine, status):
    with serve(lambda _: OSTRIM) as other:
        away = Reply(status, b"", {"location": f"{other.url}/html/"})
        with serve(lambda _: away) as server:
            engine(server)
            with pytest.raises(OutsideFault, match=r"redirects the query to .*, which is refused"):
                ask(tries=1)
        assert other.requests == []
    moved = Reply(status, b"", {"location": "/moved"})
    with serve(lambda request: OSTRIM if request.path == "/moved" else moved) as server:
        engine(server)
        assert len(ask()) == 2


@pytest.mark.parametrize("location", ["http://[", "https://[::1", "//[x]/"])
def test_a_redirect_that_cannot_be_read_is_an_outage(engine, location):
    with serve(lambda _: Reply(302, b"", {"location": location})) as server:
        engine(server)
        with pytest.raises(OutsideFault, match=r"redirects the query to .*\(after 2 tries\)"):
            ask(tries=2)


def test_a_redirect_never_gives_up_encryption():
    assert _on_same_host("http://a.example/x", "https://a.example/y") == "https://a.example/y"
    with pytest.raises(TryAgain, match="which is refused"):
        _on_same_host("https://a.example/x", "http://a.example/y")


def test_an_interrupted_search_ends_at_once(engine):
    async def main():
        task = asyncio.create_task(DuckDuckGo(timeout_s=60).search("q", 3))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.wait([task])

    with serve(lambda _: Reply(200, b"", HTML, delay_s=30)) as server:
        engine(server)
        started = time.monotonic()
        asyncio.run(main())
        assert time.monotonic() - started < 20
