import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from rest_react.errors import ModelFault, OutsideFault
from rest_react.prompts import Exemplar, StepPrompt, closing
from rest_react.records import Candidate, Completion, Fault, Prompt, Question, Sampling, Step, Trajectory, Usage
from rest_react.seeds import derive_seed
from rest_react.tasks.protocol import Policy
from rest_react.tasks.rollout import Rollout, StepPrompts, parse_each
from rest_react.trajectories.parsed import ParsedAction, ParsedStep

QUESTION = Question("q1", "What is it?")
SHOWN = StepPrompt("# Say it.\n", (Exemplar("old state", "word # [END]"),))


class Sayings:
    """Gives back one list of samples after the other, or raises; keeps what it was asked."""

    def __init__(self, *replies: Sequence[Completion] | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[Prompt, int, Sampling]] = []

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        self.asked.append((prompt, n, sampling))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return list(reply)

    async def aclose(self) -> None: ...


def parse(step: Step) -> ParsedStep:
    """One word is an action, anything else is none."""
    return parse_each(
        step,
        lambda text: ParsedAction(None, "not one word") if " " in text else ParsedAction(text, "", text, text, True),
    )


def rollout(llm: Sayings, *, tuned: bool = True, exemplars="untuned", watch=lambda _: None) -> Rollout:
    prompts = StepPrompts({"say": SHOWN}, {"say": "Now say it."}, exemplars)
    return Rollout(Policy(llm, 2, 0.5, 64, "majority", tuned), prompts, parse, 7, watch)


def said(text: str, finish: str = "stop") -> Completion:
    return Completion(text, 3, -1.0, finish, 10)


def test_a_rollout_collects_its_steps_and_usage() -> None:
    seen: list[ParsedStep] = []
    llm = Sayings([said("two words"), said("yes  # [END] more", "length")], [said("no"), said("no")])
    taken = rollout(llm, watch=seen.append)
    draft = asyncio.run(taken.ask("say", "first"))
    answer = asyncio.run(taken.ask("say", "second"))
    first = Step(
        "say", "first", (Candidate("two words", 3, -1.0, "stop", "not one word"), Candidate("yes", 3, -1.0, "stop")), 1
    )
    second = Step("say", "second", (Candidate("no", 3, -1.0, "stop"),) * 2, 0)
    assert (draft.action, answer.action) == ("yes", "no")
    assert taken.finished("q1.0", QUESTION, answer="no", draft="yes") == Trajectory(
        "q1.0", "q1", "What is it?", "finished", None, (first, second), "yes", "no", Usage(2, 20, 12)
    )
    assert [step.step for step in seen] == [first, second]
    assert [(n, sampling) for _, n, sampling in llm.asked] == [
        (2, Sampling(0.5, 64, derive_seed(7, index), stop=("# [END]",))) for index in (0, 1)
    ]


def test_of_a_sample_that_was_cut_off_a_newline_at_the_end_stays_since_its_last_line_is_whole() -> None:
    llm = Sayings(
        [said("yes\n \n", "length"), said("\n\n", "length"), said("yes \n\n"), said("no  ", "length"), said("on")]
    )
    taken = rollout(llm)
    asyncio.run(taken.ask("say", "state"))
    assert [(one.text, one.finish) for one in taken.steps[0].candidates] == [
        ("yes\n", "length"), ("", "length"), ("yes", "stop"), ("no", "length"), ("on", "stop"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "whose", "message", "steps"),
    [
        (OutsideFault("HTTP 503"), "outside", "HTTP 503", 1),
        (ModelFault("refused"), "model", "refused", 1),
        ([said("a b"), said("c d")], "model", "no usable sample at step 1 (say): not one word", 2),
        ([said("cut", "length")], "model", "no usable sample at step 1 (say): cut off at 3 tokens", 2),
        ([replace(said("cut", ""), tokens=64)], "model", "no usable sample at step 1 (say): cut off at 64 tokens", 2),
    ],
)
def test_a_failed_rollout_keeps_its_steps(reply, whose: str, message: str, steps: int) -> None:
    taken = rollout(Sayings([said("yes")], reply))
    asyncio.run(taken.ask("say", "first"))
    with pytest.raises((ModelFault, OutsideFault)) as error:
        asyncio.run(taken.ask("say", "second"))
    failed = taken.failed("q1.0", QUESTION, error.value, draft="yes")
    assert (failed.outcome, failed.fault, failed.draft, failed.answer) == ("failed", Fault(whose, message), "yes", "")
    assert (len(failed.steps), failed.usage.calls) == (steps, steps)


@pytest.mark.parametrize(
    ("exemplars", "tuned", "shown"),
    [("untuned", False, True), ("untuned", True, False), ("always", True, True), ("never", False, False)],
)
def test_the_setting_decides_which_policies_get_exemplars(exemplars: str, tuned: bool, shown: bool) -> None:
    llm = Sayings([said("yes")])
    asyncio.run(rollout(llm, tuned=tuned, exemplars=exemplars).ask("say", "state"))
    expected = SHOWN.prompt("state", closing("Now say it.")) if shown else Prompt("", "state")
    assert llm.asked[0][0] == expected
