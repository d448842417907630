import pytest

from rest_react.remote.failures.error_replies import ErrorReply
from rest_react.remote.failures.setting_names import SettingNames


def test_a_setting_has_its_block_in_front_where_there_is_one():
    assert SettingNames("grader").setting("base_url") == "grader.base_url"
    assert SettingNames().setting("base_url") == "base_url"


@pytest.mark.parametrize(
    ("reply", "way_out"),
    [
        (ErrorReply(400, "no", param="n"), "set grader.n_per_request=false"),
        (ErrorReply(400, "max_tokens is too large"), "set improve.max_tokens to what grader allows"),
        (ErrorReply(404, "The model `m` does not exist"), "set grader.model to a model that the server offers"),
        (ErrorReply(400, "x" * 300 + "logprobs"), "check grader.model, grader.base_url and grader.token_limit"),
        (None, "check grader.model, grader.base_url and grader.token_limit"),
    ],
)
def test_the_setting_to_change_is_named_by_the_beginning_of_the_refusal(reply, way_out):
    assert SettingNames("grader", "improve.max_tokens").way_out(reply) == way_out
