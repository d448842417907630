"""The error for a request that a server with the OpenAI API refuses: whose fault it is, and what to do.

    refusals = Refusals("gpt-4.1 at https://...", key, "OPENAI_API_KEY", SettingNames("policy"), form, may_fold=True)
    raise refusals.error(reply, sent, maybe_unready=False)      # UsageError("...; set policy.logprobs=false")

Three errors never leave the client, which asks again in another way: `NoSystemTurn`, `FewerListed` and `Unclear`.
Not here: which setting cures a refusal (settings_for_refusals), and refusals that are the same for every API
(remote.failures.error_meanings).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rest_react.errors import ModelFault, RestReactError, UsageError
from rest_react.llm.openai_api.openai_request import RequestForm
from rest_react.llm.openai_api.settings_for_refusals import refuses_so_many_listed, refuses_system_turn, remedy
from rest_react.remote.failures.error_meanings import classify_error, meaning_of, tells_of_no_model
from rest_react.remote.failures.error_replies import ErrorReply
from rest_react.remote.failures.setting_names import SettingNames
from rest_react.remote.retry import NotReady, TryAgain
from rest_react.text_safety.redaction import redact_reply

MOST_LISTED, FEWER_LISTED = 20, 5  # `top_logprobs`: OpenAI's chats and vLLM's default; other servers


class Unclear(RestReactError):
    """A refusal of either this request or every request."""


class NoSystemTurn(ModelFault):
    """The server's template has no system turn."""


class FewerListed(ModelFault):
    """The server lists fewer tokens than were asked for."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Reads the refusals of one server. `where` and `names` are for messages; with `may_fold` the client may send the
    instructions in the user's turn."""

    where: str
    key: str
    api_key_env: str | None
    names: SettingNames
    form: RequestForm
    may_fold: bool

    def error(self, reply: ErrorReply, sent: Mapping[str, Any], *, maybe_unready: bool) -> RestReactError | TryAgain:
        """The error to raise. With `maybe_unready` an unknown model is one that is not available yet."""
        refusal = f"{self.where}: HTTP {reply.status}: {redact_reply(reply.message, self.key)}"
        meaning, names = meaning_of(reply), self.names
        if refuses_system_turn(reply) and "system" in [turn["role"] for turn in sent.get("messages", ())]:
            if self.may_fold:
                return NoSystemTurn(refusal)
            return UsageError(f"{refusal}; set {names.setting('system_turn')}=auto")
        if MOST_LISTED in (sent.get("top_logprobs"), sent.get("logprobs")) and refuses_so_many_listed(reply):
            return FewerListed(refusal)
        if meaning in ("settings", "unclear"):
            cure = remedy(reply, names, sent=sent, omit=self.form.omit, extra_body=self.form.extra_body)
            if cure:
                return UsageError(f"{refusal}; {cure}")
        if meaning == "unclear":
            return Unclear(refusal)
        error = classify_error(
            reply, where=self.where, api_key_env=self.api_key_env, key=self.key, refused=ModelFault, names=names
        )
        if maybe_unready and isinstance(error, UsageError) and tells_of_no_model(reply):
            return NotReady(f"{self.where}: the model is not available yet", error)
        return error
