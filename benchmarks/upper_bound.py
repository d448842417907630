"""Runs the same loop with training targets chosen by gold labels, as an upper reference.

    python -m benchmarks.upper_bound --run outputs/embedded_full --iteration 3 experiment=embedded_full

writes into outputs/embedded_full_gold. It reuses the run's iteration 0 and first Grow, so give that run's overrides.
From then on, trajectories with a right answer are trained on: each step on its right candidate with the lowest
perplexity (`gold`), steps without one not at all. Questions of a file need their chains (docs/data_formats.md); those
without a complete one are not trained on. Rollouts still select by `agent.select`. Resumable like a run.

Labels decide the training data, so the result is a reference, never a result of the method; that is why this is not a
selector of the package. It need not be a bound: gold demands less of a trajectory than the rules do (docs/log.md).
Not here: the verdicts (gold).
"""

import argparse
import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.gold import judge_steps
from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.config.environment import environment
from rest_react.judges.grader import rule_verdict
from rest_react.loop import Loop
from rest_react.records import Example, LabelledQuestion, Trajectory
from rest_react.stages.improve.improve import EXAMPLES
from rest_react.stages.reuse import copy_stage
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import differing_settings, lock_settings
from rest_react.storage.summaries import read_summary, refuse_damaged_stages, write_summary
from rest_react.tasks.search_qa.scripted.chain_plans import NoPlan, Titles


class GoldLoop(Loop):
    """The loop, with targets chosen by gold."""

    async def run_improve(self, k: int) -> None:
        """Writes Improve's examples by gold and marks the stage complete, so that Improve skips it."""
        stage = self.folder.stage(k, "improve")
        if k and read_summary(stage) is None:
            replace_lines(stage / EXAMPLES, await self.right_examples(k))
            write_summary(stage, {"selector": "gold"})
        await super().run_improve(k)

    async def right_examples(self, k: int) -> list[Example]:
        """One example for each step with a right candidate, of the trajectories with a right answer.

        Its target is the right candidate with the lowest perplexity.
        """
        gold = self.gold()
        search = self.parts.search(self.grow_set.passages)
        found = []
        for trajectory in read_lines(self.folder.stage(k, "grow") / TRAJECTORIES, Trajectory):
            if trajectory.outcome != "finished" or trajectory.question_id not in gold:
                continue
            asked, titles = gold[trajectory.question_id]
            if rule_verdict(asked, trajectory.answer).verdict != "correct":
                continue
            for judged in await judge_steps(trajectory, asked, titles, search):
                step = judged.step
                right = [c for c, is_right in zip(step.candidates, judged.right, strict=True) if is_right]
                if right:
                    best = min(right, key=lambda candidate: candidate.perplexity or float("inf"))
                    index = int(judged.id.rpartition(".")[2])
                    found.append(Example(judged.id, trajectory.id, index, step.kind, step.state, best.text, "gold"))
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
        found = {}
        for question in opened.labelled:
            with suppress(NoPlan):
                names = list(dict.fromkeys(titles.of(lookup) for lookup in question.chain))
                gold = replace(question, passages=tuple(ids[name] for name in names if name in ids))
                found[question.question.id] = (gold, names)
        return {id_: (question, names) for id_, (question, names) in found.items() if names}


def main() -> None:
    """Copies iteration 0 and the first Grow, then continues with gold targets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--iteration", type=int, default=3)
    parser.add_argument("overrides", nargs="*", help="the run's own overrides, e.g. experiment=embedded_full")
    arguments = parser.parse_args()
    name = f"{arguments.run.name}_gold"
    overrides = [f"run={name}", f"output={arguments.run.parent.resolve()}", f"iteration={arguments.iteration}"]
    settings = compose([*arguments.overrides, *overrides])
    run, folder = RunFolder(arguments.run), RunFolder(arguments.run.parent / name)
    if not (arguments.run / "iter_0" / "finetune" / "summary.json").exists():
        parser.error(f"{arguments.run} has no complete iteration 0; first run run={arguments.run.name} iteration=0")
    if differing := differing_settings(run.root, locked_settings(settings)):
        parser.error(f"give the run's own overrides: {', '.join(differing)} differ from those of {arguments.run}")
    parts = Parts(settings, folder)
    refuse_damaged_stages(run.root)
    with folder.locked():
        for shared in ("iter_0", "iter_1/grow"):
            copy_stage(run, folder, shared)
        lock_settings(folder.root, locked_settings(settings), environment(parts.prompts.digest()))
        asyncio.run(GoldLoop(settings, parts).run_to(arguments.iteration))


if __name__ == "__main__":
    main()
