import pytest

from rest_react.records import Completion
from rest_react.tasks.sample_end import ended


@pytest.mark.parametrize(
    ("text", "tokens", "finish", "expected"),
    [
        ("yes ", 3, "stop", ("yes ", "stop")),
        ("yes", 3, "", ("yes", "")),
        # cut off: the server says so, or it says nothing and the tokens show it
        ("yes", 3, "length", ("yes", "length")),
        ("yes", 64, "", ("yes", "length")),
        ("yes", 65, "", ("yes", "length")),
        ("yes", 64, "stop", ("yes", "stop")),
        # whole, because the end mark is there, and not what follows it
        ("yes  # [END]", 64, "length", ("yes  ", "stop")),
        ("yes  # [END] no # [END]", 64, "", ("yes  ", "")),
        ("# [END]", 64, "content_filter", ("", "content_filter")),
        # the mark however it is spaced, as the parser reads it
        ("yes #[END] no", 64, "length", ("yes ", "stop")),
        ("yes #  [END] no", 3, "stop", ("yes ", "stop")),
    ],
)
def test_a_sample_ends_at_its_end_mark_at_its_limit_or_where_its_server_says(text, tokens, finish, expected) -> None:
    assert ended(Completion(text, tokens, None, finish, 9), 64) == expected
