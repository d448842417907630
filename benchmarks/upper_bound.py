"""What perfect selection would give: the same loop, with training targets chosen by the closed world's gold.

    python -m benchmarks.upper_bound --run outputs/embedded_full --iteration 3      into outputs/embedded_full_gold

Takes the run's settings and its iteration 0. From then on each step trains on its likeliest right candidate (`gold`)
and is dropped where there is none. Resumable like a run. Labels decide what is trained on: this is a bound to compare
with, never a result, which is why it is no selector of the package.
"""

import argparse
import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gold import judge_steps
from rest_react.agent import TRAJECTORIES
from rest_react.build import Parts
from rest_react.cli import compose, environment
from rest_react.config import sealed_view
from rest_react.improve import EXAMPLES
from rest_react.records import Example, ModelRef, Trajectory
from rest_react.run import Loop
from rest_react.store import RunFolder, read_lines, read_summary, replace_lines, write_summary


class GoldLoop(Loop):
    """The loop, but for who chooses the targets."""

    async def learn(self, k: int, model: ModelRef) -> ModelRef:
        """Writes Improve's examples by gold; Improve then finds its stage complete."""
        stage = self.folder.stage(k, "improve")
        if k and read_summary(stage) is None:
            # in a thread: telling what is right has an event loop of its own
            await asyncio.to_thread(replace_lines, stage / EXAMPLES, self.right_examples(k))
            write_summary(stage, {"selector": "gold"})
        return await super().learn(k, model)

    def right_examples(self, k: int) -> Iterator[Example]:
        """Every step of a finished trajectory with a right candidate, with the likeliest of them."""
        world = self.parts.world
        labelled = {q.question.id: q for q in self.grow_set.labelled}
        search = self.parts.search(self.grow_set.passages)
        for trajectory in read_lines(self.folder.stage(k, "grow") / TRAJECTORIES, Trajectory):
            if trajectory.outcome != "finished":
                continue
            titles = [hop.title for hop in world.plans[trajectory.question].hops]
            for judged in judge_steps(trajectory, labelled[trajectory.question_id], titles, search):
                step = judged.step
                right = [c for c, is_right in zip(step.candidates, judged.right, strict=True) if is_right]
                if right:
                    best = min(right, key=lambda candidate: candidate.perplexity or float("inf"))
                    index = int(judged.id.rpartition(".")[2])
                    yield Example(judged.id, trajectory.id, index, step.kind, step.state, best.text, "gold")


def main() -> None:
    """Copies iteration 0, then goes on by gold."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--run", type=Path, required=True)
    arguments.add_argument("--iteration", type=int, default=3)
    arguments.add_argument("overrides", nargs="*", help="the run's own overrides, e.g. experiment=embedded_full")
    given = arguments.parse_args()
    name = f"{given.run.name}_gold"
    overrides = [f"run={name}", f"output={given.run.parent.resolve()}", f"iteration={given.iteration}"]
    settings = compose([*given.overrides, *overrides])
    folder = RunFolder(given.run.parent / name)
    if not (folder.root / "iter_0").exists():
        shutil.copytree(given.run / "iter_0", folder.root / "iter_0.copy", dirs_exist_ok=True)
        (folder.root / "iter_0.copy").rename(folder.root / "iter_0")
    parts = Parts(settings, folder)
    with folder.locked():
        folder.seal(sealed_view(settings), environment(parts.prompts_hash()))
        asyncio.run(GoldLoop(settings, parts).bring_to(given.iteration))


if __name__ == "__main__":
    main()
