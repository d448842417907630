"""Short reasons: messages of one kind have the same one. The exit statuses are those of docs/run_folder.md."""

import pytest

from rest_react import errors
from rest_react.errors import short_reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("qwen2.5:7b at http://127.0.0.1:11434/v1: HTTP 503: overloaded (after 6 tries)", "qwen2.5:7b: HTTP 503"),
        ("gpt-4.1-mini at https://api.openai.com/v1: refused (content_filter)", "gpt-4.1-mini: refused"),
        ("gemini-2.5-flash: the prompt was blocked (SAFETY)", "gemini-2.5-flash: the prompt was blocked"),
        ("duckduckgo: RatelimitException: 202 (after 5 tries)", "duckduckgo: RatelimitException"),
        ("vllm died at start with exit code 3:\nINFO 11-23 12:01:02 engine", "vllm died at start with exit code 3"),
        (f"ft:{'x' * 80} at https://api.openai.com/v1: HTTP 503: busy", f"ft:{'x' * 57}: HTTP 503"),
        ("https://example.org/retrieve: no whole reply (reset)", "https://example.org/retrieve: no whole reply"),
        ("no usable sample at step 3 (decide): not Python; not Python", "no usable sample"),
        ("context too long: 2000 prompt tokens and 128 to come, 2048 fit", "context too long"),
        ("refused", "refused"),
    ],
)
def test_the_short_reason_has_no_details_and_no_address(message: str, reason: str) -> None:
    assert short_reason(message) == reason


def test_the_exit_status_tells_what_to_do_next() -> None:
    assert {kind.__name__: kind.exit_status for kind in vars(errors).values() if hasattr(kind, "exit_status")} == {
        "RestReactError": 1,
        "UsageError": 2,
        "ConfigError": 2,
        "RunFolderError": 2,
        "DiskError": 2,
        "ModelFault": 1,
        "OutsideFault": 3,
        "StageIncomplete": 3,
        "BudgetReached": 4,
    }
