"""Grade one answer. Two graders with one contract: `rule` reads the text, an LLM judge is asked (paper section 4).

    >>> town = LabelledQuestion(Question("w1", "Where was Ada Mell born?"), ("Paris",))
    >>> asyncio.run(RuleGrader().grade(town, "She was born in Paris [link_id=3].", seed=7)).verdict
    'correct'

Not here: the rules (rule_grader), how a judge's reply is read (verdicts), averages (reporting.rows), who grades what
(evaluate).
"""

from dataclasses import dataclass, replace
from typing import Protocol

from rest_react.errors import ModelFault, OutsideFault
from rest_react.judges.answer_matching.rule_grader import rule_verdict
from rest_react.judges.judge_replies import read_judgement
from rest_react.prompts import STOP, verdict_prompt
from rest_react.protocols import LLM
from rest_react.records import LabelledQuestion, Prompt, Sampling, Verdict
from rest_react.text_safety import escape_control_tokens, quote

__all__ = ["Grader", "LLMGrader", "RuleGrader", "rule_verdict"]


class Grader(Protocol):
    """An opinion on one answer. It never raises for an answer or a model's reply: what fails is `unscored`."""

    @property
    def name(self) -> str: ...

    async def grade(self, question: LabelledQuestion, answer: str, *, seed: int) -> Verdict: ...

    async def aclose(self) -> None:
        """Gives back what the grader holds."""
        ...


@dataclass(frozen=True, slots=True)
class RuleGrader:
    """`rule_verdict` as a grader."""

    name: str = "rule"

    async def grade(self, question: LabelledQuestion, answer: str, *, seed: int) -> Verdict:
        return rule_verdict(question, answer)

    async def aclose(self) -> None:
        """Holds nothing."""


@dataclass(frozen=True, slots=True)
class LLMGrader:
    """The paper's auto-eval: a model completes the next example of `template`, greedily.

    `template` is prompts/autoeval.txt: a header, exemplars, and the rule that opens the example to be completed. No
    reply, or one without a verdict, is unscored; an empty answer is incorrect without being asked.
    """

    llm: LLM
    template: str
    name: str
    max_tokens: int

    async def grade(self, question: LabelledQuestion, answer: str, *, seed: int) -> Verdict:
        if not answer.strip():
            return Verdict("incorrect", "the answer is empty")
        sampling = Sampling(temperature=0.0, max_tokens=self.max_tokens, seed=seed, stop=(STOP,), logprobs=False)
        try:
            completions = await self.llm.sample(self._prompt(question, answer), n=1, sampling=sampling)
        except (ModelFault, OutsideFault) as error:
            owed = isinstance(error, OutsideFault)
            return Verdict("unscored", f"{self.name}: {error}", owed=owed, refused=not owed)
        (reply,) = completions
        verdict = read_judgement(reply.text)
        return replace(verdict, prompt_tokens=reply.prompt_tokens, completion_tokens=reply.tokens)

    async def aclose(self) -> None:
        """Closes the judge's door."""
        await self.llm.aclose()

    def _prompt(self, question: LabelledQuestion, answer: str) -> Prompt:
        fields = {
            "ORIGINAL_QUESTION": question.question.text,
            "ANSWER": answer,
            "REF_ANSWER": " or ".join(question.answers),
        }
        state = "".join(f"{name} = {quote(escape_control_tokens(text))}\n" for name, text in fields.items())
        return verdict_prompt(self.template, f"{state}\n# step: verdict\n")
