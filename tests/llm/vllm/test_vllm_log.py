from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.llm.vllm.vllm_log import can_never_start, cause, own_length

LONG_END = [
    "(APIServer pid=7) Traceback (most recent call last):",
    '(APIServer pid=7)   File "/v/bin/vllm", line 8, in <module>',
    *["(APIServer pid=7)     frame"] * 100,
    "(APIServer pid=7) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    "UserWarning: resource_tracker: There appear to be 1 leaked shared_memory objects to clean up at shutdown",
]
TOO_LONG = (
    "(APIServer pid=7) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
    "(APIServer pid=7)   Value error, User-specified max_model_len (16384) is greater than the derived max_model_len",
    "(APIServer pid=7)   (max_position_embeddings=2048 or model_max_length=None in model's config.json).",
)


def died(tmp_path: Path, *lines: str, started: bool = False, since: int = 0) -> str:
    log = tmp_path / "vllm.log"
    log.write_text("\n".join(lines) + "\n")
    return cause(log, since, started=started)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "(EngineCore_DP0 pid=12) ERROR 11-28 04:00:00 [core.py:700] ValueError: Free memory on device cuda:0",
            "ValueError: Free memory on device cuda:0",
        ),
        ("ERROR 05-23 09:31:47 [core.py:396] torch.OutOfMemoryError: CUDA out of memory.", None),
        ("(Worker_TP0 pid=3) (EngineCore pid=2) ImportError: libcudart.so.13: cannot open", None),
        ("vllm serve: error: unrecognized arguments: --no-such-flag", "vllm serve: error: unrecognized arguments"),
        ("OSError: no/model is not a local folder and is not a valid model identifier listed on", None),
    ],
)
def test_the_first_error_is_reported_though_a_hundred_lines_follow(tmp_path: Path, line: str, told: str | None) -> None:
    found = died(tmp_path, "INFO 11-28 04:00:00 [api_server.py:1] starting", line, *LONG_END)
    assert found.startswith(told or line.rpartition("] ")[2].rpartition(") ")[2])


def test_a_validation_error_is_told_with_what_it_is_about(tmp_path: Path) -> None:
    found = died(tmp_path, *TOO_LONG, *LONG_END)
    assert "1 validation error for ModelConfig Value error, User-specified max_model_len (16384)" in found
    assert (can_never_start(found), own_length(found)) == (True, 2048)


def test_an_earlier_start_s_errors_are_not_this_one_s(tmp_path: Path) -> None:
    earlier = "ValueError: of the start before\n"
    found = died(tmp_path, earlier.strip(), "ValueError: of this start", since=len(earlier))
    assert found == "ValueError: of this start"


def test_in_mid_run_the_refusal_of_one_request_is_not_what_ended_the_server(tmp_path: Path) -> None:
    refusal = "(APIServer pid=7) ERROR 11-28 04:00:00 [serving.py:1] ValueError: this prompt is too long"
    fatal = "(EngineCore_0 pid=9) ERROR 11-28 04:10:00 [core.py:7] EngineCore encountered a fatal error."
    real = "(EngineCore_0 pid=9) ERROR 11-28 04:10:00 [core.py:7] torch.AcceleratorError: CUDA error: unspecified"
    dead = "(APIServer pid=7) vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue."
    assert died(tmp_path, refusal, fatal, real, dead, started=True).startswith("torch.AcceleratorError")
    assert died(tmp_path, refusal, "SomeError: the last", started=True) == "SomeError: the last"


def test_a_killed_engine_is_reported(tmp_path: Path) -> None:
    line = "Engine core proc EngineCore_DP0 died unexpectedly, shutting down client."
    found = died(tmp_path, f"(APIServer pid=7) ERROR 01-16 17:16:49 [core_client.py:605] {line}", started=True)
    assert found == line


def test_without_an_error_the_last_lines_are_reported(tmp_path: Path) -> None:
    assert (
        died(tmp_path, *(f"line {i}" for i in range(9)), "leaked semaphore")
        == "line 4 | line 5 | line 6 | line 7 | line 8"
    )
    assert died(tmp_path) == "it logged nothing"
    assert died(tmp_path, "INFO: Shutting down", started=True).startswith("its log shows no error")


@pytest.mark.parametrize(
    ("reason", "never"),
    [
        ("vllm: error: argument --dtype: invalid choice: 'x'", True),
        ("ValueError: 16 GiB KV cache is needed, which is larger than the available KV cache memory (8 GiB)", True),
        ("huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files in the local cache", True),
        ("OSError: You are trying to access a gated repo.", True),
        ("RuntimeError: Failed to infer device type", True),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", False),
        ("Engine core proc EngineCore_0 died unexpectedly, shutting down client.", False),
        ("OSError: [Errno 98] Address already in use", False),
    ],
)  # fmt: skip
def test_a_start_that_would_always_fail_is_recognised(reason: str, never: bool) -> None:
    assert can_never_start(reason) is never


@pytest.mark.parametrize(
    ("reason", "length"),
    [
        ("is greater than the derived max_model_len (None=8192 in model's config.json)", 8192),
        ("is greater than the derived max_model_len (seq_length=2048 or model_max_length=None", 2048),
        ("CUDA out of memory at 16384", None),
    ],
)
def test_the_model_s_own_context_length_is_read_from_the_refusal(reason: str, length: int | None) -> None:
    assert own_length(reason) == length


@given(st.binary(max_size=400), st.booleans())
def test_any_log_has_some_cause(tmp_path_factory: pytest.TempPathFactory, content: bytes, started: bool) -> None:
    log = tmp_path_factory.getbasetemp() / "any.log"
    log.write_bytes(content)
    assert cause(log, 0, started=started)
