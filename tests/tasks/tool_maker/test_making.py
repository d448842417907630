"""What a tool costs where its maker does not answer."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from rest_react.errors import ModelFault
from rest_react.records import Completion, Prompt, Sampling
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.tool_maker.items import build_items
from rest_react.tasks.tool_maker.library import Library
from rest_react.tasks.tool_maker.making import Maker, Toolbox
from rest_react.tasks.tool_maker.sandbox import Sandbox
from rest_react.tasks.tool_maker.states import CLOSINGS


class Refusing:
    """A maker that refuses every request."""

    requests = 0

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        self.requests += 1
        raise ModelFault("m: refused (content_filter)")

    async def score(self, prompt: Prompt, options: Sequence[str]) -> None: ...

    async def aclose(self) -> None: ...


def test_a_maker_that_refused_is_not_asked_again_for_each_question_of_the_run(tmp_path: Path) -> None:
    llm, items = Refusing(), build_items(0, ["word_sorting"], demonstrations=0, train=0, evaluation=1)
    maker = Maker(llm, "m", StepPrompts({}, CLOSINGS, "never"), Sandbox("limits_only"), 99, 0.0, tries=3)
    toolbox = Toolbox(Library(tmp_path), maker, lambda: items.examples, maker.sandbox)

    async def ask_three_times() -> None:
        for _ in range(3):
            with pytest.raises(ModelFault, match="refused"):
                await toolbox.tool("word_sorting")

    asyncio.run(ask_three_times())
    assert llm.requests == 1
    assert Library(tmp_path).read("word_sorting") is None  # the next run asks again
