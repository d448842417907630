"""Measures how often each selector chooses a right candidate on steps with both right and wrong candidates.

    python -m benchmarks.selection --run outputs/default --questions 200

The run's policy grows on questions of a world with another seed, into --folder (resumable), and `gold` judges every
candidate. Mixed steps are those with some right and some wrong usable candidates. The table shows the share of right
choices for each of `scores`, by kind of step and in total, with 95% intervals clustered by question, and the paired
differences from perplexity and from rules. `random` is the expected share of a random choice. --ask adds the ranking
prompt; --ranker adds a trained judge and ensembles with it.

Not here: training on these choices.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.asked import about_steps, ask, order_scores
from benchmarks.gold import JudgedStep, judge_steps
from benchmarks.scores import (
    Reader,
    Scores,
    cached_scores,
    ensemble,
    likelihood,
    majority,
    perplexity,
    rules,
)
from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.config.environment import environment
from rest_react.metrics.intervals import Share, clustered_interval, interval_of_differences
from rest_react.questions import unlabelled
from rest_react.records import ModelRef, Trajectory
from rest_react.seeds import derive_seed
from rest_react.selection.filters import usable_candidates
from rest_react.stages.choose_model import weights_of_iteration
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
    """Grows the missing trajectories, prints the table as Markdown, and writes its numbers into the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("outputs/default"))
    parser.add_argument("--iteration", type=int, default=0, help="the iteration whose policy grows")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("outputs/selection"))
    parser.add_argument("--ask", action="store_true", help="ask the reward model of the settings too")
    parser.add_argument("--ranker", type=Path, help="weights of a trained judge (<run>/iter_0/judge/model)")
    parser.add_argument("overrides", nargs="*", help="the run's own overrides, and others")
    arguments = parser.parse_args()
    weights = weights_of_iteration(RunFolder(arguments.run).stage(arguments.iteration))
    if weights is None:
        parser.error(f"{arguments.run}: no weights; run up to iteration {arguments.iteration} first")
    if arguments.ranker is not None and not arguments.ranker.exists():
        parser.error(f"{arguments.ranker}: there are no such weights")
    world = [f"world.seed={SEED}", f"world.train={arguments.questions}", "world.passages=3000"]
    settings = compose([*arguments.overrides, *world, "improve.selector=reward_model"])
    folder = RunFolder(arguments.folder)
    parts = Parts(settings, folder)
    with folder.locked():
        lock_settings(
            folder.root, locked_settings(settings) | {"weights": str(weights)}, environment(parts.prompts.digests())
        )
        asyncio.run(grow_trajectories(parts, weights, arguments.folder))
    judged = asyncio.run(steps_of(parts, arguments.folder))
    mixed = [step for step in judged if step.mixed]
    by_name = selectors(Reader(weights), Reader(arguments.ranker) if arguments.ranker else None)
    if arguments.ask:
        said = asyncio.run(ask(parts, about_steps(mixed), arguments.folder / "asked.jsonl"))
        print(f"{sum(map(bool, said.values()))} of {len(mixed)} rankings can be parsed.")
        by_name["ranking prompt"] = order_scores(said)
    results = {name: right_choices(mixed, scores) for name, scores in by_name.items()}
    print(table(judged, mixed, results))
    write_file(arguments.folder / "selection.json", json.dumps(results, indent=1))


async def grow_trajectories(parts: Parts, weights: Path, folder: Path) -> None:
    """One trajectory per question by the policy, with the settings' sampling."""
    s = parts.settings
    llm = parts.llm(ModelRef(str(weights.resolve()), "base", tuned=True))
    task = parts.task(parts.question_sets.world.passages)
    policy = parts.policy(llm, samples=s.grow.samples, temperature=s.grow.temperature, tuned=True)
    try:
        seed = derive_seed(SEED, "grow")
        await grow(
            task, policy, unlabelled(parts.question_sets.world.train), folder, repeats=1, seed=seed,
            in_flight=s.policy.in_flight, prices=parts.prices,
        )  # fmt: skip
    finally:
        await llm.aclose()


async def steps_of(parts: Parts, folder: Path) -> list[JudgedStep]:
    """Every step of the grown trajectories, judged by gold."""
    labelled = {question.question.id: question for question in parts.question_sets.world.train}
    hits = parts.settings.agent.hits_per_search
    search = parts.search(parts.question_sets.world.passages)
    judged = []
    for trajectory in read_lines(folder / TRAJECTORIES, Trajectory):
        titles = [hop.title for hop in parts.question_sets.world.plans[trajectory.question].hops]
        judged += await judge_steps(trajectory, labelled[trajectory.question_id], titles, search, hits)
    return judged


def selectors(policy: Reader, ranker: Reader | None) -> dict[str, Scores | None]:
    """The scores by selector name; None for a random choice."""
    pmi = cached_scores(policy.pmi)
    by_name: dict[str, Scores | None] = {
        "random": None, "perplexity": perplexity, "likelihood": likelihood, "majority": majority, "rules": rules,
        "pmi": pmi, "rules + pmi": ensemble(rules, pmi),
    }  # fmt: skip
    if ranker is not None:
        good = cached_scores(ranker.good)
        by_name |= {"ranker": good, "perplexity + ranker": ensemble(perplexity, good)}
        by_name |= {"rules + pmi + ranker": ensemble(rules, pmi, good)}
    return by_name


def right_choices(mixed: Sequence[JudgedStep], scores: Scores | None) -> Choices:
    """By kind of step (and "all") and question: 1 for each mixed step with a right choice, else 0; chances for None."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for judged in mixed:
        usable = usable_candidates(parse_step(judged.step))
        right = [bool(judged.right[i]) for i in usable]
        if scores is None:
            value = sum(right) / len(right)
        else:
            ranks = scores(judged, usable)
            value = float(right[max(range(len(usable)), key=ranks.__getitem__)])
        for kind in (judged.step.kind, "all"):
            values[kind][judged.question_id].append(value)
    return {kind: dict(by_question) for kind, by_question in values.items()}


def table(judged: Sequence[JudgedStep], mixed: Sequence[JudgedStep], results: Mapping[str, Choices]) -> str:
    """A Markdown table: a row per selector, a column per kind of step, differences from perplexity and rules."""
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
    """The paired difference in percentage points, step by step, so that it equals the difference of the shares. A
    question counts by the number of its steps: it stands for the mean and its own part of the mean's error."""
    if values == reference or not values:
        return ""
    pairs = [[a - b for a, b in zip(values[q], reference[q], strict=True)] for q in sorted(values)]
    steps = sum(map(len, pairs)) / len(pairs)  # of an average question
    mean = sum(map(sum, pairs)) / (len(pairs) * steps)
    parts = [mean + (sum(one) - mean * len(one)) / steps for one in pairs]
    low, high = interval_of_differences(parts, repeats=steps)
    return f"{100 * mean:+.0f} [{100 * low:+.0f}, {100 * high:+.0f}]"


if __name__ == "__main__":
    main()
