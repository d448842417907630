"""Search question answering as a `Task`.

    task = SearchQA(SearchAgent(search, prompts, max_searches=5))
    reader = SearchQA()          # for stored trajectories, without a search engine

Not here: the agent (agent), its verifier (verifier), and making it from settings (settings).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from rest_react.judges.grader import Grader, RuleGrader, rule_verdict
from rest_react.judges.results import fault_verdict, result_of
from rest_react.records import LabelledQuestion, Question, Result, Step, Trajectory, Verdict
from rest_react.tasks.protocol import Policy, Task, Watch
from rest_react.tasks.search_qa.actions import CheckAnswer
from rest_react.tasks.search_qa.agent import SearchAgent, answer_question
from rest_react.tasks.search_qa.judging.corruptions import corruptions
from rest_react.tasks.search_qa.judging.evidence import evidence_of, gathering_of, passages_selected
from rest_react.tasks.search_qa.judging.verifier import violations_of
from rest_react.tasks.search_qa.step import parse_step
from rest_react.tasks.search_qa.views import conversation
from rest_react.tasks.search_qa.views.messages import as_conversation
from rest_react.trajectories.chat_messages import Conversation
from rest_react.trajectories.parsed import Evidence, ParsedStep, ParsedTrajectory, Violations
from rest_react.trajectories.step_view import StepView


@dataclass(frozen=True, slots=True)
class SearchQA(Task):
    """The task. `agent` is None if trajectories are only read. Training data are filtered by the last grounding check
    (`only_grounded`), the number of searches, and that of different passages selected."""

    agent: SearchAgent | None = None
    only_grounded: bool = False
    max_searches: int | None = None
    min_passages: int | None = None

    async def rollout(
        self, question: Question, policy: Policy, *, trajectory_id: str, seed: int, watch: Watch = lambda _: None
    ) -> Trajectory:
        """Answers one question, from the first decision to the last self-check."""
        assert self.agent is not None
        return await answer_question(self.agent, policy, question, trajectory_id=trajectory_id, seed=seed, watch=watch)

    def parse(self, step: Step) -> ParsedStep:
        """Parses the candidates of a step."""
        return parse_step(step)

    async def grade(self, labelled: LabelledQuestion, trajectory: Trajectory, grader: Grader, *, seed: int) -> Result:
        """Grades the final answer and the draft. If a self-check failed, there is no final answer, but the draft is
        still graded."""

        async def verdict(answer: str) -> Verdict:
            return fault_verdict(trajectory) or await grader.grade(labelled, answer, seed=seed)

        after = await verdict(trajectory.answer)
        finished = trajectory.outcome == "finished"
        if not finished and trajectory.draft and not after.owed:
            before = await grader.grade(labelled, trajectory.draft, seed=seed)
        else:
            before = after if trajectory.draft == trajectory.answer else await verdict(trajectory.draft)
        beside = finished and not isinstance(grader, RuleGrader)
        by_rule = rule_verdict(labelled, trajectory.answer) if beside else None
        return result_of(labelled, trajectory, after, before=before, rule_verdict=by_rule)

    def may_train(self, trajectory: ParsedTrajectory) -> bool:
        """Whether the trajectory passes the filters, which are off by default, as in the paper."""
        if self.max_searches is not None and trajectory.trajectory.usage.searches > self.max_searches:
            return False
        if self.min_passages is not None and passages_selected(self.evidence(trajectory)) < self.min_passages:
            return False
        if not self.only_grounded:
            return True
        checks = [parsed for parsed in trajectory.steps if parsed.step.kind == "grounding" and parsed.chosen]
        last = checks[-1].chosen if checks else None
        return last is not None and isinstance(last.action, CheckAnswer) and last.action.passed

    def evidence(self, trajectory: ParsedTrajectory) -> Evidence:
        """The final answer, its short form, the queries, and the search results."""
        return evidence_of(trajectory)

    def gathering(self, step: ParsedStep) -> tuple[str, ...]:
        """The query of a search; the results that a selection chooses, and from which."""
        return gathering_of(step)

    def corruptions(self, step: Step, output: str, rng: Random) -> Iterator[str]:
        """The output with one error of small policies each: a query without its name, a wrong link, a missing claim."""
        return corruptions(step.kind, step.state, output, rng)

    def render(self, steps: Sequence[ParsedStep]) -> list[StepView]:
        """The views of the steps: thoughts, searches, results, checks."""
        return conversation.render(steps)

    def citations(self, trajectory: Trajectory) -> Iterator[str]:
        """The search results that the answer cites, one line each."""
        return conversation.sources(trajectory)

    def conversation(self, trajectory: ParsedTrajectory, *, gold: bool) -> Conversation:
        """The question, searches as tool calls, their results, and the final answer."""
        return as_conversation(trajectory.trajectory, trajectory.steps)

    def violations(self, trajectory: ParsedTrajectory) -> Violations:
        """The violations of each candidate and of the answer, by the rules for questions of the built-in world."""
        return violations_of(trajectory)
