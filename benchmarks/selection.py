"""How often does each selector choose a right candidate, where there is a choice between right and wrong?

    python -m benchmarks.selection --run outputs/default --iteration 0 --questions 120

The run's policy grows on questions of a world of its own seed, into outputs/selection (resumable); `gold` judges every
candidate; steps whose usable candidates are partly right are the mixed ones. Shares are per kind of step and in all,
with 95% intervals clustered by question, and the paired difference to perplexity.

    random        the expected share: right candidates among the usable ones
    perplexity    the likeliest per token, as the default Improve does
    likelihood    the likeliest as a whole
    majority      the most frequent decision among the samples
    rules         no label needed: `rule_score`, ties to the likelier
    ranker        with --ranker: a reward model's log-odds (benchmarks.ranker)
    ensemble      with --ranker: the mean of the ranks by perplexity, rules and ranker

Not here: training on any of this.
"""

import argparse
import ast
import asyncio
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.gold import JudgedStep, judge_steps
from benchmarks.ranker import Ranker
from rest_react.actions import Action, Answer, CheckAnswer, LinkSelection, ReviseAnswer, Search, Terminate
from rest_react.agent import TRAJECTORIES, actions_of, choose
from rest_react.build import Parts
from rest_react.cli import compose
from rest_react.grow import grow
from rest_react.improve import usable_candidates
from rest_react.judges.metrics import Share, clustered_interval, paired_difference
from rest_react.questions import unlabelled
from rest_react.records import ModelRef, Step, Trajectory, derive_seed
from rest_react.store import RunFolder, read_lines

SEED = 9001
# A candidate's score for each usable one of a step, higher is better.
Scores = Callable[[Step, Sequence[int]], list[float]]


def main() -> None:
    """Grows what is missing, then prints the table as Markdown and leaves the numbers in the folder."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--run", type=Path, default=Path("outputs/default"))
    arguments.add_argument("--iteration", type=int, default=0, help="whose policy grows")
    arguments.add_argument("--questions", type=int, default=120)
    arguments.add_argument("--folder", type=Path, default=Path("outputs/selection"))
    arguments.add_argument("--ranker", type=Path, help="weights of a tuned ranker")
    arguments.add_argument("overrides", nargs="*", help="settings, as for a run")
    given = arguments.parse_args()
    settings = compose(
        [f"world.seed={SEED}", f"world.train={given.questions}", "world.passages=3000", *given.overrides]
    )
    parts = Parts(settings, RunFolder(given.folder))
    asyncio.run(grown(parts, given.run / f"iter_{given.iteration}" / "finetune" / "model", given.folder))
    labelled = {q.question.id: q for q in parts.world.train}
    search = parts.search(parts.world.passages)
    judged = [
        step
        for trajectory in read_lines(given.folder / TRAJECTORIES, Trajectory)
        for step in judge_steps(
            trajectory,
            labelled[trajectory.question_id],
            [hop.title for hop in parts.world.plans[trajectory.question].hops],
            search,
        )
    ]
    mixed = [step for step in judged if step.mixed]
    results = {name: chosen(mixed, scores) for name, scores in selectors(given.ranker).items()}
    print(table(judged, mixed, results))
    (given.folder / "selection.json").write_text(json.dumps(results, indent=1))


async def grown(parts: Parts, weights: Path, folder: Path) -> None:
    """One trajectory per question by the policy, with the default Grow's sampling."""
    s = parts.settings
    door = parts.policy(ModelRef(str(weights.resolve()), "base", tuned=True))
    agent = parts.agent(
        door, parts.search(parts.world.passages), samples=s.grow.samples, temperature=s.grow.temperature, tuned=True
    )
    try:
        seed = derive_seed(SEED, "grow")
        await grow(
            agent, unlabelled(parts.world.train), folder, repeats=1, seed=seed, in_flight=s.policy.in_flight,
            prices=parts.prices,
        )  # fmt: skip
    finally:
        await door.aclose()


def chosen(mixed: Sequence[JudgedStep], scores: Scores | None) -> dict[str, dict[str, list[float]]]:
    """For each kind of step and for all: by question, how right the choice on each mixed step was."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for judged in mixed:
        usable = usable_candidates(judged.step)
        right = [bool(judged.right[i]) for i in usable]
        if scores is None:
            value = sum(right) / len(right)
        else:
            given = scores(judged.step, usable)
            value = float(right[max(range(len(usable)), key=given.__getitem__)])
        for kind in (judged.step.kind, "all"):
            found[kind][judged.question_id].append(value)
    return {kind: dict(values) for kind, values in found.items()}


def rule_score(step: Step, action: Action) -> float:
    """Minus the number of broken rules: what a candidate says must stand in what it was shown.

    A query repeats no earlier one, and its words stand in the question or in what was found; a selected link's title
    stands in the last query; a summary's, a draft's and a revision's names and numbers stand in links that were kept;
    a draft says what the thought before it concluded; a check passes an answer that keeps these rules."""
    state = ast.parse(step.state)
    values = {s.targets[0].id: ast.unparse(s.value) for s in state.body if isinstance(s, ast.Assign)}  # type: ignore[attr-defined]
    question, past = values["ORIGINAL_QUESTION"], values["PAST_ACTIONS"]
    queries = re.findall(r"Search\(query='([^']*)'", past)
    match action:
        case Search(query):
            known = _words(question + past)
            return -float(query in queries) - sum(word not in known for word in _words(query))
        case Terminate(thoughts):
            return -float(not _names(thoughts) <= _names(past)) - float(len(queries) < 2)
        case LinkSelection(selected_link_ids=ids, grounded_summarization=summary):
            kept = [step.hits[i - step.first_link] for i in ids]
            asked = queries[-1] if queries else ""
            strangers = sum(hit.title not in asked for hit in kept)
            source = _names(" ".join(f"{hit.title} {hit.snippet}" for hit in kept))
            return -float(strangers) - len(_names(summary) - source) - float(not kept)
        case Answer(answer=text) | ReviseAnswer(revised_answer=text):
            return _grounded(text, past)
        case CheckAnswer(passed=passed):
            sound = _grounded(values["ANSWER"], past) == 0
            return 0.0 if passed == sound else -1.0
    return 0.0


def _grounded(text: str, past: str) -> float:
    concluded = re.findall(r"I have it: ([^']*)\.'", past)
    unsaid = bool(concluded) and not _names(concluded[-1]) <= _names(text)
    return -float(len(_names(text) - _names(past))) - float(unsaid) - float("link_id" not in text)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower())) | {"of", "the"}


def _names(text: str) -> set[str]:
    """Capitalised words and numbers, but for the marks of citations and words that begin a sentence."""
    bare = re.sub(r"\[link_id=\d+\]", "", text)
    return set(re.findall(r"\b(?:[A-Z][a-z]+|\d+)\b", bare)) - {"The", "Nothing", "Yes", "No", "Who", "In", "What"}


def rules(step: Step, usable: Sequence[int]) -> list[float]:
    """`rule_score`, and between equals the likelier candidate."""
    actions = actions_of(step)
    return [
        rule_score(step, action) - 1e-3 * (step.candidates[i].perplexity or 0.0)
        for i in usable
        if (action := actions[i]) is not None
    ]


def perplexity(step: Step, usable: Sequence[int]) -> list[float]:
    """Minus the perplexity."""
    return [-(step.candidates[i].perplexity or math.inf) for i in usable]


def likelihood(step: Step, usable: Sequence[int]) -> list[float]:
    """The log-probability of the whole text."""
    return [-math.inf if (logprob := step.candidates[i].logprob) is None else logprob for i in usable]


def majority(step: Step, usable: Sequence[int]) -> list[float]:
    """1 for the choice of `agent.select=majority`."""
    best = choose(step.candidates, actions_of(step), "majority", among=usable)
    return [float(i == best) for i in usable]


def ensemble(*members: Scores) -> Scores:
    """Minus the sum of the ranks that the members give; between equals the first member decides."""

    def scores(step: Step, usable: Sequence[int]) -> list[float]:
        given = [member(step, usable) for member in members]
        ranks = [sum(sum(other > own for other in by) for by, own in zip(given, owns, strict=True))
                 for owns in zip(*given, strict=True)]  # fmt: skip
        order = sorted(range(len(usable)), key=given[0].__getitem__)
        return [-rank + 1e-3 * order.index(place) for place, rank in enumerate(ranks)]

    return scores


def selectors(ranker: Path | None) -> dict[str, Scores | None]:
    """By name; None for a fair draw."""
    found: dict[str, Scores | None] = {
        "random": None, "perplexity": perplexity, "likelihood": likelihood, "majority": majority, "rules": rules,
    }  # fmt: skip
    if ranker is not None:
        score = Ranker(ranker).score
        found |= {"ranker": score, "ensemble": ensemble(perplexity, rules, score)}
    return found


def table(
    judged: Sequence[JudgedStep], mixed: Sequence[JudgedStep], results: Mapping[str, dict[str, dict[str, list[float]]]]
) -> str:
    """Markdown: one row per selector, one column per kind of step, and the difference to perplexity."""
    kinds = [kind for kind in ("decide", "summarise", "answer", "relevance", "grounding") if kind in results["random"]]
    right = sum(all(step.right) for step in judged)
    wrong = sum(not any(step.right) for step in judged)
    counts = {kind: sum(step.step.kind == kind for step in mixed) for kind in kinds}
    lines = [
        f"{len(judged)} steps: {right} all right, {wrong} without a right one, {len(mixed)} mixed.",
        "",
        "| selector | all | " + " | ".join(f"{kind} (n={counts[kind]})" for kind in kinds) + " | against perplexity |",
        "|" + "---|" * (len(kinds) + 3),
    ]
    for name, by_kind in results.items():
        cells = [_percent(clustered_interval(by_kind[kind])) for kind in ("all", *kinds)]
        cells.append(_percent(paired_difference(by_kind["all"], results["perplexity"]["all"])))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _percent(share: Share) -> str:
    if share.mean is None or share.low is None or share.high is None:
        return "–"
    return f"{100 * share.mean:.0f}% [{100 * share.low:.0f}, {100 * share.high:.0f}]"


if __name__ == "__main__":
    main()
