"""The task tool_maker: a question is answered by a call of a tool, which a stronger model has made.

    QUESTION = "Puzzle 7. Sort these words ...: pear, fig"

    # step: call
    answer = sorted_words(['pear', 'fig'])  # [END]          the sandbox runs it: fig, pear

A trajectory has the steps dispatch (which tool? only with `task.dispatch`) and use; or alone (the model answers without
a tool); or, for a question that asks for a tool, the maker's conversation. The id of a built-in question says which
(items). The policy is the user; maker and dispatcher are models of their own, whose tokens are counted by role.

A call is usable if it runs, calls the tool, and its answer comes from the tool; votes count answers. So Improve selects
among calls that execution verified, without labels. Steps of other models never train. The verifier
(`improve.keep=verified`) also asks that a call's values come from its question.
Not here: making a tool (making), the verifier's rule (replies), the sandbox, and the tables of the report (tables).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rest_react.concurrency import gather_or_cancel
from rest_react.errors import NOT_ASKED, ModelFault, OutsideFault
from rest_react.judges.grader import Grader
from rest_react.judges.results import fault_verdict, result_of
from rest_react.metrics.prices import Price
from rest_react.protocols import LLM
from rest_react.records import Hit, LabelledQuestion, Question, Result, Step, Trajectory, Usage, Verdict
from rest_react.tasks.protocol import Evaluated, Policy, ResultTable, Task, Watch
from rest_react.tasks.rollout import PROMPT_TOKENS, Rollout, StepPrompts, parse_each, tokens_of_roles
from rest_react.tasks.tool_maker.families import accepts
from rest_react.tasks.tool_maker.families.problem import plain_key
from rest_react.tasks.tool_maker.items import ACCEPTED, How, how_asked
from rest_react.tasks.tool_maker.library import MadeTool, known_at_start
from rest_react.tasks.tool_maker.making import MAKER, Toolbox
from rest_react.tasks.tool_maker.replies.calls import read_answer, read_call
from rest_react.tasks.tool_maker.replies.choice import read_choice
from rest_react.tasks.tool_maker.replies.verifier import ungrounded
from rest_react.tasks.tool_maker.states import (
    NONE,
    alone_state,
    dispatch_state,
    documentation_in,
    use_state,
    without_answers,
)
from rest_react.tasks.tool_maker.step_views import ANSWER, PROBLEM, step_view
from rest_react.tasks.tool_maker.tables import tool_tables
from rest_react.text_safety.escaping import escape_control_tokens
from rest_react.trajectories.chat_messages import Conversation, one_turn_per_step
from rest_react.trajectories.parsed import ParsedAction, ParsedStep, ParsedTrajectory, Violations
from rest_react.trajectories.step_view import StepView

DISPATCHER = "task.dispatcher"


@dataclass(frozen=True, slots=True)
class ToolMaker(Task):
    """The task. `toolbox` is None where trajectories are only read. `dispatcher` is the model that chooses the tool;
    None: the policy, if `dispatches`, otherwise the family in the question's id decides."""

    prompts: StepPrompts = StepPrompts()  # noqa: RUF009
    toolbox: Toolbox | None = None
    dispatches: bool = False
    dispatcher: LLM | None = None
    run_folder: Path = Path()

    async def rollout(
        self, question: Question, policy: Policy, *, trajectory_id: str, seed: int, watch: Watch = lambda _: None
    ) -> Trajectory:
        """One question, asked as its id says."""
        assert self.toolbox is not None
        rollout, how = Rollout(policy, self.prompts, self.parse, seed, watch), how_asked(question.id)
        try:
            if how.asked == "making":
                return _made(trajectory_id, question, await self.toolbox.tool(how.family))
            if how.asked.startswith("maker"):
                policy, role = self._maker_policy(policy), MAKER
            else:
                role = ""
            if how.asked.endswith("alone"):
                action = await rollout.ask("alone", alone_state(question.text), by=policy, role=role)
            else:
                tool = await self._tool(rollout, question, how)
                observe = partial(self._observe, tool)
                state = use_state(tool.wrapper, question.text)
                action = await rollout.ask("use", state, by=policy, role=role, observe=observe)
        except (ModelFault, OutsideFault) as error:
            return rollout.failed(trajectory_id, question, error)
        return rollout.finished(trajectory_id, question, answer=action.action)

    def _maker_policy(self, policy: Policy) -> Policy:
        """The maker, sampled as the policy is."""
        assert self.toolbox is not None
        maker = self.toolbox.maker
        if maker is None:
            raise ModelFault("no maker is set (task.maker)")
        return replace(policy, llm=maker.llm, tuned=False, max_tokens=maker.max_tokens)

    async def _tool(self, rollout: Rollout, question: Question, how: How) -> MadeTool:
        """The tool for a question: the dispatcher's choice, or where it finds none, that of the question's family."""
        assert self.toolbox is not None
        family = how.family
        if self.dispatches:
            known = known_at_start(self.toolbox.library, self.run_folder, self.toolbox.to_make)
            by = None if self.dispatcher is None else replace(rollout.policy, llm=self.dispatcher, tuned=False)
            state = dispatch_state(known, question.text)
            choice = await rollout.ask("dispatch", state, by=by, role=DISPATCHER if by else "")
            family = how.family if choice.action == NONE else choice.action
        tool = await self.toolbox.tool(family)
        if not tool.verdict.accepted:
            raise ModelFault(f"{NOT_ASKED}the tool for {family} was not accepted: {tool.verdict.reason}")
        return tool

    async def _observe(self, tool: MadeTool, texts: Sequence[str]) -> tuple[Hit, ...]:
        """What the code of each sample comes to; equal code is run once."""
        assert self.toolbox is not None
        sandbox, name = self.toolbox.sandbox, tool.verdict.tool

        async def observed(code: str) -> Hit:
            if problem := read_call(code, name).problem:
                return Hit(code, PROBLEM, problem)
            outcome = await sandbox.run(tool.function, code)
            if outcome.problem:
                return Hit(code, PROBLEM, outcome.problem)
            if outcome.constant or not outcome.calls:
                return Hit(code, PROBLEM, f"the answer does not come from {name}")
            return Hit(code, ANSWER, outcome.answer)

        codes = dict.fromkeys(code for text in texts if (code := read_call(text).text))
        return tuple(await gather_or_cancel(map(observed, codes)))

    def parse(self, step: Step) -> ParsedStep:
        """Reads the candidates by their text and, for calls, by their results."""
        others = any(hit.title == PROMPT_TOKENS for hit in step.hits)

        def read(text: str) -> ParsedAction:
            parsed = _READERS[step.kind](step, text)
            return replace(parsed, complete=parsed.complete and not others)

        return parse_each(step, read)

    async def grade(self, labelled: LabelledQuestion, trajectory: Trajectory, grader: Grader, *, seed: int) -> Result:
        """Correct if the checker of the question's family accepts the answer; other questions compare texts."""
        verdict = fault_verdict(trajectory)
        if verdict is None:
            family = "" if how_asked(labelled.question.id).asked == "making" else labelled.kind
            right = accepts(family, trajectory.answer, labelled.answers)
            verdict = Verdict("correct" if right else "incorrect", f"right: {' or '.join(labelled.answers)}")
        return result_of(labelled, trajectory, verdict, before=verdict)

    def render(self, steps: Sequence[ParsedStep]) -> list[StepView]:
        """Each step with its code and its result."""
        return list(map(step_view, steps))

    def conversation(self, trajectory: ParsedTrajectory, *, gold: bool) -> Conversation:
        """One turn per step, the maker's failed tries too; without `gold` the maker's questions have no answers."""
        steps = [_as_said(parsed) for parsed in trajectory.steps]
        return one_turn_per_step(steps if gold else list(map(_without_gold, steps)))

    def violations(self, trajectory: ParsedTrajectory) -> Violations:
        """Calls whose values do not come from the question (replies.verifier). Valid for all questions."""
        question = escape_control_tokens(trajectory.trajectory.question)
        return Violations(tuple(_ungrounded(step, question) for step in trajectory.steps))

    def roles(self, trajectory: Trajectory) -> Mapping[str, tuple[int, int]]:
        """The tokens of maker and dispatcher."""
        return tokens_of_roles(trajectory.steps)

    def run_tables(self, evaluations: Sequence[Evaluated], prices: Mapping[str, Price]) -> Sequence[ResultTable]:
        """The table of families and ways to answer, and that of the dispatcher."""
        return tool_tables(evaluations, prices)


def _ungrounded(parsed: ParsedStep, question: str) -> tuple[tuple[str, ...] | None, ...]:
    step = parsed.step
    if step.kind != "use":
        return ((),) * len(parsed.actions)
    documentation = documentation_in(step.state)
    return tuple(
        None if action.action is None else tuple(ungrounded(action.target, question, documentation=documentation))
        for action in parsed.actions
    )


def _as_said(parsed: ParsedStep) -> ParsedStep:
    """A try of the maker that failed, with its reply as the action: its next try answers the problem of it."""
    step = parsed.step
    if step.kind not in ("propose", "verify") or step.chosen is not None or not parsed.actions:
        return parsed
    said = replace(parsed.actions[0], target=step.candidates[0].text)
    return replace(parsed, step=replace(step, chosen=0), actions=(said,))


def _without_gold(parsed: ParsedStep) -> ParsedStep:
    step = parsed.step
    return parsed if step.kind != "propose" else replace(parsed, step=replace(step, state=without_answers(step.state)))


def _made(trajectory_id: str, question: Question, tool: MadeTool) -> Trajectory:
    """The maker's conversation as a trajectory. Its tokens are those of the making, also if an earlier run made it."""
    verdict = tool.verdict
    usage = Usage(len(tool.conversation), verdict.prompt_tokens, verdict.completion_tokens)
    answer = ACCEPTED if verdict.accepted else f"rejected: {verdict.reason}"
    return Trajectory(
        trajectory_id, question.id, question.text, "finished", None, tool.conversation, answer, answer, usage
    )


def _read_use(step: Step, text: str) -> ParsedAction:
    call = read_call(text)
    if call.problem:
        return ParsedAction(None, call.problem)
    came_to = next((hit for hit in step.hits if hit.source == call.text and hit.title in (ANSWER, PROBLEM)), None)
    if came_to is None or came_to.title == PROBLEM:
        return ParsedAction(None, came_to.snippet if came_to else "the call was not run", call.text)
    return ParsedAction(came_to.snippet, "", call.text, plain_key(came_to.snippet), complete=True)


def _read_dispatch(step: Step, text: str) -> ParsedAction:
    choice = read_choice(text, step.state)
    if not choice:
        return ParsedAction(None, f"no tool: {text.strip()[:80]}")
    return ParsedAction(choice, "", choice, choice, complete=True)


def _read_alone(step: Step, text: str) -> ParsedAction:
    answer = read_answer(text)
    return ParsedAction(answer, "", text.strip(), plain_key(answer)) if answer else ParsedAction(None, "no answer")


def _read_maker(step: Step, text: str) -> ParsedAction:
    problem = next((candidate.problem for candidate in step.candidates if candidate.text == text), "")
    return ParsedAction(None, problem) if problem else ParsedAction(text, "", text, text)


_READERS = {
    "use": _read_use, "dispatch": _read_dispatch, "alone": _read_alone, "propose": _read_maker, "verify": _read_maker,
}  # fmt: skip
