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
import re
from collections.abc import Iterator, Sequence
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

_NAME = re.compile(r"\b[A-Z][a-z]+ [A-Z][a-z]+\b|\b[A-Z][a-z]{3,}\b|\b\d{4}\b")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_QUERY = re.compile(r'query="([^"]*)"')
_LINK = re.compile(r"^    ResultItem\(link_id=(\d+)", re.MULTILINE)
_SELECTED = re.compile(r"selected_link_ids=\[(\d+)\]")
_LAST_CLAIM = re.compile(r'(answer="[^"]*\]\.) [^"]*"')
_TARGET = "ACTION_SELECTED = "
_TERMINATE = f'{_TARGET}ActionWrapper(thoughts="I have it: {{}}.", action=Terminate())'
_SEARCH = f'{_TARGET}ActionWrapper(thoughts="Now: {{}}?", action=Search(query="{{}}"))'


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


def corruptions(kind: str, state: str, output: str, rng: Random) -> Iterator[str]:
    """Corrupted versions of the output, each with one error."""
    match kind:
        case "decide":
            yield from _wrong_decisions(state, output, rng)
        case "summarise":
            yield from _wrong_links(state, output, rng)
            yield from replace_name(state, output, rng)
        case "answer":
            yield _LAST_CLAIM.sub(r'\1"', output)
            yield from replace_name(state, output, rng)
        case "relevance" | "grounding":
            opposite = {"True": "False", "False": "True"}
            yield re.sub(r"passed=(True|False)", lambda match: f"passed={opposite[match[1]]}", output)


def _wrong_decisions(state: str, output: str, rng: Random) -> Iterator[str]:
    question = _TEXT.findall(state)[0]
    before = _QUERY.findall(state)
    query_match = _QUERY.search(output)
    if query_match is None:
        yield from (_SEARCH.format(question.rstrip("?"), query) for query in (question, *before))
        return
    query = query_match[1]
    relation, _, name = query.partition(" of ")
    others = [word for word in re.findall(r"\b[a-z]{4,}\b", question) if word not in query]
    wrong = [relation, *before[-1:]] + ([f"{rng.choice(others)} of {name}"] if others else [])
    yield from (output.replace(f'query="{query}"', f'query="{text}"') for text in wrong)
    yield from (_TERMINATE.format(part) for part in _NAME.findall(name)[:1])
    yield from replace_name(state, output, rng)


def _wrong_links(state: str, output: str, rng: Random) -> Iterator[str]:
    selected = _SELECTED.search(output)
    others = [link for link in _LINK.findall(state) if selected is not None and link != selected[1]]
    if selected is not None and others:
        other = rng.choice(others)
        yield output.replace(selected[0], f"selected_link_ids=[{selected[1]}, {other}]")
        yield output.replace(selected[0], f"selected_link_ids=[{other}]").replace(
            f"[link_id={selected[1]}]", f"[link_id={other}]"
        )


def replace_name(state: str, output: str, rng: Random) -> Iterator[str]:
    """The output with one name or year of its action replaced by another one of the state, if there is another."""
    head, mark, action = output.partition(_TARGET)
    names = set(_NAME.findall("\n".join(_TEXT.findall(state))))
    in_action = sorted(names & set(_NAME.findall(action)))
    if in_action:
        old = rng.choice(in_action)
        others = [name for name in sorted(names) if name not in action and name.isdigit() == old.isdigit()]
        if others:
            yield f"{head}{mark}{action.replace(old, rng.choice(others))}"


if __name__ == "__main__":
    main()
