"""What labels would give: the same loop, with training targets chosen by the closed world's gold.

    python -m benchmarks.upper_bound --run outputs/embedded_full --iteration 3 experiment=embedded_full

into outputs/embedded_full_gold. Takes the run's iteration 0 and first Grow, and its overrides, which must be those it
was made with. From then on walks with a right answer train, each step on its likeliest right candidate (`gold`), or not
where there is none. Walks still move on by the settings' own `agent.select`. Resumable like a run. Labels decide what
is trained on: this is to compare with, never a result, which is why it is no selector of the package. It need not be a
bound: gold asks less of a walk than rules do (docs/log.md).
"""

import argparse
import asyncio
from pathlib import Path

from benchmarks.gold import judge_steps
from rest_react.build import Parts
from rest_react.config.cli import compose, environment
from rest_react.judges.grader import rule_verdict
from rest_react.records import Example, Trajectory
from rest_react.run import Loop
from rest_react.stages.improve import EXAMPLES
from rest_react.stages.reuse import copy_stage
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import differing_settings, lock_settings
from rest_react.storage.summaries import read_summary, refuse_damaged_stages, write_summary


class GoldLoop(Loop):
    """The loop, but for who chooses the targets."""

    async def run_improve(self, k: int) -> None:
        """Writes Improve's examples by gold; Improve then finds its stage complete."""
        stage = self.folder.stage(k, "improve")
        if k and read_summary(stage) is None:
            replace_lines(stage / EXAMPLES, await self.right_examples(k))
            write_summary(stage, {"selector": "gold"})
        await super().run_improve(k)

    async def right_examples(self, k: int) -> list[Example]:
        """Every step with a right candidate, with the likeliest of them, of the trajectories with a right answer."""
        world = self.parts.world
        labelled = {q.question.id: q for q in self.grow_set.labelled}
        search = self.parts.search(self.grow_set.passages)
        found = []
        for trajectory in read_lines(self.folder.stage(k, "grow") / TRAJECTORIES, Trajectory):
            asked = labelled[trajectory.question_id]
            if trajectory.outcome != "finished" or rule_verdict(asked, trajectory.answer).verdict != "correct":
                continue
            titles = [hop.title for hop in world.plans[trajectory.question].hops]
            for judged in await judge_steps(trajectory, asked, titles, search):
                step = judged.step
                right = [c for c, is_right in zip(step.candidates, judged.right, strict=True) if is_right]
                if right:
                    best = min(right, key=lambda candidate: candidate.perplexity or float("inf"))
                    index = int(judged.id.rpartition(".")[2])
                    found.append(Example(judged.id, trajectory.id, index, step.kind, step.state, best.text, "gold"))
        return found


def main() -> None:
    """Takes iteration 0 and the first Grow, then goes on by gold."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--run", type=Path, required=True)
    arguments.add_argument("--iteration", type=int, default=3)
    arguments.add_argument("overrides", nargs="*", help="the run's own overrides, e.g. experiment=embedded_full")
    given = arguments.parse_args()
    name = f"{given.run.name}_gold"
    overrides = [f"run={name}", f"output={given.run.parent.resolve()}", f"iteration={given.iteration}"]
    settings = compose([*given.overrides, *overrides])
    run, folder = RunFolder(given.run), RunFolder(given.run.parent / name)
    if not (given.run / "iter_0" / "finetune" / "summary.json").exists():
        arguments.error(f"{given.run} has no complete iteration 0; run it first, with run={given.run.name} iteration=0")
    if differing := differing_settings(run.root, locked_settings(settings)):
        arguments.error(f"give the run's own overrides: {', '.join(differing)} are not as {given.run} has them")
    parts = Parts(settings, folder)
    refuse_damaged_stages(run.root)
    with folder.locked():
        for shared in ("iter_0", "iter_1/grow"):
            copy_stage(run, folder, shared)
        lock_settings(folder.root, locked_settings(settings), environment(parts.prompts_hash()))
        asyncio.run(GoldLoop(settings, parts).run_to(given.iteration))


if __name__ == "__main__":
    main()
