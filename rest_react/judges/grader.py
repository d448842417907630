"""Grades one answer, by rules or by an LLM judge (the paper's auto-eval, section 4).

    >>> birthplace = LabelledQuestion(Question("w1", "Where was Ada Mell born?"), ("Paris",))
    >>> asyncio.run(RuleGrader().grade(birthplace, "She was born in Paris [link_id=3].", seed=7)).verdict
    'correct'

Not here: the rules (answer_matching.rule_grader), parsing a judge's reply (verdict_reply), averages
(reporting.results.rows), which answers are graded (stages.evaluate).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from rest_react.errors import ModelFault, OutsideFault
from rest_react.judges.answer_matching.rule_grader import rule_verdict
from rest_react.judges.verdict_reply import read_judgement
from rest_react.prompts import STOP, verdict_prompt
from rest_react.protocols import LLM
from rest_react.records import LabelledQuestion, Prompt, Sampling, Verdict
from rest_react.text_safety.escaping import escape_control_tokens, quote

__all__ = ["Grader", "LLMGrader", "RuleGrader", "rule_verdict"]


class Grader(Protocol):
    """Grades one answer. Never raises because of an answer or a model's reply: a failure is the verdict `unscored`."""

    @property
    def name(self) -> str: ...

    async def grade(self, question: LabelledQuestion, answer: str, *, seed: int) -> Verdict: ...

    async def aclose(self) -> None:
        """Closes the grader's connections."""
        ...


@dataclass(frozen=True, slots=True)
class RuleGraderSettings:
    """The grader that needs no model."""

    kind: Literal["rule"]


@dataclass(frozen=True, slots=True)
class RuleGrader:
    """Grades by `rule_verdict`; the seed has no effect."""

    name: str = "rule"

    async def grade(self, question: LabelledQuestion, answer: str, *, seed: int) -> Verdict:
        return rule_verdict(question, answer)

    async def aclose(self) -> None:
        """Does nothing: this grader has no connections."""


async def asked(llm: LLM, name: str, prompt: Prompt, sampling: Sampling, read: Callable[[str], Verdict]) -> Verdict:
    """The verdict that `read` finds in a judge's reply. A failed call is `unscored`: `owed` (to be graded on the next
    run) after an external error, `refused` after the model's own error."""
    try:
        (reply,) = await llm.sample(prompt, n=1, sampling=sampling)
    except (ModelFault, OutsideFault) as error:
        owed = isinstance(error, OutsideFault)
        return Verdict("unscored", f"{name}: {error}", owed=owed, refused=not owed)
    return replace(read(reply.text), prompt_tokens=reply.prompt_tokens, completion_tokens=reply.tokens)


@dataclass(frozen=True, slots=True)
class LLMGrader:
    """The paper's auto-eval (section 4): a model completes the next example of `template`, at temperature 0.

    `template` is the text of prompts/autoeval.txt: a header, exemplars, and the line that begins the next example. A
    reply without a verdict is `unscored`. An empty answer is `incorrect` without a call.
    """

    llm: LLM
    template: str
    name: str
    max_tokens: int

    async def grade(self, question: LabelledQuestion, answer: str, *, seed: int) -> Verdict:
        if not answer.strip():
            return Verdict("incorrect", "the answer is empty")
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed, stop=(STOP,), logprobs=False)
        return await asked(self.llm, self.name, self._prompt(question, answer), sampling, read_judgement)

    async def aclose(self) -> None:
        """Closes the judge's LLM client."""
        await self.llm.aclose()

    def _prompt(self, question: LabelledQuestion, answer: str) -> Prompt:
        fields = {
            "ORIGINAL_QUESTION": question.question.text,
            "ANSWER": answer,
            "REF_ANSWER": " or ".join(question.answers),
        }
        state = "".join(f"{name} = {quote(escape_control_tokens(text))}\n" for name, text in fields.items())
        return verdict_prompt(self.template, f"{state}\n# step: verdict\n")
