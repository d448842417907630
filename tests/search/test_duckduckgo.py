import asyncio

import pytest
from ddgs.engines import ENGINES

from rest_react.errors import OutsideFault, UsageError
from rest_react.records import Hit
from rest_react.remote import together
from rest_react.search.web import DuckDuckGo
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
    """Points the real engine of ddgs, its HTTP client and its parser included, at a server of the test's."""

    def point_at(server):
        monkeypatch.setattr(ENGINES["text"]["duckduckgo"], "search_url", f"{server.url}/html/")

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


def test_no_results_are_an_empty_list_without_another_try(engine):
    with serve(lambda _: NOTHING) as server:
        engine(server)
        assert ask() == []
    assert len(server.requests) == 1


def test_an_empty_query_asks_nobody(engine):
    with serve(lambda _: OSTRIM) as server:
        engine(server)
        assert ask("  ") == []
    assert server.requests == []


def test_the_exception_that_says_no_results_is_an_empty_list(monkeypatch):
    from ddgs.exceptions import DDGSException

    def search(self, query, **_):
        raise DDGSException("No results found.")

    monkeypatch.setattr(ENGINES["text"]["duckduckgo"], "search", search)
    assert ask() == []


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


def test_searches_keep_to_the_rate_by_the_servers_own_count(engine):
    with serve(lambda _: NOTHING) as server:
        engine(server)

        async def main():
            door = DuckDuckGo(requests_per_minute=600)
            await together(door.search("q", 3) for _ in range(5))

        asyncio.run(main())
    assert server.requests[-1].at - server.requests[0].at >= 4 * 0.1 - 0.05


def test_an_unknown_backend_is_told_with_those_there_are():
    with pytest.raises(UsageError, match=r"no text engine 'altavista'; it has .*duckduckgo"):
        ask(backend="altavista")
