import pytest

from rest_react.remote.failures.error_replies import ErrorReply
from rest_react.training.hosted.job_states import is_not_ready, state_of


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("succeeded", ["succeeded", "SUCCEEDED", "Success", "completed", "JOB_STATE_COMPLETED", "STATUS_DONE"]),
        ("failed", ["failed", "FAILED_VALIDATION", "error", "user_error", "JOB_STATE_FAILED", "expired"]),
        ("cancelled", ["cancelled", "CANCELED", "stopped"]),
        ("paused", ["paused", "Paused", "on hold"]),
        (
            "running",
            ["running", "queued", "validating_files", "pending", "cancel_requested", "defrosting", None, 7],
        ),
    ],
)
def test_a_state_is_read_in_every_provider_s_spelling(state, words) -> None:
    assert {word: state_of(word) for word in words} == dict.fromkeys(words, state)


@pytest.mark.parametrize(
    ("status", "message", "about"),
    [
        (400, "File 'f' is still being processed and is not ready to be used.", "file"),
        (400, "The file is pending", "file"),
        (400, "File f has not been validated yet", "file"),
        (400, "invalid training_file: no such file object: f", "file"),
        (404, "No such File object: f", "file"),
        (404, "Resource not found", "file"),
        (404, "job not found", "job"),
        (409, "conflict", "file"),
        (425, "too early", "job"),
        (400, "Please try again later.", "file"),
        (500, "The file is not ready", "file"),
    ],
)
def test_a_service_that_needs_more_time_says_so_in_many_words(status, message, about) -> None:
    assert is_not_ready(ErrorReply(status, message), about=about)


@pytest.mark.parametrize(
    ("status", "message", "about"),
    [
        (400, "Error processing file: row 2 is no JSON", "file"),
        (400, "model m is not available for fine-tuning", "file"),
        (404, "The model `m` does not exist", "file"),
        (404, "no route /v1/fine_tuning/jobs", "job"),
        (401, "the key is not found", "job"),
        (429, "too many jobs, try again later", "file"),
        (503, "overloaded", "job"),
    ],
)
def test_what_more_time_does_not_cure_is_not_waited_for(status, message, about) -> None:
    assert not is_not_ready(ErrorReply(status, message), about=about)
