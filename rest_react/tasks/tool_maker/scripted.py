"""Scripted models for tool makers: a maker with known faults, and a user and dispatcher that know the right calls.

    ScriptedMaker("overfit", items.plans)                         # its function knows the shown questions only
    ScriptedUser(items.plans, answers, right=0.7, wrong=0.1, unparsable=0.1, empty=0.1)

Not here: language models (llm), and the right tools and calls, which each family has (families).
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal, TypeAlias

from rest_react.llm.model_settings import ModelContext, ModelSettings, Runs, Tuned
from rest_react.metrics.prices import Price
from rest_react.prompts import STOP
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling
from rest_react.remote.budget import Metered
from rest_react.seeds import derive_seed
from rest_react.setting_types import Count
from rest_react.tasks.tool_maker.families import FAMILIES
from rest_react.tasks.tool_maker.states import NONE
from rest_react.text_safety.escaping import escape_control_tokens

Behaviour: TypeAlias = Literal["right", "overfit", "endless", "no_code", "constant", "identity"]
_TEXT = re.compile(r"^(\w+) = (\".*\")$", re.MULTILINE)
_LOGPROBS = {"right": -0.25, "wrong": -0.35, "unparsable": -0.6, "empty": -0.4}


@dataclass(frozen=True, slots=True)
class ScriptedMakerModel(ModelSettings):
    """A scripted maker or dispatcher, without a language model. It knows the built-in questions only."""

    runs: ClassVar[Runs] = "script"
    tuned: ClassVar[Tuned] = "nowhere"

    kind: Literal["scripted_maker"]
    # right: the right tool and calls; overfit: a table of the shown questions; endless: a function that never returns;
    # no_code: prose; constant: calls that do not use the tool; identity: a function that returns the answer it is given
    behaviour: Behaviour
    in_flight: Count  # requests at once
    price: Price  # US dollars per million tokens, input and output
    model: str = "scripted"  # the name of its folder of tools

    def open(self, context: ModelContext) -> Metered:
        return Metered(context.scripted(behaviour=self.behaviour), context.meter)


def _texts(state: str) -> dict[str, str]:
    """The texts of a state by name; of those with one name the last, because a tool's examples come first."""
    return {name: ast.literal_eval(text) for name, text in _TEXT.findall(state)}


def _family_of(call: str) -> str:
    """The family whose right tool a call names."""
    return next(name for name, family in FAMILIES.items() if f"{_tool(name)}(" in call)


def _tool(family: str) -> str:
    return str(re.findall(r"^def (\w+)", FAMILIES[family].function, re.MULTILINE)[0])


def _completion(text: str, prompt: Prompt, mean: float = -0.25) -> Completion:
    words = max(1, len(text.split()))
    return Completion(text, words, words * mean, "stop", len(prompt.text.split()))


class ScriptedMaker(LLM):
    """An `LLM` that makes tools, well or badly, and names the right tool for a question."""

    def __init__(self, behaviour: str, plans: Mapping[str, str], answers: Mapping[str, str]) -> None:
        self._behaviour = behaviour
        self._plans = {escape_control_tokens(text): call for text, call in plans.items()}
        self._answers = {escape_control_tokens(text): answer for text, answer in answers.items()}

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n equal samples."""
        texts = _texts(prompt.state)
        step = prompt.state.rstrip().rpartition("# step: ")[2]
        text = {"function": self._function, "calls": self._calls, "tool": self._choice}.get(step, self._answer)(texts)
        if step == "call":
            text = self._plans.get(texts["QUESTION"], "")
        return [_completion(f"{text}\n{STOP}", prompt) for _ in range(n)]

    def _function(self, texts: Mapping[str, str]) -> str:
        if self._behaviour == "no_code":
            return "I would sort the words and write them down."
        right = FAMILIES[_family_of(self._plans[texts["QUESTION_1"]])].function
        head, name = re.findall(r"^(def (\w+)\(.*?\):)$", right, re.MULTILINE)[0]
        if self._behaviour == "overfit":
            table = [[texts[f"QUESTION_{n}"], texts[f"ANSWER_{n}"]] for n in (1, 2, 3)]
            return f'```python\ndef {name}(question):\n    """The answer."""\n    return dict({table!r})[question]\n```'
        if self._behaviour == "identity":
            return f"```python\ndef {name}(answer):\n    return answer\n```"
        if self._behaviour == "endless":
            return f"```python\n{head}\n    while True:\n        pass\n```"
        return f"```python\n{right}```"

    def _calls(self, texts: Mapping[str, str]) -> str:
        return "\n".join(f"# question {n}\n{self._call(texts, n)}\n" for n in (1, 2, 3))

    def _call(self, texts: Mapping[str, str], n: int) -> str:
        question = texts[f"QUESTION_{n}"]
        call = self._plans[question]
        if self._behaviour == "overfit":
            return f"answer = {_tool(_family_of(call))}({question!r})"
        if self._behaviour == "identity":
            return f"answer = {_tool(_family_of(call))}({self._answers[question]!r})"
        if self._behaviour == "constant":
            return f"{call}\nanswer = {self._answers[question]!r}"
        return call

    def _choice(self, texts: Mapping[str, str]) -> str:
        family = _family_of(self._plans[texts["QUESTION"]])
        return family if re.search(rf"^{family}: ", texts["TOOLS"], re.MULTILINE) else NONE

    def _answer(self, texts: Mapping[str, str]) -> str:
        return f"Answer: {self._answers.get(texts.get('QUESTION', ''), '?')}"


class ScriptedUser(LLM):
    """An `LLM` that calls tools and answers alone, with given shares of right, wrong, unparsable and empty samples.
    The output depends only on the prompt and the seed."""

    def __init__(self, plans: Mapping[str, str], answers: Mapping[str, str], **shares: float) -> None:
        self._expert = ScriptedMaker("right", plans, answers)
        self._shares = shares

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples, each drawn from `derive_seed(sampling.seed, i)` alone."""
        (right,) = await self._expert.sample(prompt, n=1, sampling=sampling)
        return [self._sample(right.text, prompt, Random(derive_seed(sampling.seed, i))) for i in range(n)]

    def _sample(self, right: str, prompt: Prompt, rng: Random) -> Completion:
        drawn = rng.choices(list(self._shares), list(self._shares.values()))[0]
        text = {
            "right": right,
            "wrong": re.sub(r'"[^"]*"|\d+', '"x"', right, count=1),
            "unparsable": f"I call the tool with these values. {STOP}",
            "empty": STOP,
        }[drawn]
        return _completion(text, prompt, _LOGPROBS[drawn])
