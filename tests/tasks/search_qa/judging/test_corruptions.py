"""Corruptions of the expert's steps: they can be parsed, and gold calls them wrong."""

import asyncio
import re
from collections import Counter
from dataclasses import replace
from random import Random

from benchmarks.gold import judge_steps
from rest_react.records import Candidate, LabelledQuestion, Step, Trajectory
from rest_react.selection.filters import usable_candidates
from rest_react.tasks.search_qa.judging.corruptions import corruptions
from rest_react.tasks.search_qa.step import parse_step
from tests.benchmarks.test_gold import SEARCH, WORLD, expert_trajectory, scripted, titles

EXPERT = [(question, expert_trajectory(scripted(right=1.0), question, samples=1)) for question in WORLD.evaluation]


def corrupted(trajectory: Trajectory, index: int) -> tuple[Trajectory, Step]:
    """The trajectory with the corruptions of one step added to its samples."""
    step = trajectory.steps[index]
    good = step.candidates[0]
    texts = sorted({*corruptions(step.kind, step.state, good.text, Random(index))} - {good.text})
    step = replace(step, candidates=(good, *(Candidate(text, 1, -1.0, "stop") for text in texts)))
    return replace(trajectory, steps=(*trajectory.steps[:index], step, *trajectory.steps[index + 1 :])), step


def verdicts(labelled: LabelledQuestion, trajectory: Trajectory) -> Counter[tuple[str, bool | None]]:
    found: Counter[tuple[str, bool | None]] = Counter()
    for index in range(len(trajectory.steps)):
        if trajectory.steps[index].forced:
            continue
        changed, step = corrupted(trajectory, index)
        assert all(parsed.action for parsed in parse_step(step).actions)
        assert len(usable_candidates(parse_step(step))) == len(step.candidates) > 1
        judged = asyncio.run(judge_steps(changed, labelled, titles(labelled), SEARCH, 3))
        (own,) = (j for j in judged if j.id == f"{trajectory.id}.{index}")
        assert own.right[0]
        found.update((step.kind, right) for right in own.right[1:])
    return found


def test_all_corruptions_can_be_parsed_and_gold_calls_most_wrong() -> None:
    found: Counter[tuple[str, bool | None]] = Counter()
    for labelled, trajectory in EXPERT:
        found += verdicts(labelled, trajectory)
    wrong = {kind: found[kind, False] / (found[kind, False] + found[kind, True]) for kind, _ in found}
    assert wrong.keys() == {"decide", "summarise", "answer", "relevance", "grounding"}
    assert min(wrong["relevance"], wrong["grounding"]) == 1.0
    assert min(wrong.values()) > 0.5, wrong  # gold does not mind a wrong name beside the right link or answer


def test_no_corruption_of_a_search_keeps_its_query() -> None:
    for _, trajectory in EXPERT:
        for step in trajectory.steps:
            good = step.candidates[0].text
            query = re.search(r'query="[^"]*"', good)
            if step.kind == "decide" and query is not None:
                made = {text for seed in range(20) for text in corruptions(step.kind, step.state, good, Random(seed))}
                assert not [text for text in made - {good} if query[0] in text]
