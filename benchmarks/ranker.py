"""A reward model of the policy's own size: the base model tuned to say whether a step's output is good.

    python -m benchmarks.ranker --run outputs/default        into outputs/default/ranker, about 10 minutes on 2 cores

It learns from the run's demonstrations alone. At each of their states the plan's own next step is a row that ends in
" yes", and a corruption of it a row that ends in " no": a mistake of the scripted expert's, or as often the right
output with a name replaced by another of the state's. `Ranker.score` is the log-odds of the two words.

Labels of questions that are grown on or evaluated are not used. Not here: where a ranker beats perplexity (selection).
"""

import argparse
import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from rest_react.agent import TRAJECTORIES
from rest_react.build import Parts
from rest_react.cli import compose
from rest_react.finetune import finetune
from rest_react.llm.scripted import ScriptedLLM
from rest_react.prompting import STOP
from rest_react.records import Example, Prompt, Sampling, Step, Trajectory, derive_seed
from rest_react.store import RunFolder, read_lines
from rest_react.weights import encode_completion, encode_prompt

MARK = "\n# good:"
YES, NO = " yes", " no"
_NAME = re.compile(r"\b[A-Z][a-z]+ [A-Z][a-z]+\b|\b[A-Z][a-z]{3,}\b|\b\d{4}\b")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TARGET = "ACTION_SELECTED = "


def main() -> None:
    """Trains the ranker, or finds it trained."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--run", type=Path, default=Path("outputs/default"))
    arguments.add_argument("overrides", nargs="*", help="the run's own overrides, and the ranker's finetune.*")
    given = arguments.parse_args()
    parts = Parts(compose([*given.overrides, "demonstrations.epochs=null"]), RunFolder(given.run))
    steps = [
        (f"{trajectory.id}.{index}", step)
        for trajectory in read_lines(RunFolder(given.run).stage(0, "grow") / TRAJECTORIES, Trajectory)
        for index, step in enumerate(trajectory.steps)
        if not step.forced
    ]
    rows = asyncio.run(pairs(parts, steps))
    trained = finetune(parts.trainer(1), rows, parts.starting_model(), given.run / "ranker", seed=0)
    print(asyncio.run(trained).name)


async def pairs(parts: Parts, steps: Sequence[tuple[str, Step]]) -> list[Example]:
    """One good and one corrupted row for each step of the demonstrations."""
    experts = [
        ScriptedLLM(parts.world.plans, seed=0, right=1 - wrong, wrong=wrong, unparsable=0.0, empty=0.0)
        for wrong in (0.0, 1.0)
    ]
    rows = []
    for id_, step in steps:
        sampling = Sampling(1.0, 256, derive_seed(0, id_))
        samples = [(await expert.sample(Prompt("", step.state), n=1, sampling=sampling))[0] for expert in experts]
        good, bad = (sample.text.partition(STOP)[0].rstrip() for sample in samples)
        rng = Random(derive_seed(1, id_))
        if rng.random() < 0.5:
            bad = swapped(step.state, good, rng) or bad
        rows += [judged_row(id_, step, good, YES), judged_row(id_, step, bad, NO)]
    return rows


def judged_row(id_: str, step: Step, output: str, verdict: str) -> Example:
    """A state with an output, and what to say of it."""
    return Example(f"{id_}{verdict}", id_, 0, step.kind, f"{step.state}{output}{MARK}", verdict, "gold")


def swapped(state: str, output: str, rng: Random) -> str | None:
    """The output with one name or year of its action replaced by another of the state's; None where there is none."""
    head, mark, action = output.partition(_TARGET)
    names = set(_NAME.findall("\n".join(_TEXT.findall(state))))
    found = sorted(names & set(_NAME.findall(action)))
    if not found:
        return None
    old = rng.choice(found)
    others = [name for name in sorted(names) if name not in action and name.isdigit() == old.isdigit()]
    return f"{head}{mark}{action.replace(old, rng.choice(others))}" if others else None


class Ranker:
    """Log-odds of " yes" against " no" after a state and an output."""

    def __init__(self, weights: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(weights)
        self._model: Any = AutoModelForCausalLM.from_pretrained(weights)
        self._words = [encode_completion(self._tokenizer, word)[0] for word in (YES, NO)]

    def score(self, step: Step, usable: Sequence[int]) -> list[float]:
        """One figure for each usable candidate, higher is better."""
        return [self._log_odds(f"{step.state}{step.candidates[i].text}{MARK}") for i in usable]

    def _log_odds(self, text: str) -> float:
        import torch

        tokens = torch.tensor([encode_prompt(self._tokenizer, Prompt("", text), "completion")])
        with torch.inference_mode():
            logits = self._model(tokens, logits_to_keep=1).logits[0, -1]
        return float(logits[self._words[0]] - logits[self._words[1]])


if __name__ == "__main__":
    main()
