"""Names a client's settings in messages, and finds the setting to change when a server refuses a request.

    >>> refusal = ErrorReply(400, "`logprobs` is not supported with this model")
    >>> SettingNames("grader").way_out(refusal)
    'set grader.logprobs=false'

Not here: refusals that name a field which this client sends (llm.openai_api.settings_for_refusals).
"""

import re
from dataclasses import dataclass

from rest_react.remote.failures.error_replies import ErrorReply, any_spelling

# (pattern of a refusal, setting that fixes it); the first match decides.
_WAYS_OUT = (
    (
        any_spelling(
            r"""
            unsupported.{0,40}max tokens
            max tokens\b.{0,20}not supported
            use\W{1,3}max completion tokens
            """
        ),
        "{block}token_limit=max_completion_tokens",
    ),
    (
        any_spelling(
            r"""
            max completion tokens.{0,60}(?:not supported|unknown|unrecogni|unexpected|not permitted)
            (?:unknown|unrecogni|unexpected|unsupported|extra).{0,60}max completion tokens
            """
        ),
        "{block}token_limit=max_tokens",
    ),
    (
        any_spelling(r"max (?:completion )?tokens|(?:output|completion) tokens"),
        "{max_tokens} to what {model} allows",
    ),
    (any_spelling("logprobs"), "{block}logprobs=false"),
    (any_spelling(r"param=n\b|[`'\"]n[`'\"]"), "{block}n_per_request=false"),
    (any_spelling("country|region|territory|location"), "{block}base_url to a provider that serves your country"),
    (
        any_spelling(r"param=model|\bmodels?\b.{0,100}\bnot\b|(?:invalid|unknown|access) model"),
        "{block}model to a model that the server offers",
    ),
)

_OF_OPENAI = re.compile("base_url|token_limit|n_per_request")


@dataclass(frozen=True, slots=True)
class SettingNames:
    """The names of a client's settings for messages: `block` (e.g. `grader`), the setting of its token limit, and
    whether it has those of an OpenAI-compatible client (base_url, token_limit, n_per_request)."""

    block: str = ""
    max_tokens: str = "max_tokens"
    openai: bool = True

    def setting(self, name: str) -> str:
        """The full name of a setting of the block."""
        return f"{self.block}.{name}" if self.block else name

    def way_out(self, reply: ErrorReply | None = None) -> str:
        """The advice which setting to change, e.g. `set grader.logprobs=false`."""
        block = f"{self.block}." if self.block else ""
        said = reply.words if reply else ""
        for pattern, setting in _WAYS_OUT:
            if pattern.search(said) and (self.openai or not _OF_OPENAI.search(setting)):
                return f"set {setting.format(block=block, max_tokens=self.max_tokens, model=self.block or 'the model')}"
        return f"check {block}model, {block}base_url and {block}token_limit" if self.openai else f"check {block}model"
