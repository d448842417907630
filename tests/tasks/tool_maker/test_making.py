"""Which tools are accepted, and what a tool costs where its maker does not answer."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.errors import ModelFault, OutsideFault
from rest_react.prompts import STOP
from rest_react.protocols import LLM
from rest_react.records import Completion, Prompt, Sampling
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.tool_maker.families import FAMILIES
from rest_react.tasks.tool_maker.items import ToolItems, build_items
from rest_react.tasks.tool_maker.library import Library, ToolVerdict
from rest_react.tasks.tool_maker.making import Maker, Toolbox, make_tool
from rest_react.tasks.tool_maker.replies.verifier import brought
from rest_react.tasks.tool_maker.sandbox import Sandbox
from rest_react.tasks.tool_maker.scripted import ScriptedMaker
from rest_react.tasks.tool_maker.states import CLOSINGS


class Refusing:
    """A maker that refuses every request, or cannot be reached."""

    def __init__(self, failure: ModelFault | OutsideFault) -> None:
        self.failure = failure
        self.requests = 0

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        self.requests += 1
        raise self.failure

    async def score(self, prompt: Prompt, options: Sequence[str]) -> None: ...

    async def aclose(self) -> None: ...


class Unended(ScriptedMaker):
    """The right maker at a server that does not tell how a reply ended, and gives no end mark."""

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        found = await super().sample(prompt, n=n, sampling=sampling)
        return [replace(one, text=one.text.removesuffix(STOP), tokens=90, finish="") for one in found]


class Changed(ScriptedMaker):
    """The right maker, whose replies to one kind of step are changed."""

    def __init__(self, items: ToolItems, step: str, change: Callable[[str], str]) -> None:
        super().__init__("right", items.plans, items.answers())
        self.step, self.change = step, change

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        found = await super().sample(prompt, n=n, sampling=sampling)
        if not prompt.state.rstrip().endswith(f"# step: {self.step}"):
            return found
        return [replace(one, text=f"{self.change(one.text.removesuffix(STOP))}{STOP}") for one in found]


def without_the_last_call(text: str) -> str:
    return text.rpartition("# question 3")[0]


def twice(text: str) -> str:
    return re.sub(r"^(answer = .*)$", r"\1\n\1", text, count=1, flags=re.MULTILINE)


def backwards(text: str) -> str:
    return text.replace("sorted(words)", "sorted(words)[::-1]")


@pytest.mark.parametrize(
    ("step", "change", "told"),
    [
        ("function", lambda text: "", "the reply has no code"),
        ("function", backwards, "question 1: the answer of the call is wrong"),
        ("calls", lambda text: "", "question 1: the reply has no code"),
        ("calls", without_the_last_call, "question 3: the reply has no code"),
        ("calls", twice, "question 1: sorted_words was called 2 times, not once"),
    ],
    ids=["no function", "wrong function", "no call", "a call is missing", "called twice"],
)
def test_a_tool_is_accepted_only_if_one_right_call_of_it_answers_each_question(
    step: str, change: Callable[[str], str], told: str
) -> None:
    items = build_items(0, ["word_sorting"], demonstrations=0, train=0, evaluation=1)
    sandbox = Sandbox("limits_only")

    def made_by(llm: LLM) -> ToolVerdict:
        maker = Maker(llm, "m", StepPrompts({}, CLOSINGS, "never"), sandbox, 999, 0.0, tries=1)
        family = FAMILIES["word_sorting"]
        return asyncio.run(make_tool(maker, items.examples["word_sorting"], family.is_right, seed=0)).verdict

    assert made_by(Changed(items, step, lambda text: text)).accepted
    verdict = made_by(Changed(items, step, change))
    assert (verdict.accepted, verdict.reason.split("; ")[0]) == (False, told)


@pytest.mark.parametrize(("max_tokens", "accepted"), [(91, True), (90, False)])
def test_a_reply_that_reached_its_limit_is_cut_off_though_its_server_does_not_say_so(
    max_tokens: int, accepted: bool
) -> None:
    items = build_items(0, ["word_sorting"], demonstrations=0, train=0, evaluation=1)
    llm = Unended("right", items.plans, items.answers())
    maker = Maker(llm, "m", StepPrompts({}, CLOSINGS, "never"), Sandbox("limits_only"), max_tokens, 0.0, tries=1)
    made = asyncio.run(make_tool(maker, items.examples["word_sorting"], FAMILIES["word_sorting"].is_right, seed=0))
    assert made.verdict.accepted is accepted
    told = {step.candidates[0].problem for step in made.conversation}
    assert told == ({""} if accepted else {"the reply was cut off at 90 tokens"})


@pytest.mark.parametrize("failure", [ModelFault("m: refused (content_filter)"), OutsideFault("m: HTTP 503: refused")])
def test_a_maker_that_failed_is_not_asked_again_for_each_question_of_the_run(
    failure: ModelFault | OutsideFault, tmp_path: Path
) -> None:
    llm, items = Refusing(failure), build_items(0, ["word_sorting"], demonstrations=0, train=0, evaluation=1)
    maker = Maker(llm, "m", StepPrompts({}, CLOSINGS, "never"), Sandbox("limits_only"), 99, 0.0, tries=3)
    toolbox = Toolbox(Library(tmp_path), maker, lambda: items.examples, maker.sandbox)

    async def ask_three_times() -> None:
        for _ in range(3):
            with pytest.raises(type(failure), match="refused"):
                await toolbox.tool("word_sorting")

    asyncio.run(ask_three_times())
    assert llm.requests == 1
    assert Library(tmp_path).read("word_sorting") is None  # the next run asks again


def made_for(family: str, llm: LLM, items: ToolItems) -> ToolVerdict:
    maker = Maker(llm, "m", StepPrompts({}, CLOSINGS, "never"), Sandbox("limits_only"), 999, 0.0, tries=1)
    return asyncio.run(make_tool(maker, items.examples[family], FAMILIES[family].is_right, seed=0)).verdict


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tool_that_returns_the_answer_it_is_given_is_rejected_and_the_right_one_accepted(family: str) -> None:
    items = build_items(0, [family], demonstrations=0, train=0, evaluation=1)
    assert made_for(family, ScriptedMaker("right", items.plans, items.answers()), items).accepted
    verdict = made_for(family, ScriptedMaker("identity", items.plans, items.answers()), items)
    assert "the answer is written in the call" in verdict.reason or "only returns an argument" in verdict.reason


def sorted_in_the_call(text: str) -> str:
    return re.sub(r"sorted_words\((.*)\)", r"sorted_words(', '.join(sorted(\1)))", text)


def test_a_tool_whose_calls_do_its_work_is_rejected() -> None:
    class Identity(Changed):
        async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
            found = await super().sample(prompt, n=n, sampling=sampling)
            return [replace(one, text=one.text.replace("return sorted(words)", "return words")) for one in found]

    items = build_items(0, ["word_sorting"], demonstrations=0, train=0, evaluation=1)
    verdict = made_for("word_sorting", Identity(items, "calls", sorted_in_the_call), items)
    assert verdict.reason == "sorted_words only returns an argument of the call; it must compute the answer"


class InMapping(ScriptedMaker):
    """Its calls give the function the answer in a mapping, which the function returns."""

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        found = await super().sample(prompt, n=n, sampling=sampling)
        return [replace(one, text=in_mapping(one.text)) for one in found]


def in_mapping(text: str) -> str:
    text = text.replace("(answer):\n    return answer", "(given):\n    return given['x']")
    return re.sub(r"^(answer = \w+)\((.*)\)$", r"\1({'x': \2})", text, flags=re.MULTILINE)


@pytest.mark.parametrize("family", ["word_sorting", "logical_deduction", "shuffled_objects"])
def test_a_tool_that_returns_what_a_mapping_of_the_call_holds_is_rejected(family: str) -> None:
    items = build_items(0, [family], demonstrations=0, train=0, evaluation=1)
    verdict = made_for(family, InMapping("identity", items.plans, items.answers()), items)
    assert "only returns an argument of the call; it must compute the answer" in verdict.reason


@pytest.mark.parametrize("family", FAMILIES)
def test_no_value_that_a_right_call_brings_is_a_right_answer(family: str) -> None:
    items = build_items(5, [family], demonstrations=0, train=300, evaluation=300)
    for item in (*items.train, *items.evaluation):
        values = brought(items.plans[item.question.text], item.question.text)
        assert not any(FAMILIES[family].is_right(value, item.answers) for value in values)
