import asyncio
import json
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from rest_react.records import Hit
from rest_react.remote.cache import Cache, cache_key
from rest_react.search.html_text import clean_html
from rest_react.search.pages import PageReader, is_public, main_text
from tests.loopback import Reply, Request, serve

PAGE = Reply(200, b"<html><body><p>Ostrim was  founded\nby Ada Mell.</p></body></html>", {"content-type": "text/html"})


class Found:
    """A search that always finds these addresses."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = sources

    async def search(self, query: str, k: int) -> list[Hit]:
        return [Hit(source, "Ostrim", "snippet") for source in self.sources[:k]]


def results(*sources: str, most: int = 99, **limits: Any) -> list[Hit]:
    """These results. Addresses of this machine are allowed, unless a test says otherwise."""
    given = {
        "allowed": lambda _: True, "any_port": True, "characters": 25, "timeout_s": 2.0,
        "extract": lambda page: clean_html(page.decode()),
    }  # fmt: skip
    reader = PageReader(Found(sources), most=most, **{**given, **limits})
    return asyncio.run(reader.search("q", 99))


def snippets(*sources: str, **limits: Any) -> list[str]:
    """What is shown of these results."""
    return [hit.snippet for hit in results(*sources, **limits)]


def test_characters_that_no_reader_sees_are_left_out_of_a_page(tmp_path: Path) -> None:
    hidden = "Os\u200btrim\u202e was\x07 founded \U000e0041by\u00a0Ada Mell."
    plain = Reply(200, hidden.encode(), {"content-type": "text/plain; charset=utf-8"})
    cache = Cache(tmp_path)
    with serve(lambda _: plain) as server:
        assert snippets(f"{server.url}/a", cache=cache) == ["Ostrim was founded by Ada"]
        cache.keep(cache_key("page", f"{server.url}/b"), [json.dumps(hidden)])  # of an earlier version
        assert snippets(f"{server.url}/b", cache=cache) == ["Ostrim was founded by Ada"]
    with serve(lambda _: Reply(200, b"\xe2\x80\x8b", {"content-type": "text/plain"})) as server:
        assert snippets(server.url) == ["snippet"]


def test_the_pages_of_the_first_results_are_read_and_cut() -> None:
    with serve(lambda _: PAGE) as server:
        shown = snippets(*(f"{server.url}/{i}" for i in range(3)), most=2)
    assert shown == ["Ostrim was founded by Ada"] * 2 + ["snippet"]
    assert sorted(request.path for request in server.requests) == ["/0", "/1"]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Reply(404, b"gone"), "HTTP 404"),
        (Reply(302, b"", {"location": "http://127.0.0.1:1/"}), "redirects are not followed"),
        (Reply(200, b"%PDF-1.7", {"content-type": "application/pdf"}), "content type application/pdf"),
        (Reply(200, b"x" * 3_000_000, {"content-type": "text/html"}), "larger than 2 MB"),
        (Reply(200, b"<p> </p>", {"content-type": "text/html; charset=utf-8"}), "no main text"),
        (Reply(200, b"late", {"content-type": "text/html"}, delay_s=9.0), "no complete reply within 0.2 s"),
        (Reply(hang_up=True), "no complete reply"),
    ],
)
def test_a_page_that_cannot_be_read_keeps_its_snippet_and_is_named_once(
    page: Reply, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(lambda _: page) as server:
        assert snippets(f"{server.url}/a", f"{server.url}/b", timeout_s=0.2 if page.delay_s else 30.0) == [
            "snippet",
            "snippet",
        ]
    said = capsys.readouterr()
    assert (said.out + said.err).count("note: agent.read_pages") == 1
    assert reason in " ".join((said.out + said.err).split())
    assert len(server.requests) <= 4  # aiohttp repeats a GET whose connection was lost


def test_a_result_says_whether_the_page_behind_it_was_read() -> None:
    with serve(lambda request: Reply(503, b"later") if request.path == "/b" else PAGE) as server:
        urls = [f"{server.url}/{name}" for name in "abc"]
        assert results(*urls, most=2) == [
            Hit(urls[0], "Ostrim", "Ostrim was founded by Ada", "read"),
            Hit(urls[1], "Ostrim", "snippet", "unread"),
            Hit(urls[2], "Ostrim", "snippet"),
        ]


def test_a_cache_keeps_the_pages_that_were_read_and_no_others(tmp_path: Path) -> None:
    answers = [Reply(503, b"later"), PAGE, PAGE]
    with serve(lambda _: answers.pop(0)) as server:
        page, cache = f"{server.url}/a", Cache(tmp_path)
        assert snippets(page, cache=cache) == ["snippet"]
        assert snippets(page, cache=cache) == ["Ostrim was founded by Ada"]
        assert snippets(page, cache=cache, characters=6, replay=True) == ["Ostrim"]
        assert snippets(page, f"{server.url}/b", cache=cache, replay=True) == ["Ostrim was founded by Ada", "snippet"]
    assert len(server.requests) == 2


def test_no_request_reaches_this_machine_or_a_private_network() -> None:
    def answer(request: Request) -> Reply:
        return PAGE

    with serve(answer) as server:
        port = server.url.rpartition(":")[2]
        names = (
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "\uff11\uff12\uff17.0.0.1",  # full width
            "127\u30020\u30020\u30021",  # ideographic full stops
            "\u2460\u2461\u2466.0.0.1",  # digits in circles
        )
        shown = snippets(*(f"http://{name}:{port}/" for name in names), allowed=is_public)
    assert (shown, server.requests) == (["snippet"] * len(names), [])


@pytest.mark.parametrize("url", ["http://a..b/", "http://./", f"http://{'a' * 70}.example/", "http://\u2488.example/"])
def test_a_name_that_no_host_can_have_keeps_the_snippet(url: str) -> None:
    assert snippets(url) == ["snippet"]


def test_a_page_whose_text_takes_too_long_to_find_keeps_its_snippet() -> None:
    with serve(lambda _: PAGE) as server:
        assert snippets(server.url, timeout_s=0.3, extract=lambda _: time.sleep(0.8) or "text") == ["snippet"]


def test_other_schemes_ports_and_users_are_refused() -> None:
    with serve(lambda _: PAGE) as server:
        url = server.url
        odd = [
            f"{url}/",
            url.replace("http", "ftp"),
            url.replace("//", "//me:pw@"),
            "p00017",
            "http://[::1",
            "file:///etc",
        ]
        assert snippets(*odd, any_port=False) == ["snippet"] * len(odd)
        assert snippets(odd[2]) == ["snippet"]
    assert server.requests == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.0.0.1", False), ("192.168.1.1", False), ("172.16.0.1", False), ("100.64.0.1", False),
        ("169.254.169.254", False), ("127.0.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False),
        ("::1", False), ("fe80::1", False), ("fd00::1", False), ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("ff0e::1", False), ("::7f00:1", False),
        ("fec0::1", False), ("::ffff:0:7f00:1", False), ("2001:0:53aa:64c::", False), ("64:ff9b:1::7f00:1", False),
    ],
)  # fmt: skip
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


def test_the_main_text_of_a_page_leaves_out_its_menu() -> None:
    story = "Ostrim was founded by Ada Mell, who came from Dravol with nine companions and a mule. " * 6
    page = f"<html><body><nav><a href='/'>Home</a></nav><article><h1>Ostrim</h1><p>{story}</p></article></body></html>"
    text = main_text(page.encode())
    assert "founded by Ada Mell" in text and "Home" not in text
    assert main_text(b"") == main_text(b"<html></html>") == ""
