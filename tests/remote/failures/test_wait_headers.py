import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.remote.failures.wait_headers import requested_wait_s, retry_after_s


def test_a_retry_after_header_is_read_in_seconds_or_as_a_date():
    assert retry_after_s("7") == 7.0
    assert retry_after_s(" 1.5 ") == 1.5
    assert retry_after_s(None) is None
    assert retry_after_s("soon") is None
    soon = retry_after_s(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert soon is not None and 57 < soon <= 60
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@given(st.text(max_size=40))
def test_no_retry_after_header_makes_it_raise(header):
    wait = retry_after_s(header)
    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    "date",
    [
        f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT",
        f"Mon, 01 Jan 2026 {'9' * 20}:00:00 GMT",
        f"Mon, 01 Jan 2026 00:00:00 +{'9' * 20}",
    ],
)
def test_a_date_with_numbers_of_any_length_is_no_date(date):
    assert retry_after_s(date) is None
    assert requested_wait_s({"date": date, "retry-after": "7"}) == 7.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"llm_provider-retry-after": "7"}, 7.0),
        ({"llm_provider-retry-after-ms": "7"}, 0.007),
        ({"retry-after": "3", "llm_provider-retry-after": "7"}, 3.0),
        ({"retry-after": "soon", "llm_provider-retry-after": "7"}, 7.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7.66s"}, 7.66),
        ({"llm_provider-x-ratelimit-remaining-tokens": "0", "llm_provider-x-ratelimit-reset-tokens": "2"}, 2.0),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "1m"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "later"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000000000"}, 0.0),
        ({}, None),
    ],
)
def test_the_wait_that_a_reply_asks_for_is_read_from_whichever_header_says_it(headers, seconds):
    assert requested_wait_s(headers) == (None if seconds is None else pytest.approx(seconds))


def test_a_reset_at_a_moment_is_the_time_until_then():
    moment = time.time() + 60
    for told in (f"{moment:.0f}", f"{moment * 1000:.0f}"):
        wait = requested_wait_s({"x-ratelimit-remaining": "0", "x-ratelimit-reset": told})
        assert wait == pytest.approx(60, abs=2)


@given(st.text(alphabet="0123456789.hmsd -:,", max_size=12))
def test_no_header_makes_the_wait_anything_but_a_time_or_unknown(told):
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": told}
    for wait in (
        requested_wait_s(headers),
        requested_wait_s({"retry-after": told}),
        requested_wait_s({"retry-after-ms": told}),
    ):
        assert wait is None or wait >= 0


def test_a_moment_is_read_by_the_clock_of_the_server():
    date, later = (format_datetime(datetime(2031, 5, 1, 12, 0, s, tzinfo=UTC), usegmt=True) for s in (0, 7))
    assert requested_wait_s({"date": date, "retry-after": later}) == 7.0
    reset = str(int(datetime(2031, 5, 1, 12, 1, tzinfo=UTC).timestamp()))
    assert requested_wait_s({"date": date, "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}) == 60.0
    assert requested_wait_s({"date": "noon", "retry-after": "7"}) == 7.0
