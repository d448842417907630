"""How often does each selector choose a right candidate, where there is a choice between right and wrong?

    python -m benchmarks.selection --run outputs/default --questions 200

The run's policy grows on questions of a world of its own seed, into --folder (resumable); `gold` judges every
candidate; steps whose usable candidates are partly right are the mixed ones. The table has the share of right choices
of each of `scores`, per kind of step and in all, with 95% intervals clustered by question, and the paired differences
to perplexity and to rules. `random` is the expected share of a fair draw. --ask adds the ranking prompt, --ranker the
tuned ranker and the ensembles.

Not here: training on any of this.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.gold import JudgedStep, judge_steps
from benchmarks.scores import (
    Reader,
    Scores,
    asked,
    ensemble,
    likelihood,
    majority,
    perplexity,
    ranking,
    remembered,
    rules,
)
from rest_react.build import Parts
from rest_react.config.cli import compose, environment
from rest_react.metrics.intervals import Share, clustered_interval
from rest_react.questions import unlabelled
from rest_react.records import ModelRef, Trajectory
from rest_react.seeds import derive_seed
from rest_react.selection.filters import usable_candidates
from rest_react.stages.grow import grow
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.files import write_file
from rest_react.storage.jsonl import read_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings
from rest_react.tasks.search_qa.step import parse_step

SEED = 9001
Choices = dict[str, dict[str, list[float]]]


def main() -> None:
    """Grows what is missing, then prints the table as Markdown and leaves the numbers in the folder."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--run", type=Path, default=Path("outputs/default"))
    arguments.add_argument("--iteration", type=int, default=0, help="whose policy grows")
    arguments.add_argument("--questions", type=int, default=200)
    arguments.add_argument("--folder", type=Path, default=Path("outputs/selection"))
    arguments.add_argument("--ask", action="store_true", help="ask the reward model of the settings too")
    arguments.add_argument("--ranker", type=Path, help="weights of a tuned ranker (benchmarks.ranker)")
    arguments.add_argument("overrides", nargs="*", help="the run's own overrides, and others")
    given = arguments.parse_args()
    weights = RunFolder(given.run).stage(given.iteration, "finetune") / "model"
    for path in (weights, given.ranker):
        if path is not None and not path.exists():
            arguments.error(f"{path}: no weights there; bring the run to its iteration {given.iteration} first")
    world = [f"world.seed={SEED}", f"world.train={given.questions}", "world.passages=3000"]
    settings = compose([*given.overrides, *world, "improve.selector=reward_model"])
    folder = RunFolder(given.folder)
    parts = Parts(settings, folder)
    with folder.locked():
        lock_settings(
            folder.root, locked_settings(settings) | {"weights": str(weights)}, environment(parts.prompts_hash())
        )
        asyncio.run(grown(parts, weights, given.folder))
    judged = asyncio.run(steps_of(parts, given.folder))
    mixed = [step for step in judged if step.mixed]
    found = selectors(Reader(weights), Reader(given.ranker) if given.ranker else None)
    if given.ask:
        orders = asyncio.run(asked(parts, mixed))
        print(f"{len(orders)} of {len(mixed)} rankings can be used.")
        found["ranking prompt"] = ranking(orders)
    results = {name: chosen(mixed, scores) for name, scores in found.items()}
    print(table(judged, mixed, results))
    write_file(given.folder / "selection.json", json.dumps(results, indent=1))


async def grown(parts: Parts, weights: Path, folder: Path) -> None:
    """One trajectory per question by the policy, with the settings' sampling."""
    s = parts.settings
    door = parts.policy(ModelRef(str(weights.resolve()), "base", tuned=True))
    task = parts.task(parts.world.passages)
    policy = parts.sampled(door, samples=s.grow.samples, temperature=s.grow.temperature, tuned=True)
    try:
        seed = derive_seed(SEED, "grow")
        await grow(
            task, policy, unlabelled(parts.world.train), folder, repeats=1, seed=seed, in_flight=s.policy.in_flight,
            prices=parts.prices,
        )  # fmt: skip
    finally:
        await door.aclose()


async def steps_of(parts: Parts, folder: Path) -> list[JudgedStep]:
    """What was grown, judged."""
    labelled = {question.question.id: question for question in parts.world.train}
    search = parts.search(parts.world.passages)
    judged = []
    for walk in read_lines(folder / TRAJECTORIES, Trajectory):
        titles = [hop.title for hop in parts.world.plans[walk.question].hops]
        judged += await judge_steps(walk, labelled[walk.question_id], titles, search)
    return judged


def selectors(policy: Reader, ranker: Reader | None) -> dict[str, Scores | None]:
    """By name; None for a fair draw."""
    pmi = remembered(policy.pmi)
    found: dict[str, Scores | None] = {
        "random": None, "perplexity": perplexity, "likelihood": likelihood, "majority": majority, "rules": rules,
        "pmi": pmi, "rules + pmi": ensemble(rules, pmi),
    }  # fmt: skip
    if ranker is not None:
        good = remembered(ranker.good)
        found |= {"ranker": good, "perplexity + ranker": ensemble(perplexity, good)}
        found |= {"rules + pmi + ranker": ensemble(rules, pmi, good)}
    return found


def chosen(mixed: Sequence[JudgedStep], scores: Scores | None) -> Choices:
    """For each kind of step and for all: by question, how right the choice on each mixed step was."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for judged in mixed:
        usable = usable_candidates(parse_step(judged.step))
        right = [bool(judged.right[i]) for i in usable]
        if scores is None:
            value = sum(right) / len(right)
        else:
            given = scores(judged, usable)
            value = float(right[max(range(len(usable)), key=given.__getitem__)])
        for kind in (judged.step.kind, "all"):
            found[kind][judged.question_id].append(value)
    return {kind: dict(values) for kind, values in found.items()}


def table(judged: Sequence[JudgedStep], mixed: Sequence[JudgedStep], results: Mapping[str, Choices]) -> str:
    """Markdown: one row per selector, one column per kind of step, and the differences to perplexity and to rules."""
    kinds = [kind for kind in ("decide", "summarise", "answer", "relevance", "grounding") if kind in results["random"]]
    wrong = sum(not any(step.right) for step in judged)
    counts = {kind: sum(step.step.kind == kind for step in mixed) for kind in kinds}
    questions = len({step.question_id for step in mixed})
    heads = ["selector", "all", *(f"{kind} (n={counts[kind]})" for kind in kinds), "- perplexity", "- rules"]
    unmixed = f"{len(judged) - wrong - len(mixed)} without a wrong candidate, {wrong} without a right one"
    lines = [
        f"{len(judged)} steps: {unmixed}, {len(mixed)} mixed (of {questions} questions).",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    for name, by_kind in results.items():
        cells = [_percent(clustered_interval(by_kind[kind])) for kind in ("all", *kinds)]
        cells += [_points(by_kind["all"], results[other]["all"]) for other in ("perplexity", "rules")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(share: Share) -> str:
    if share.mean is None or share.low is None or share.high is None:
        return "–"
    return f"{100 * share.mean:.0f}% [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def _points(values: Mapping[str, Sequence[float]], reference: Mapping[str, Sequence[float]]) -> str:
    """Step by step, so that it is the difference of the shares."""
    if values == reference:
        return ""
    pairs = {q: [a - b for a, b in zip(values[q], reference[q], strict=True)] for q in values}
    share = clustered_interval(pairs, scale=(-1.0, 1.0))
    return f"{100 * (share.mean or 0):+.0f} [{100 * (share.low or 0):+.0f}, {100 * (share.high or 0):+.0f}]"


if __name__ == "__main__":
    main()
