"""Passwords and keys in addresses: refused in settings, used in a proxy's address, and never written or printed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.config.cli import _secrets_of_files
from rest_react.config.compose import compose
from rest_react.config.load import secrets_in
from rest_react.errors import ConfigError, OutsideFault, UsageError
from rest_react.llm.openai_api.openai_compatible import OpenAICompatible
from rest_react.text_safety.redaction import redact, redact_reply, secret_in
from rest_react.training.hosted import HostedTrainer
from tests.loopback import Reply, serve

PASSWORD = "hunter2-Zx93"
SMOKE = ("experiment=smoke", "iteration=0", "start=prompted", "tracking=none")
ASKED = (
    "policy=openai", "policy.model=m", "policy.api_key_env=null", "policy.tries=1",
    "policy.price={input: 0, output: 0}", "policy.requests_per_minute=null", "finetune=hosted",
    "finetune.api_key_env=null", "finetune.price={input: 0, output: 0}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see http://me:pw@host:80/v1", "see http://***@host:80/v1"),
        ("see https://token@host", "see https://***@host"),
        ("'http://me:p@w@host/v1'", "'http://***@host/v1'"),
        ("http://me:p/w@host/v1", "http://***@host/v1"),
        ("http://me:p#w@host/v1", "http://***@host/v1"),
        ("https://host/v1?api_key=abc&n=1", "https://host/v1?api_key=***&n=1"),
        ("https://host/v1?n=1&key=abc", "https://host/v1?n=1&key=***"),
        ("https://host/f?X-Amz-Signature=abc", "https://host/f?X-Amz-Signature=***"),
        ("https://host/f?access_token=abc'", "https://host/f?access_token=***'"),
        ("{'Proxy-Authorization': 'Basic bWU6cHc='}", "{'Proxy-Authorization': 'Basic ***'}"),
        ("https://host:8000/v1/@model", "https://host:8000/v1/@model"),
        ("https://host/v1?api-version=2024-10-21&author=me", "https://host/v1?api-version=2024-10-21&author=me"),
        ("Basic settings: me@host", "Basic settings: me@host"),
        ("half a pair: \ud83d", "half a pair: ?"),
    ],
)
def test_only_secrets_in_addresses_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert str(OutsideFault(text)) == shown
    assert bool(secret_in(text)) == ("***@" in shown or "=***" in shown)


@given(st.text(), st.sampled_from(["http://me:hunter2@host/v1", "https://host/?key=hunter2"]), st.text())
def test_secrets_are_redacted_whatever_text_surrounds_the_address(before: str, address: str, after: str) -> None:
    shown = redact(f"{before} {address} {after}")
    assert "hunter2" not in shown
    assert redact(shown) == shown


def test_a_proxy_s_password_is_redacted_in_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter%232@proxy:3128")
    said = "me:hunter%232 hunter%232 hunter#2 bWU6aHVudGVyIzI="
    assert redact(said) == "*** *** *** ***"


@pytest.mark.parametrize(
    ("override", "problem", "action"),
    [
        (
            f"policy.base_url=https://me:{PASSWORD}@host/v1",
            "policy.base_url: holds a user name or a password",
            "policy.api_key_env",
        ),
        (
            f"finetune.base_url=me:{PASSWORD}@host/v1",
            "finetune.base_url: holds a user name or a password",
            "finetune.api_key_env",
        ),
        (
            f"policy.base_url='https://host/v1?api_key={PASSWORD}'",
            "policy.base_url: holds a key",
            "policy.api_key_env",
        ),
        (
            f"tracking.project=https://me:{PASSWORD}@host",
            "tracking.project: holds a user name or a password",
            "remove it from the address",
        ),
        (
            f"policy.extra_body={{gateway: 'http://me:{PASSWORD}@host'}}",
            "policy.extra_body.gateway: holds a user name or a password",
            "remove it from the address",
        ),
        (f"policy.extra_body={{api_key: {PASSWORD}}}", "policy.extra_body.api_key: holds a key", "api_key_env"),
        (
            f"+search.headers={{Authorization: 'Bearer {PASSWORD}'}}",
            "search.headers.Authorization: holds a key",
            "{key} stands for it",
        ),
        *(
            (f"+search.{place}={{{name}: {PASSWORD}}}", f"search.{place}.{name}: holds a key", "{key} stands for it")
            for place, names in {
                "headers": ("Ocp-Apim-Subscription-Key", "x-rapidapi-key", "X-Token", "Cookie"),
                "parameters": ("key", "token", "access_key", "apiKey"),
            }.items()
            for name in names
        ),
    ],
)
def test_a_setting_with_a_secret_is_refused_without_showing_it(override: str, problem: str, action: str) -> None:
    with pytest.raises(ConfigError) as told:
        compose([*SMOKE, *ASKED, override])
    (line,) = told.value.problems
    assert line.startswith(problem)
    assert action in line
    assert PASSWORD not in line


def test_a_header_or_a_parameter_may_name_a_key_that_stands_elsewhere_and_a_key_to_sort_by() -> None:
    search = {"headers": {"X-Token": "{key}"}, "parameters": {"key": "{key}", "sort_key": "date", "keys": "a"}}
    assert list(secrets_in({"search": search})) == []
    assert [told.split(":")[0] for told in secrets_in({"headers": {"X-Token": PASSWORD}})] == ["headers.X-Token"]


def test_a_secret_behind_an_interpolation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVER", f"http://me:{PASSWORD}@host/v1")
    with pytest.raises(ConfigError, match=r"policy\.base_url: holds a user name or a password"):
        compose([*SMOKE, *ASKED, "policy.base_url=${oc.env:MY_SERVER}"])


def test_a_client_refuses_an_address_with_a_password() -> None:
    with pytest.raises(UsageError, match="base_url: holds a user name or a password") as told:
        OpenAICompatible("m", base_url=f"http://me:{PASSWORD}@host/v1", api_key_env=None)
    assert PASSWORD not in str(told.value)
    with pytest.raises(UsageError, match="base_url: holds a key"):
        HostedTrainer(base_url=f"http://host/v1?key={PASSWORD}", api_key_env=None)


def run(where: Path, *arguments: str, module: str = "rest_react.run", **environment: str) -> tuple[int, str]:
    """The exit status, and all that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False, cwd=where, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def files_with(folder: Path, secret: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "arguments",
    [
        (f"policy.base_url=http://me:{PASSWORD}@127.0.0.1:9/v1",),
        ("-m", f"policy.base_url=http://127.0.0.1:9/v1,http://me:{PASSWORD}@127.0.0.1:9/v1"),
        ("--run", f"policy.base_url=http://me:{PASSWORD}@127.0.0.1:9/v1"),
        ("--cfg", "job", f"policy.base_url=http://me:{PASSWORD}@127.0.0.1:9/v1"),
        ("nonsense", f"no.such.setting=http://me:{PASSWORD}@127.0.0.1:9/v1"),
    ],
)
def test_a_password_in_a_command_is_neither_written_nor_printed(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    status, printed = run(tmp_path, *SMOKE, *ASKED, *arguments)
    assert status == 2
    assert "holds a user name or a password" in printed
    assert PASSWORD not in printed
    assert list(tmp_path.rglob("*")) == []


def test_a_password_in_a_user_s_configuration_file_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "experiment" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(f"# @package _global_\npolicy:\n  base_url: http://me:{PASSWORD}@127.0.0.1:9/v1\n")
    (tmp_path / "work").mkdir()
    for option in (["--config-dir", f"{tmp_path}/mine"], [f"--config-dir={tmp_path}/mine"]):
        status, printed = run(tmp_path / "work", *option, *SMOKE, *ASKED, "+experiment@more=mine")
        assert (status, PASSWORD in printed, list((tmp_path / "work").iterdir())) == (2, False, [])
        assert f"{mine}: holds a user name or a password" in printed


def test_a_key_in_a_user_s_configuration_file_is_found(tmp_path: Path) -> None:
    for name, text in (
        ("mine", f"extra_body: {{api_key: {PASSWORD}, n: 1}}\nbase_url: ???"),
        ("searx", f"headers:\n  X-Api-Key: {PASSWORD}"),
        ("good", "headers: {X-Api-Key: '{key}'}\napi_key_env: MY_KEY\nmax_tokens: 5"),
        ("broken", "a: [b"),
    ):
        (tmp_path / f"{name}.yaml").write_text(text)
    told = list(_secrets_of_files(["--config-dir", str(tmp_path)]))
    assert [line.partition(" holds a key")[0] for line in told] == [
        f"{tmp_path}/mine.yaml: extra_body.api_key:",
        f"{tmp_path}/searx.yaml: headers.X-Api-Key:",
    ]
    assert PASSWORD not in "".join(told)


def test_a_proxy_s_password_is_used_and_neither_written_nor_printed(tmp_path: Path) -> None:
    def refuse(request: object) -> Reply:
        sent = dict(request.headers)["proxy-authorization"]  # type: ignore[attr-defined]
        return Reply(503, f"{PASSWORD} of http://me:{PASSWORD}@proxy, {sent}".encode())

    with serve(refuse) as proxy:
        address = proxy.url.replace("http://", f"http://me:{PASSWORD}@")
        status, printed = run(
            tmp_path, *SMOKE, *ASKED, "policy.base_url=http://model.example/v1", "output=out",
            http_proxy=address, HTTP_PROXY=address, no_proxy="", NO_PROXY="",
        )  # fmt: skip
    assert {request.path for request in proxy.requests} == {"http://model.example/v1/chat/completions"}
    assert (status, "***" in printed, PASSWORD in printed) == (3, True, False)
    coded = proxy.requests[0].headers["proxy-authorization"].removeprefix("Basic ")
    assert coded not in printed
    assert files_with(tmp_path, "*** of http://***@proxy")  # the fault of each trajectory
    assert files_with(tmp_path, PASSWORD) == files_with(tmp_path, coded) == []


API_KEY = "sk-proj-Ab12Cd34Ef56Gh78"


@pytest.mark.parametrize(
    "shown",
    [
        API_KEY,
        "sk-proj-****************Gh78",
        "sk-...Gh78",
        "sk-proj-Ab12...",
        "88dc28d0f030c55ed4ab77ed8faf098196cb1c05",
    ],
)
def test_a_key_and_its_parts_are_redacted_in_quoted_replies(shown) -> None:
    assert redact_reply(f"Incorrect API key provided: {shown}. Get one.", API_KEY).startswith(
        "Incorrect API key provided: ***"
    )
    assert redact_reply(f"--{shown}--", API_KEY) != f"--{shown}--"
    assert redact_reply("Wait... a stop at 10...20 is fine", API_KEY) == "Wait... a stop at 10...20 is fine"


@pytest.mark.parametrize("part", ["a", "a-", "a-b...", "*a", "a:", "-", "sk-"])
def test_a_long_reply_without_spaces_is_read_at_once(part) -> None:
    started = time.process_time()
    redact_reply(part * (200_000 // len(part)), API_KEY)
    assert time.process_time() - started < 5  # once from each character takes minutes


@pytest.mark.parametrize("part", ["http://a:", "://a:b", "://a:b/", "http://a@"])
def test_a_long_text_of_addresses_is_redacted_at_once(part) -> None:
    started = time.process_time()
    redact(part * (200_000 // len(part)))
    assert time.process_time() - started < 3  # to the end from each address takes 7 s
