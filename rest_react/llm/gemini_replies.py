"""Reads replies of Gemini: the samples, their token counts, and the wait that an error requests.

    reply = read_gemini_reply(await client.aio.models.generate_content(...), "gemini-2.5-flash", n=4, most=most)
    reply.completions[0].text

A sample's log-probability is the sum over its tokens, or the reply's average times their number. Thinking tokens are
billed as output but belong to no sample, so the budget has them and the costs in summaries have not. Impossible counts
are ignored (remote.usage).
Not here: requests (gemini).
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rest_react.errors import ModelFault
from rest_react.llm.token_ends import token_ends
from rest_react.records import Completion
from rest_react.remote.failures.wait_headers import requested_wait_s, retry_after_s
from rest_react.remote.retry import TryAgain
from rest_react.remote.usage import Tokens, Usage, told, with_thoughts

if TYPE_CHECKING:
    from google.genai.errors import APIError
    from google.genai.types import Candidate, GenerateContentResponse

_CUT = {"MAX_TOKENS": "length", "STOP": "stop"}


@dataclass(frozen=True, slots=True)
class GeminiReply:
    """The samples of one reply, the number of thinking tokens, and the usage of both."""

    completions: list[Completion]
    thoughts: int
    usage: Usage


def read_gemini_reply(reply: "GenerateContentResponse", model: str, n: int, most: Tokens) -> GeminiReply:
    """Reads the reply to a request for n samples; `most` is the upper bound of its tokens without thinking. Raises
    ModelFault for a blocked prompt, TryAgain for a reply without candidates."""
    whole = [one for one in reply.candidates or () if _text(one) or one.finish_reason is not None]
    if not whole:  # neither a text nor a reason that there is none: generation broke off
        feedback = reply.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            raise ModelFault(f"{model}: the prompt was blocked ({feedback.block_reason.value})")
        raise TryAgain("the reply has no candidates")
    candidates = sorted(whole, key=lambda candidate: candidate.index or 0)
    given = reply.usage_metadata
    in_, out, thoughts = (getattr(given, f"{name}_token_count", None) for name in ("prompt", "candidates", "thoughts"))
    wrote = any(map(_text, candidates))
    if thoughts is not None and not wrote:
        out = out or 0  # left out where there is none
    # Thoughts are billed as output.
    both = out if thoughts is None or out is None else out + thoughts
    usage = told(in_, both, most=with_thoughts(most, n) if thoughts else most, wrote=wrote)
    if not usage.impossible and min(out or 0, thoughts or 0) < 0:
        usage = Usage(impossible=f"{out} output and {thoughts} thinking tokens")
    if usage.impossible:
        out = thoughts = None
    share, rest = divmod(out or 0, len(candidates))
    longest = most.completion // n
    samples = [_completion(one, share + (i < rest), usage.prompt or 0, longest) for i, one in enumerate(candidates)]
    if not usage.impossible and usage.completion is None and all(one.tokens for one in samples):
        usage = replace(usage, completion=sum(one.tokens for one in samples) + (thoughts or 0))
    return GeminiReply(samples[:n], thoughts or 0, usage)


def _text(candidate: "Candidate") -> str:
    parts = (candidate.content.parts if candidate.content else None) or []
    return "".join(part.text for part in parts if part.text and not part.thought)


def _completion(candidate: "Candidate", token_share: int, prompt_tokens: int, longest: int) -> Completion:
    text = _text(candidate)
    finish = candidate.finish_reason.value if candidate.finish_reason else ""
    given = candidate.logprobs_result
    told = (given.chosen_candidates if given else None) or []
    chosen = [token.log_probability for token in told]
    known = [value for value in chosen if value is not None and math.isfinite(value)]
    own = candidate.token_count or 0
    tokens = len(chosen) or (own if 0 < own <= longest else token_share)
    logprob = None
    if known and len(known) == len(chosen):
        logprob = sum(known)
    elif not chosen and candidate.avg_logprobs is not None and math.isfinite(candidate.avg_logprobs) and tokens:
        logprob = candidate.avg_logprobs * tokens
    ends = token_ends(text, [(token.token or "").encode("utf-8", "replace") for token in told])
    at = (ends, tuple(known)) if ends and len(known) == len(ends) else ((), ())
    return Completion(text, tokens, logprob, _CUT.get(finish, finish.lower()), prompt_tokens, *at)


def gemini_retry_after(error: "APIError") -> float | None:
    """The requested wait in seconds, from a header or from a RetryInfo in the details (`"retryDelay": "34s"`)."""
    headers: Any = getattr(error.response, "headers", None) or {}
    details = error.details.get("error", {}).get("details", []) if isinstance(error.details, dict) else []
    for detail in details if isinstance(details, list) else ():
        told = detail.get("retryDelay", "") if isinstance(detail, dict) else ""
        delay = retry_after_s(str(told).removesuffix("s") or None)
        if delay is not None:
            return delay
    return requested_wait_s(headers)
