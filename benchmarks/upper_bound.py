"""Runs the same loop with training targets chosen by gold labels, as an upper reference.

    python -m benchmarks.upper_bound experiment=wiki data=<folder> run=wiki_gold grow.reuse=wiki iteration=2

takes the settings of a run (docs/ablations.md); here it reuses the iteration 0 and first Grow of outputs/wiki.
Trajectories with a right answer are trained on: each step on its right candidate with the lowest perplexity (`gold`),
steps without one not at all, whatever the settings of Improve. With `--mixed`, steps that have right and wrong samples
are trained on, in all finished trajectories: what the best selector could do without a filter. Questions of a file need
their chains (docs/data_formats.md); those without a complete one are not trained on. Rollouts still select by
`agent.select`. Resumable like a run.

Labels decide the training data, so the result is a reference, never a result of the method; that is why this is not a
selector of the package, and why the name of such a run ends in `_gold`. It need not be a bound: gold demands less of a
trajectory than the rules do (docs/log.md).
Not here: the verdicts (gold).
"""

from rest_react.processes.command import start

if __name__ == "__main__":  # before the other imports; the reason is in processes/command.py
    start("benchmarks.upper_bound")

import argparse
import math
from collections.abc import Iterator
from functools import partial

from benchmarks.gold import JudgedStep, gold_passages, judge_steps
from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.config.settings import Settings
from rest_react.errors import ConfigError, RestReactError, UsageError
from rest_react.judges.grader import rule_verdict
from rest_react.loop import Loop
from rest_react.records import Example, LabelledQuestion, Trajectory
from rest_react.run import run
from rest_react.selection.filters import usable_candidates
from rest_react.stages.improve.improve import EXAMPLES
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.tasks.search_qa.scripted.chain_plans import Titles
from rest_react.tasks.search_qa.step import parse_step
from rest_react.terminal.console import say

TARGETS = "improve.targets"


class GoldLoop(Loop):
    """The loop, with targets chosen by gold in the trajectories with a right answer."""

    def __init__(self, settings: Settings, parts: Parts, *, mixed: bool = False) -> None:
        """With `mixed`, by gold at the steps with right and wrong samples, in all finished trajectories."""
        super().__init__(settings, parts)
        self.mixed = mixed
        self.selector = "gold_of_mixed_steps" if mixed else "gold"
        self.locked = {TARGETS: self.selector}  # else a plain run could go on in the folder, or count as the same arm

    async def run_improve(self, k: int) -> None:
        """Writes Improve's examples by gold and marks the stage complete, so that Improve skips it. Raises UsageError
        if it is complete with the other choice of steps."""
        stage = self.folder.stage(k, "improve")
        done = read_summary(stage)
        if k and done is None:
            replace_lines(stage / EXAMPLES, await self.right_examples(k))
            write_summary(stage, {"selector": self.selector})
        elif k and done and done["selector"] != self.selector:
            raise UsageError(
                f"{stage} has the targets of {done['selector']}, not of {self.selector}; choose another run="
            )
        await super().run_improve(k)

    async def right_examples(self, k: int) -> list[Example]:
        """One example for each step that trains. Its target is the right candidate with the lowest perplexity."""
        gold = self.gold()
        search, hits = self.parts.search(self.grow_set.passages), self.settings.agent.hits_per_search
        found = []
        for trajectory in read_lines(self.folder.stage(k, "grow") / TRAJECTORIES, Trajectory):
            if trajectory.outcome != "finished" or trajectory.question_id not in gold:
                continue
            asked, titles = gold[trajectory.question_id]
            if not self.mixed and rule_verdict(asked, trajectory.answer).verdict != "correct":
                continue
            for judged in await judge_steps(trajectory, asked, titles, search, hits):
                if (text := right_target(judged)) and (judged.mixed or not self.mixed):
                    index, step = int(judged.id.rpartition(".")[2]), judged.step
                    example = Example(judged.id, trajectory.id, index, step.kind, step.state, text, self.selector)
                    found.append(example)
        return found

    def gold(self) -> dict[str, tuple[LabelledQuestion, list[str]]]:
        """The questions of Grow with their labels by id, and the titles of their gold passages. A question of a file
        is left out if its chain is not in the corpus."""
        source = self.settings.grow.questions
        if source.is_world:
            plans = self.parts.question_sets.world.plans
            return {q.question.id: (q, [h.title for h in plans[q.question.text].hops]) for q in self.grow_set.labelled}
        opened = source.open_with_chains(self.parts.question_sets.context)
        titles, ids = Titles(opened.passages), {passage.title: passage.id for passage in opened.passages or ()}
        found = {one.question.id: gold_passages(one, titles, ids) for one in opened.labelled if one.chain}
        return {id_: (question, names) for id_, (question, names) in found.items() if names}


def right_target(judged: JudgedStep) -> str:
    """The target of the right candidate with the lowest perplexity, of those that may train, written as in Improve;
    empty if none is right."""
    parsed = parse_step(judged.step)
    right = [i for i in usable_candidates(parsed) if judged.right[i]]
    targets = {parsed.actions[i].target for i in right}
    same = [i for i, action in enumerate(parsed.actions) if action.target in targets]
    best = min(same, key=lambda i: judged.step.candidates[i].perplexity or math.inf, default=None)
    return "" if best is None else parsed.actions[best].target


def gold_problems(settings: Settings) -> Iterator[str]:
    """Settings with which gold would not choose the targets, or not all of them."""
    if not settings.run.endswith("_gold"):
        yield f"run: labels choose the targets of this run; name it so: run={settings.run}_gold"
    if settings.improve.max_examples is not None:
        yield "improve.max_examples: gold trains on every right step; set improve.max_examples=null"
    if settings.finetune.learns_from == "preferences":
        yield "finetune: gold gives targets and no worse candidates; set finetune=local or finetune=lora"
    if settings.grow.also:
        yield "grow.also: gold knows the questions of grow.questions alone; remove the other sets"


def main() -> None:
    """Runs the loop with gold targets, for the settings of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("overrides", nargs="*", help="settings as of rest_react.run; the run's name ends in _gold")
    parser.add_argument("--mixed", action="store_true", help="steps with right and wrong samples, of all trajectories")
    try:
        arguments = parser.parse_args()
        settings = compose(arguments.overrides)
        if problems := list(gold_problems(settings)):
            raise ConfigError(problems)
        run(settings, loop=partial(GoldLoop, mixed=arguments.mixed))
    except RestReactError as error:
        say(str(error))
        raise SystemExit(error.exit_status) from None
