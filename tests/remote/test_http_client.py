import asyncio

import pytest

from rest_react.errors import UsageError
from rest_react.remote.http_client import is_loopback, key_from, open_client, open_session, post, proxy_for
from rest_react.remote.retry import TryAgain
from tests.loopback import Reply, serve


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST.", "model.localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
@pytest.mark.parametrize("no_proxy", [None, "", "example.org"])
def test_no_proxy_is_asked_for_the_machine_s_own_addresses(monkeypatch, host, no_proxy):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    if no_proxy is None:
        monkeypatch.delenv("no_proxy", raising=False)
    else:
        monkeypatch.setenv("no_proxy", no_proxy)
    assert proxy_for(f"http://user:word@{host}:8000/v1") is None
    assert is_loopback(f"https://{host}/v1")
    for other in ("10.0.0.7", "model.example", "localhost.example"):
        assert proxy_for(f"http://{other}/v1") == "http://proxy.example:3128"


def test_the_sdk_s_client_asks_no_proxy_for_a_service_on_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    async def main(url):
        client = open_client(f"{url}/v1", "none", 5.0)
        try:
            return [model.id async for model in client.models.list()]
        finally:
            await client.close()

    with serve(lambda _: Reply(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})) as server:
        assert asyncio.run(main(server.url)) == ["m"]


@pytest.mark.parametrize("key", ["sk-1\nsk-2", "sk-\u201cquoted\u201d", "sk-\x00"])
def test_a_key_that_no_request_can_hold_is_an_error_that_does_not_show_it(monkeypatch, key):
    monkeypatch.setattr("os.environ", {"MY_KEY": key})
    with pytest.raises(UsageError, match="the key in MY_KEY has a line break") as caught:
        key_from("MY_KEY")
    assert "sk-" not in str(caught.value)


def test_a_request_to_a_name_that_no_host_can_have_is_not_billed():
    async def main():
        async with open_session("http://a..b/v1", 5.0) as session:
            await post(session, "http://a..b/v1", b"{}", what="m", most_mb=1)

    with pytest.raises(TryAgain, match="idna") as caught:
        asyncio.run(main())
    assert not caught.value.billed
