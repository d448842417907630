"""Trains a reward model of the policy's size: the policy, tuned to say whether a step's output is good.

    python -m benchmarks.ranker --run outputs/default        writes outputs/default/ranker/model

It learns from the run's demonstrations only. For each of their states, the expert's output is a row that ends in
" yes", and a corruption of it is a row that ends in " no". Corruptions imitate errors of small policies: a query
without its name, with another relation or another name, an early Terminate, a wrong link, a missing claim, an inverted
verdict. Each state has `--draws` pairs.

No label of a Grow or benchmark question is used. Not here: the scores that the ranker gives (scores), and whether it
is better than perplexity (selection).
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.scores import MARK, NO, YES
from rest_react.build import Parts
from rest_react.config.cli import compose
from rest_react.records import Example, ModelRef, Step, Trajectory
from rest_react.seeds import derive_seed
from rest_react.stages.finetune import finetune
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import refuse_damaged_stages
from rest_react.tasks.search_qa.corruptions import corruptions


def main() -> None:
    """Trains the ranker, unless its folder has a complete one, and prints the path of its weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("outputs/default"))
    parser.add_argument("--draws", type=int, default=2, help="corruptions of each output")
    parser.add_argument("overrides", nargs="*", help="the run's own overrides, and the ranker's finetune.*")
    arguments = parser.parse_args()
    run = RunFolder(arguments.run)
    refuse_damaged_stages(run.root)
    steps = [
        (f"{trajectory.id}.{index}", step)
        for trajectory in read_lines(run.stage(0, "grow") / TRAJECTORIES, Trajectory)
        for index, step in enumerate(trajectory.steps)
        if not step.forced
    ]
    policy = ModelRef(str((run.stage(0, "finetune") / "model").resolve()), "base", tuned=True)
    trainer = Parts(compose(arguments.overrides), run).trainer(1)
    asyncio.run(finetune(trainer, pairs(steps, arguments.draws), policy, arguments.run / "ranker", seed=0))
    print(arguments.run / "ranker" / "model")


def pairs(steps: Sequence[tuple[str, Step]], draws: int) -> list[Example]:
    """One good and one corrupted row for each step of the demonstrations and each draw."""
    rows = []
    for id_, step in steps:
        good = step.candidates[step.chosen or 0].text
        for draw in range(draws):
            wrong = sorted({*corruptions(step.kind, step.state, good, Random(derive_seed(draw, id_)))} - {good})
            if wrong:
                bad = Random(derive_seed(draw, id_, "bad")).choice(wrong)
                rows += [judged_row(id_, draw, step, text, verdict) for text, verdict in ((good, YES), (bad, NO))]
    return rows


def judged_row(id_: str, draw: int, step: Step, output: str, verdict: str) -> Example:
    """One training row: a state, an output, and the verdict to generate (YES or NO)."""
    return Example(f"{id_}.{draw}{verdict}", id_, 0, step.kind, f"{step.state}{output}{MARK}", verdict, "expert")


if __name__ == "__main__":
    main()
