"""Making a tool: propose a function, verify calls of it, wrap both as the text that a user is shown.

    made = await make_tool(maker, examples, FAMILIES["word_sorting"].is_right, seed=7)
    made.verdict.accepted, made.verdict.reason        # False, "question 2: the answer of the call is wrong"

1. Propose: the maker sees three solved questions and writes one function. It counts if the sandbox can define it.
2. Verify: it sees the function and three other questions, without their answers, and writes one call for each. The
   runner, outside the sandbox, compares: each question needs a call that calls the function exactly once and whose
   answer is right and comes from the function. The function must compute: a call may not bring the right answer with it
   (replies.verifier.brought), and the function may not return the same argument, or value of a mapping under the same
   key, in all calls. What failed is told to the maker, up to `tries` times for each stage.
3. Wrap: the head and documentation of the function, and the verified calls. No model is needed for that.

A tool that fails is not used. (The original lets a function pass after three failures, accepts an empty reply, and
shows the maker the answers that its own tests compare with.)
Not here: the folder of tools (library), and which question needs which tool (task).
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeAlias

from rest_react.errors import ModelFault, OutsideFault
from rest_react.prompts import STOP
from rest_react.protocols import LLM
from rest_react.records import Candidate, Hit, LabelledQuestion, Sampling, Step
from rest_react.seeds import derive_seed
from rest_react.tasks.rollout import PROMPT_TOKENS, StepPrompts, tokens_of_roles
from rest_react.tasks.sample_end import ended
from rest_react.tasks.tool_maker.families import FAMILIES, accepts
from rest_react.tasks.tool_maker.items import SHOWN
from rest_react.tasks.tool_maker.library import Library, MadeTool, ToolVerdict
from rest_react.tasks.tool_maker.replies.calls import Code, read_call, read_calls, read_function
from rest_react.tasks.tool_maker.replies.verifier import brought
from rest_react.tasks.tool_maker.sandbox import Sandbox
from rest_react.tasks.tool_maker.states import propose_state, verify_state, wrapper
from rest_react.tasks.tool_maker.step_views import ANSWER
from rest_react.text_safety.escaping import quote
from rest_react.trajectories.parsed import CUT_OFF

_FAILED_FOR_S = 300.0  # a maker that could not be reached is not asked again before
MAKER = "task.maker"  # the role: the name of its settings
EXAMPLE = 200  # characters of a question that stands for its family in the dispatcher's list
IsRight: TypeAlias = Callable[[str, Sequence[str]], bool]


@dataclass(frozen=True, slots=True)
class Maker:
    """The model that makes tools, and how it is asked."""

    llm: LLM
    name: str
    prompts: StepPrompts
    sandbox: Sandbox
    max_tokens: int
    temperature: float
    tries: int


@dataclass(slots=True)
class _Making:
    """The conversation so far."""

    maker: Maker
    seed: int
    steps: list[Step] = field(default_factory=list)

    async def ask(self, kind: str, state: str) -> str:
        """The maker's reply to a state."""
        maker = self.maker
        seed = derive_seed(self.seed, len(self.steps))
        sampling = Sampling(maker.temperature, maker.max_tokens, seed, stop=(STOP,), logprobs=False)
        (reply,) = await maker.llm.sample(maker.prompts.prompt(kind, state, tuned=False), n=1, sampling=sampling)
        text, finish = ended(reply, maker.max_tokens)
        text, tokens = text.rstrip(), Hit(MAKER, PROMPT_TOKENS, str(reply.prompt_tokens))
        self.steps.append(Step(kind, state, (Candidate(text, reply.tokens, reply.logprob, finish),), 0, hits=(tokens,)))
        return "" if finish == CUT_OFF else text

    def note(self, problem: str, *hits: Hit) -> None:
        """The result of the last reply."""
        step = self.steps[-1]
        cut = step.candidates[0].finish == CUT_OFF
        told = f"the reply was cut off at {step.candidates[0].tokens} tokens" if cut else problem
        candidate = replace(step.candidates[0], problem=told)
        self.steps[-1] = replace(step, candidates=(candidate,), chosen=None if told else 0, hits=(*step.hits, *hits))

    def tries(self, kind: str) -> int:
        return sum(step.kind == kind for step in self.steps)


async def make_tool(maker: Maker, examples: Sequence[LabelledQuestion], is_right: IsRight, seed: int) -> MadeTool:
    """Makes a tool from solved questions: the first three are shown, the others verified on. Raises the errors of the
    client and of the sandbox; a model that fails is a tool that was not accepted."""
    shown, asked = examples[:SHOWN], examples[SHOWN:]
    making = _Making(maker, seed)
    function, problem = await _propose(making, shown)
    calls: list[str] = []
    if not problem:
        calls, problem = await _verify(making, function, asked, is_right)
    prompt_tokens, completion_tokens = tokens_of_roles(making.steps)[MAKER]
    verdict = ToolVerdict(
        accepted=not problem,
        reason=problem,
        maker=maker.name,
        tool=function.name,
        summary=function.summary,
        proposals=making.tries("propose"),
        verifications=making.tries("verify"),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )
    texts = [example.question.text for example in asked]
    text = "" if problem else wrapper(function.summary, zip(texts, calls, strict=True))
    return MadeTool(verdict, function.text, text, tuple(making.steps))


async def _propose(making: _Making, shown: Sequence[LabelledQuestion]) -> tuple[Code, str]:
    """A function that can be defined, and the problem if there is none."""
    code, problem = Code(), ""
    for _ in range(making.maker.tries):
        reply = await making.ask("propose", propose_state(shown, code.text, problem))
        code = read_function(reply)
        problem = code.problem
        if not problem:
            outcome = await making.maker.sandbox.run(code.text)
            problem = outcome.problem or ("" if outcome.tool == code.name else "the last function is not the tool")
        making.note(problem)
        if not problem:
            break
    return code, problem


async def _verify(
    making: _Making, function: Code, asked: Sequence[LabelledQuestion], is_right: IsRight
) -> tuple[list[str], str]:
    """A verified call for each question, and the problem if there is one."""
    earlier, problem, calls = "", "", list[str]()
    for _ in range(making.maker.tries):
        earlier = await making.ask("verify", verify_state(function.text, asked, earlier, problem))
        found = read_calls(earlier, len(asked))
        checked = [
            await _checked(making.maker.sandbox, function, text, example, is_right)
            for text, example in zip(found, asked, strict=True)
        ]
        calls = [one.call for one in checked]
        problems = [f"question {n}: {one.problem}" for n, one in enumerate(checked, start=1) if one.problem]
        problem = "; ".join(problems) or _echo_problem(function.name, checked)
        answers = [Hit(one.call, ANSWER, one.answer) for one in checked if one.answer]
        making.note(problem, *answers)
        if not problem:
            break
    return calls, problem


class _Checked(NamedTuple):
    """A call, its answer, its problem, and the arguments that the function returned as they were."""

    call: str
    answer: str
    problem: str
    echoed: tuple[str, ...] = ()


def _echo_problem(name: str, checked: Sequence[_Checked]) -> str:
    """A right tool may return one of its arguments (who of five?), but not the same one for every question."""
    same = set.intersection(*(set(one.echoed) for one in checked)) if checked else set[str]()
    return f"{name} only returns an argument of the call; it must compute the answer" if same else ""


async def _checked(
    sandbox: Sandbox, function: Code, text: str, example: LabelledQuestion, is_right: IsRight
) -> _Checked:
    """Runs one call and compares its answer. The right answer stays in this process."""
    call = read_call(text, function.name)
    if call.problem:
        return _Checked("", "", call.problem)
    outcome = await sandbox.run(function.text, call.text)
    if outcome.problem:
        return _Checked(call.text, "", outcome.problem)
    problem = ""
    if outcome.calls != 1:
        problem = f"{function.name} was called {outcome.calls} times, not once"
    elif outcome.constant:
        problem = f"the answer does not come from {function.name}"
    elif not is_right(outcome.answer, example.answers):
        problem = "the answer of the call is wrong"
    elif any(is_right(value, example.answers) for value in brought(call.text, example.question.text)):
        problem = f"the answer is written in the call; {function.name} must compute it from the values of the question"
    return _Checked(call.text, outcome.answer, problem, outcome.echoed)


@dataclass(slots=True)
class Toolbox:
    """The tools of a run. A tool that no run has made yet is made when it is first needed, once, from the `examples` of
    its family; without a maker only tools in the library can be used."""

    library: Library
    maker: Maker | None
    examples: Callable[[], Mapping[str, Sequence[LabelledQuestion]]]
    sandbox: Sandbox
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    # By family: a maker that refused is not asked and paid again by this command; one that failed, not for a while.
    _failures: dict[str, tuple[ModelFault | OutsideFault, float]] = field(default_factory=dict)

    def to_make(self) -> dict[str, str]:
        """The user's own families whose tool can be made and was not yet, each with what a dispatcher is told of it."""
        own = {} if self.maker is None else {k: v for k, v in self.examples().items() if k not in FAMILIES}
        shown = {family: quote(solved[0].question.text[:EXAMPLE]) for family, solved in own.items()}
        return {
            family: f"no tool yet; name it to have one made, for questions such as {example}"
            for family, example in shown.items()
            if self.library.read(family) is None
        }

    async def tool(self, family: str) -> MadeTool:
        """The tool of a family, or the attempt to make it. Raises ModelFault where there is nothing to make it from, or
        the maker refuses to answer; OutsideFault where the maker or the sandbox fails, or has just failed."""
        async with self._locks.setdefault(family, asyncio.Lock()):
            if (found := self.library.read(family)) is not None:
                return found
            examples = self.examples().get(family, ())
            if self.maker is None or len(examples) < 2 * SHOWN:
                missing = (
                    "no maker is set (task.maker)" if self.maker is None else "there are no solved questions of it"
                )
                raise ModelFault(f"no tool for {family or 'this question'}, and {missing}")
            if family in self._failures:
                earlier, when = self._failures[family]
                if isinstance(earlier, ModelFault) or time.monotonic() - when < _FAILED_FOR_S:
                    raise type(earlier)(str(earlier))
            try:
                made = await make_tool(self.maker, examples, partial(accepts, family), derive_seed("tool", family))
            except (ModelFault, OutsideFault) as failure:
                self._failures[family] = (failure, time.monotonic())
                raise
            self.library.write(family, made)
            return self.library.read(family) or made
