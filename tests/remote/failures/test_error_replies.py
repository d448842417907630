"""Error replies as providers and gateways shape them."""

from rest_react.remote.failures.error_replies import ErrorReply, read_error


def test_an_error_inside_a_reply_of_status_200_tells_its_own_status() -> None:
    assert read_error(200, {"error": {"message": "pay", "code": 402}}) == ErrorReply(402, "pay")
    assert read_error(200, {"error": {"message": "odd", "code": 7}}) == ErrorReply(500, "odd")
    assert read_error(200, {"error": "down"}) == ErrorReply(500, "down")
    assert read_error(200, {"error": {"message": "no", "code": "content_filter"}}).code == "content_filter"
