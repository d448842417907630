"""A grader that has a model rate each answer from 1 to 5, for example its tone.

    verdict = await RatingGrader(llm, template, "llm:judge", max_tokens=64).grade(labelled, answer, seed=7)
    verdict.reason, rating_of(verdict)                       # "rating 4 of 5", 4

One call for each answer, at temperature 0, with the text and the answer alone: the judge is not told which model wrote
it, nor shown other answers, so neither names nor order can count. An answer rated 4 or 5 is correct.
Not here: reading the reply (rating_reply), ratings of people (rating_sheet).
"""

import re
from dataclasses import dataclass

from rest_react.judges.grader import asked
from rest_react.judges.rating_reply import read_rating
from rest_react.protocols import LLM
from rest_react.records import LabelledQuestion, Prompt, Sampling, Verdict
from rest_react.text_safety.escaping import fill_in, inert

_GOOD = 4
_REASON = re.compile(r"rating ([1-5]) of 5")


@dataclass(frozen=True, slots=True)
class RatingGrader:
    """Rates by `template`, which has {text} and {answer} between fences. A reply without a rating is `unscored`."""

    llm: LLM
    template: str
    name: str
    max_tokens: int

    async def grade(self, question: LabelledQuestion, answer: str, *, seed: int) -> Verdict:
        prompt = fill_in(self.template, text=inert(question.question.text), answer=inert(answer))
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed, logprobs=False)
        return await asked(self.llm, self.name, Prompt("", prompt), sampling, _verdict)

    async def aclose(self) -> None:
        """Closes the judge's client."""
        await self.llm.aclose()


def _verdict(reply: str) -> Verdict:
    rating = read_rating(reply)
    if rating is None:
        return Verdict("unscored", f"no rating from 1 to 5 in the reply: {reply.strip()[:200]}")
    return Verdict("correct" if rating >= _GOOD else "incorrect", f"rating {rating} of 5")


def rating_of(verdict: Verdict) -> int | None:
    """The rating behind a verdict; None if a rating gave none."""
    found = _REASON.fullmatch(verdict.reason)
    return int(found[1]) if found else None
