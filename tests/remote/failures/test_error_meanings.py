"""Error replies as providers and gateways word them, and what each means."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ModelFault, OutsideFault, UsageError
from rest_react.remote.failures.error_meanings import classify_error, meaning_of
from rest_react.remote.failures.error_replies import error_reply, read_error
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.retry import TryAgain

KEY = "sk-proj-Ab12Cd34Ef56Gh78"


def meaning(http: int, message: object, **fields: object) -> str:
    body = {"error": {"message": message, **fields}}
    return meaning_of(error_reply(http, json.dumps(body).encode(), {}))


@pytest.mark.parametrize(
    ("status", "message", "fields"),
    [
        # LiteLLM gives spent budgets five wordings and three types.
        (400, "Budget has been exceeded! Current cost: 3.07, Max budget: 3.0", {"type": "budget_exceeded"}),
        (400, "Budget has been exceeded! Team=t-1 Current cost: 3.07, Max budget: 3.0", {"type": "auth_error"}),
        (401, "ExceededBudget: User=u-1 over budget. Spend=3.07, Budget=3.0", {"type": "auth_error"}),
        (400, "ExceededTokenBudget: Current spend for token: 3.07; Max Budget for Token: 3.0", {"code": "400"}),
        (429, "LiteLLM Virtual Key: k-1, exceeded budget for model=large", {"type": "budget_exceeded"}),
        (429, "No deployments available - crossed budget: deployment large", {}),
        (400, "gateway.BadRequestError: OpenAIException - Budget has been exceeded! Max budget: 3.0", {"type": None}),
        (402, "This request requires more credits, or fewer max_tokens.", {"code": 402}),
        (403, "Key limit exceeded (total limit).", {"code": 403}),
        (402, "Insufficient Balance", {"type": "unknown_error"}),
        (403, "Sorry, your account balance is insufficient", {"code": 30001}),
        (400, "Your credit balance is too low to access this API.", {"type": "invalid_request_error"}),
        (400, "You have reached your specified API usage limits. You will regain access in May.", {}),
        (429, "You exceeded your current quota, please check your plan and billing details.", {}),
        (429, "no", {"code": "insufficient_quota"}),
        (403, "You exceeded your current quota.", {"type": "insufficient_quota"}),
        (401, "You exceeded your current quota", {"type": "insufficient_quota", "code": 401}),
        (400, "Billing hard limit has been reached", {"code": "billing_hard_limit_reached"}),
        (402, "You have exceeded your monthly included credits for inference.", {}),
        (403, "Your newly created team doesn't have any credits yet.", {}),
        (403, "Out of call volume quota. Quota will be replenished in 06:00:00.", {}),
        (412, "Account a-1 is suspended, possibly due to reaching its monthly spending limit.", {}),
        (400, "Access denied, please make sure your account is in good standing.", {"code": "Arrearage"}),
        (400, "Organization has been restricted. Contact support.", {"code": "organization_restricted"}),
        (429, "余额不足或无可用资源包,请充值。", {"code": "1113"}),
        (413, "Request too large for model m in organization o on tokens per minute (TPM): Limit 6000", {}),
        (500, "insufficient_quota", {}),
        (402, "", {}),
    ],
)
def test_money_in_any_status_is_the_account_s(status, message, fields) -> None:
    assert meaning(status, message, **fields) == "account"


@pytest.mark.parametrize(
    ("status", "message", "fields"),
    [
        (529, "Overloaded", {"type": "overloaded_error"}),
        (400, "Overloaded", {"type": "overloaded_error"}),
        (429, "Rate limit reached for model m on tokens per day (TPD). Please try again in 7m12.5s.", {}),
        (429, "You exceeded your current quota, see your plan and billing details. Please retry in 34.07s.", {}),
        (400, "litellm.RateLimitError: RateLimitError: Too many requests", {}),
        (403, "API rate limit exceeded for this address", {}),
        (400, "Background loop has errored already.", {"type": "BadRequestError"}),
        (500, "EngineCore encountered an issue. See stack trace (above) for the root cause.", {}),
        (400, "EngineDeadError: EngineCore died", {}),
        (400, "CUDA out of memory. Tried to allocate 2.00 GiB", {}),
        (400, "CUDA error: an illegal memory access was encountered", {}),
        (503, "Loading model", {"type": "unavailable_error", "code": 503}),
        (400, "Model org/name is currently loading", {"estimated_time": 41.0}),
        (404, "no available server", {}),
        (404, "no healthy upstream", {}),
        (400, "upstream connect error or disconnect before headers", {}),
        (400, "The server is busy, please try again later.", {}),
        (498, "Flex tier capacity exceeded", {"code": "capacity_exceeded"}),
        (404, "The service is temporarily unavailable", {}),
        (400, "Request timed out.", {}),
        (500, "context deadline exceeded", {}),
        (429, "Request limit exceeded", {}),
        (429, "Online prediction request quota exceeded for m. Please try again later with backoff.", {}),
        (403, "Request quota exceeded", {}),
        (400, "request deadline exceeded", {}),
        (403, "The request rate exceeds the limit of this deployment", {}),
        (400, "The request took longer than 60 seconds", {}),
        *[(status, "the request exceeds what can be served now", {}) for status in (408, 502, 503, 504)],
        *[(status, "x", {}) for status in (408, 409, 423, 424, 425, 429, 499, 500, 502, 503, 504, 520, 524, 527)],
    ],
)
def test_overload_and_breakage_in_any_status_are_worth_another_try(status, message, fields) -> None:
    assert meaning(status, message, **fields) == "again"


@pytest.mark.parametrize(
    ("status", "message", "fields"),
    [
        (400, "The response was filtered due to the prompt triggering the content management policy.", {}),
        (400, "no", {"code": "content_filter", "param": "prompt"}),
        (400, "no", {"innererror": {"code": "ResponsibleAIPolicyViolation"}}),
        (403, "Your input was flagged by this model's moderation", {"metadata": {"reasons": ["violence"]}}),
        (403, "Forbidden", {"metadata": {"reasons": ["violence"], "flagged_input": "a song"}}),
        (403, "Content violates usage guidelines.", {}),
        (400, "Content Exists Risk", {}),
        (400, "Input data may contain inappropriate content.", {"code": "data_inspection_failed"}),
        (400, "Your request was rejected as a result of our safety system.", {}),
        (400, "Violated guardrail policy", {}),
        (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.", {}),
        (400, "no", {"code": "context_length_exceeded"}),
        (400, "'max_tokens' is too large: 512. This model's maximum context length is 4096 tokens.", {}),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", {}),
        (400, "the request exceeds the available context size", {"type": "exceed_context_size_error"}),
        (500, "the request exceeds the available context size, try increasing it", {}),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 and 512", {}),
        (400, "Range of input length should be [1, 6000]", {}),
        (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096", {}),
        (400, "Provider returned error", {"metadata": {"raw": '{"message": "Prompt exceeds max length"}'}}),
        (413, "<html>Request Entity Too Large</html>", {}),
        (502, "upstream: This model's maximum context length is 4096 tokens.", {}),
    ],
)
def test_a_filtered_or_too_long_request_is_refused_alone(status, message, fields) -> None:
    assert meaning(status, message, **fields) == "request"


@pytest.mark.parametrize(
    ("status", "message", "fields", "way_out"),
    [
        (400, "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.", {},
         "set grader.token_limit=max_completion_tokens"),
        (400, "Unrecognized request argument supplied: max_completion_tokens", {}, "set grader.token_limit=max_tokens"),
        (400, "max_tokens is too large: 900. This model supports at most 512 completion tokens.", {},
         "set improve.max_tokens to what grader allows"),
        (400, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", {},
         "set improve.max_tokens to what grader allows"),
        (403, "You are not allowed to request logprobs from this model", {}, "set grader.logprobs=false"),
        (400, "`logprobs` is not supported with this model", {}, "set grader.logprobs=false"),
        (400, "'n' : number must be at most 1", {}, "set grader.n_per_request=false"),
        (400, "no", {"param": "n"}, "set grader.n_per_request=false"),
        (404, "The model `m` does not exist or you do not have access to it.", {"code": "model_not_found"},
         "set grader.model to a model that the server offers"),
        (400, "Invalid model name passed in model=m. Call `/v1/models` to view those for your key.", {},
         "set grader.model to a model that the server offers"),
        (401, "key not allowed to access model. Tried to access m", {"type": "key_model_access_denied"},
         "set grader.model to a model that the server offers"),
        (403, "Country, region, or territory not supported", {"code": "unsupported_country_region_territory"},
         "set grader.base_url to a provider that serves your country"),
        (400, "Unsupported value: 'temperature' does not support 0.0", {"param": "temperature"},
         "check grader.model, grader.base_url and grader.token_limit"),
        (400, "System role not supported", {}, "check grader.model, grader.base_url and grader.token_limit"),
        (405, "Method Not Allowed", {}, "check grader.model, grader.base_url and grader.token_limit"),
    ],
)  # fmt: skip
def test_what_no_request_can_have_is_the_settings_and_one_is_named(status, message, fields, way_out) -> None:
    reply = error_reply(status, json.dumps({"error": {"message": message, **fields}}).encode(), {})
    names = SettingNames("grader", "improve.max_tokens")
    error = classify_error(reply, where="judge", api_key_env=None, key="none", refused=ModelFault, names=names)
    assert isinstance(error, UsageError)
    assert way_out in str(error)


@pytest.mark.parametrize(
    ("status", "message", "fields"),
    [
        (401, "", {}),
        (400, "No connected db.", {"type": "no_db_connection", "code": "400"}),
        (400, "Authentication Error, LiteLLM Virtual Key expected.", {"type": "auth_error"}),
        (400, "API key not valid. Please pass a valid API key.", {"status": "INVALID_ARGUMENT"}),
        (403, "Incorrect API key provided", {"code": "invalid_api_key"}),
        (400, "litellm.AuthenticationError: Invalid token", {}),
    ],
)
def test_a_wrong_key_in_any_status_is_the_key_s(status, message, fields) -> None:
    assert meaning(status, message, **fields) == "key"


@pytest.mark.parametrize(("status", "message"), [(400, "no"), (403, "Forbidden"), (422, "malformed")])
def test_a_refusal_that_matches_no_rule_is_unclear(status, message) -> None:
    assert meaning(status, message) == "unclear"


def test_a_firewall_s_page_is_neither_the_key_s_nor_the_model_s() -> None:
    page = b"<!DOCTYPE html><title>Attention Required!</title>"
    assert meaning_of(error_reply(403, page, {})) == "account"
    assert meaning_of(error_reply(403, b"<html>Forbidden by rule 7</html>", {})) == "account"


def raised(status: int, message: str, env: str | None = "JUDGE_KEY"):
    reply = error_reply(status, json.dumps({"error": {"message": message}}).encode(), {"retry-after": "7"})
    return classify_error(reply, where="judge at https://x", api_key_env=env, key=KEY, refused=ModelFault)


def test_each_meaning_is_an_error_of_its_own_kind() -> None:
    again = raised(503, "busy")
    assert isinstance(again, TryAgain)
    assert (again.after_s, again.refused, str(again)) == (7.0, True, "HTTP 503: busy")
    account = raised(400, "Budget has been exceeded!")
    assert isinstance(account, OutsideFault)
    assert str(account).startswith("judge at https://x: quota used up")
    assert str(account).endswith("(HTTP 400: Budget has been exceeded!)")
    refused = raised(400, "prompt is too long")
    assert isinstance(refused, ModelFault)
    assert str(refused) == "judge at https://x: HTTP 400: prompt is too long"
    assert str(raised(401, "bad")) == (
        "judge at https://x: HTTP 401, access refused: the key in JUDGE_KEY is not accepted (bad)"
    )
    assert str(raised(401, "bad", None)) == (
        "judge at https://x: HTTP 401, access refused: the server requires a key; set api_key_env (bad)"
    )
    assert str(raised(403, "odd")) == (
        "judge at https://x: HTTP 403, access refused: check the key in JUDGE_KEY and its permissions (odd)"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("error", "message", "code", "detail", "metadata", "innererror", "raw")), inner
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from((200, 400, 403, 429, 500)), JSON | st.text())
def test_no_error_reply_makes_it_raise(status, body) -> None:
    reply = error_reply(status, json.dumps(body).encode(), {})
    classify_error(reply, where="m", api_key_env=None, key="none", refused=ModelFault)


@pytest.mark.parametrize("field", ["message", "code", "param"])
def test_a_huge_error_is_classified_at_once(field) -> None:
    started = time.process_time()
    meaning_of(read_error(400, {"error": {"message": "no", field: "model " * 40_000}}))
    assert time.process_time() - started < 5
