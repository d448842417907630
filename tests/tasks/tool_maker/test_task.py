"""One rollout of a tool's user."""

import asyncio
from pathlib import Path
from typing import cast

from rest_react.errors import OutsideFault
from rest_react.protocols import LLM
from rest_react.records import Candidate, Completion, Prompt, Question, Sampling, Step, Trajectory, Usage
from rest_react.tasks.protocol import Policy
from rest_react.tasks.tool_maker.library import Library, MadeTool, ToolVerdict
from rest_react.tasks.tool_maker.making import Toolbox
from rest_react.tasks.tool_maker.sandbox import Outcome, Sandbox
from rest_react.tasks.tool_maker.task import ToolMaker
from rest_react.trajectories.parsed import ParsedTrajectory


class TwoCalls:
    """A policy with two different samples."""

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        return [Completion(f"answer = f({number})", 5, -1.0, "stop", 9) for number in (1, 2)]


class BreaksAtOne:
    """A sandbox that cannot be made for the first call, and takes long for the other."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def run(self, function: str, call: str = "") -> Outcome:
        if "f(1)" in call:
            raise OutsideFault("sandbox: gone")
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("finished")
        return Outcome("f", 1, "2")


def test_where_one_call_cannot_be_run_the_others_are_cancelled(tmp_path: Path) -> None:
    library, sandbox = Library(tmp_path / "tools"), BreaksAtOne()
    library.write("word_sorting", MadeTool(ToolVerdict(True, "", "m", tool="f"), "def f(x):\n    return x\n", "f(x)"))
    task = ToolMaker(toolbox=Toolbox(library, None, dict, cast(Sandbox, sandbox)))
    policy = Policy(cast(LLM, TwoCalls()), 2, 1.0, 64, "majority", tuned=True)
    question = Question("word_sorting-eval-000", "Sort 1 and 2")

    async def rollout() -> str:
        trajectory = await task.rollout(question, policy, trajectory_id="q.0", seed=0)
        await asyncio.sleep(0.1)
        return trajectory.fault.message if trajectory.fault else ""

    assert asyncio.run(rollout()) == "sandbox: gone"
    assert sandbox.ended == ["cancelled"]


def test_the_chat_of_a_maker_has_its_failed_tries_and_all_turns_behind_them() -> None:
    tries = (
        Step("propose", "solved", (Candidate("no code", 2, None, "stop", "not Python"),), None),
        Step("propose", "repair", (Candidate("def f(x): ...", 9, None, "stop"),), 0),
        Step("verify", "calls", (Candidate("answer = f(1)", 9, None, "stop", "question 1: wrong"),), None),
    )
    made = Trajectory("making.0", "making:word_sorting", "", "finished", None, tries, "", "rejected", Usage())
    parsed = ParsedTrajectory(made, tuple(map(ToolMaker().parse, tries)))
    told = [message.content for message in ToolMaker().conversation(parsed, gold=True).messages]
    assert told == ["solved", "no code", "repair", "def f(x): ...", "calls", "answer = f(1)"]
