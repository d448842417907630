"""Measures how time and memory of the stages grow with the number of trajectories, on the scripted policy.

    python -m benchmarks.run_folder                                  1,000, 3,000 and 10,000 trajectories, a table
    python -m benchmarks.run_folder --sizes 1000 100000 --stages improve report

Grow, Improve, Evaluate and the report run one after the other over one run folder, each in a process of its own. CPU ms
are the processor time of the stage for each trajectory; peak MiB is what the stage adds to the memory that the process
had before it. The questions stay the same and are asked more often, so corpus and world do not grow. `overlap` compares
so many questions of Grow with as many of a benchmark, all of them different; half of them have no capitals and no
numbers, so that the index knows no name of theirs.

Improve reads what Grow wrote, and the report what Evaluate wrote. If that stage is not among `--stages`, a real one of
200 trajectories is made, and its records are copied under the ids of other questions, before the measurement. So
these two are measured at large sizes without their rollouts; the number of questions then grows with the size.
Not here: a model's time, which is nearly all of a real run's.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from rest_react.judges.grader import RuleGrader
from rest_react.metrics.prices import NO_PRICE
from rest_react.questions import overlap, unlabelled
from rest_react.records import Question, Result, Trajectory
from rest_react.report import write_report
from rest_react.search.bm25 import Bm25Search
from rest_react.seeds import derive_seed
from rest_react.stages.evaluate import RESULTS, evaluate
from rest_react.stages.grow import grow
from rest_react.stages.improve.improve import improve
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.settings_file import lock_settings
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.scripted import ScriptedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.search_qa.world import World, build_world

SIZES = (1_000, 3_000, 10_000)
QUESTIONS = 100
REAL = 200  # trajectories, of which copies are made
PLACES = {"grow": "iter_1/grow", "evaluate": "iter_1/evaluate/world"}
READS = {"improve": "grow", "report": "evaluate"}
_LETTERS = str.maketrans("0123456789", "abcdefghij")
FREE = dict.fromkeys(("policy", "reward_model", "grader"), NO_PRICE)


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of trajectories")
    parser.add_argument("--stages", nargs="+", default=tuple(STAGES), choices=tuple(STAGES))
    parser.add_argument("--one", nargs=3, metavar=("STAGE", "SIZE", "FOLDER"), help="used by the command itself")
    parser.add_argument("--copies", nargs=3, metavar=("STAGE", "SIZE", "FOLDER"), help="used by the command itself")
    arguments = parser.parse_args()
    if arguments.one:
        stage, size, folder = arguments.one
        print(json.dumps(measured(STAGES[stage], int(size), Path(folder))))
        return
    if arguments.copies:
        stage, size, folder = arguments.copies
        write_copies(stage, int(size), Path(folder) / "run")
        print("{}")
        return
    print("| stage | trajectories | CPU ms each | peak MiB | folder MB |\n|---|---|---|---|---|")
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            for stage in arguments.stages:
                if READS.get(stage, stage) not in arguments.stages:
                    in_process_of_its_own("copies", READS[stage], size, folder)
                found = in_process_of_its_own("one", stage, size, folder)
                print(
                    f"| {stage} | {size:,} | {found['cpu_ms']:.2f} | {found['mib']:.0f} | {found['mb']:.0f} |",
                    flush=True,
                )


def in_process_of_its_own(what: str, stage: str, size: int, folder: str) -> dict[str, float]:
    """Measures one stage, or makes the records of one by copies."""
    command = [sys.executable, "-m", "benchmarks.run_folder", f"--{what}", stage, str(size), folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(stage: Callable[[int, Path], None], size: int, folder: Path) -> dict[str, float]:
    """CPU time per trajectory, added memory and the size of the folder after one stage."""
    stage(4, folder / "warm")  # imports and caches
    before, started = _peak_mib(), time.process_time()
    stage(size, folder / "run")
    spent = time.process_time() - started
    held = sum(path.stat().st_size for path in (folder / "run").rglob("*") if path.is_file())
    return {"cpu_ms": spent * 1000 / size, "mib": _peak_mib() - before, "mb": held / 1e6}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_copies(stage: str, size: int, folder: Path, real: int = REAL) -> None:
    """The records of a stage (grow or evaluate) of `size` trajectories, by copies of `real` ones. `size` is a multiple
    of `real`, or smaller."""
    name = PLACES[stage]
    with tempfile.TemporaryDirectory() as made:
        STAGES[stage](min(size, real), Path(made))
        source, times = Path(made) / name, max(1, size // real)
        for file, kind in ((TRAJECTORIES, Trajectory), (RESULTS, Result)):
            if (source / file).exists():
                replace_lines(folder / name / file, copies(source / file, kind, times, own_texts=stage == "evaluate"))
        summary = read_summary(source) or {}
    counts = {key: summary[key] * times for key in ("questions", "trajectories", "finished") if key in summary}
    write_summary(folder / name, summary | counts)


def copies(
    path: Path, kind: type[Trajectory] | type[Result], times: int, *, own_texts: bool
) -> Iterator[Trajectory | Result]:
    """The records of a file, several times, each time as those of other questions; with `own_texts`, each time with
    another question and answer, as the report sees them. The rules of Improve would object to such texts."""
    for i in range(times):
        for record in read_lines(path, kind):
            question, repeat = f"{record.question_id}-{i}", record.id.rpartition(".")[2]
            copy = replace(record, id=f"{question}.{repeat}", question_id=question)
            yield replace(copy, question=f"{copy.question} [{i}]", answer=f"{copy.answer} [{i}]") if own_texts else copy


def _world(size: int) -> World:
    return build_world(7, passages=600, demonstrations=0, train=min(QUESTIONS, size), evaluation=min(QUESTIONS, size))


def _policy(world: World) -> Policy:
    llm = ScriptedLLM(world.plans, seed=1, right=0.6, wrong=0.2, unparsable=0.15, empty=0.05)
    return Policy(llm, 4, 0.8, 128, "perplexity", tuned=True)


def _task(world: World) -> SearchQA:
    return SearchQA(SearchAgent(Bm25Search(world.passages), max_searches=4))


def _grow(size: int, folder: Path) -> None:
    world = _world(size)
    asked, repeats = unlabelled(world.train), max(1, size // QUESTIONS)
    stage = folder / "iter_1" / "grow"
    asyncio.run(
        grow(
            _task(world), _policy(world), asked, stage, repeats=repeats, seed=3, in_flight=64, prices=FREE, title="grow"
        )
    )


def _improve(size: int, folder: Path) -> None:
    stage = folder / "iter_1"
    if not (stage / "grow").exists():
        _grow(size, folder)
    trajectories = stage / "grow" / TRAJECTORIES
    rules = Rules("perplexity", "verified")
    asyncio.run(
        improve(SearchQA(), trajectories, stage / "improve", rules=rules, reward_model=None, seed=3, in_flight=64,
                prices=FREE)
    )  # fmt: skip


def _evaluate(size: int, folder: Path) -> None:
    world = _world(size)
    stage, repeats = folder / "iter_1" / "evaluate" / "world", max(1, size // QUESTIONS)
    asyncio.run(
        evaluate(_task(world), _policy(world), world.evaluation, RuleGrader(), stage, repeats=repeats, seed=5,
                 in_flight=64, prices=FREE)
    )  # fmt: skip


def _report(size: int, folder: Path) -> None:
    if not (folder / "iter_1" / "evaluate").exists():
        _evaluate(size, folder)
    lock_settings(folder, {"task.kind": "search_qa", "policy.model": "scripted"}, {"python": "3"})
    write_report(folder, smoke=True)


def _overlap(size: int, folder: Path) -> None:
    world = _world(4)
    questions = unlabelled([*world.train, *world.evaluation])
    grown, known = (
        [
            replace(question, text=_renamed(question, f"{side} {i}", nameless=i // len(questions) % 2 == 1))
            for i, question in zip(range(size), cycle(questions), strict=False)
        ]
        for side in ("grow", "benchmark")
    )
    folder.mkdir(parents=True, exist_ok=True)
    assert not overlap(grown, known)


def _renamed(question: Question, about: str, *, nameless: bool) -> str:
    """The question with other names; `nameless`: with another word, in small letters, for each word but the first."""
    words = question.text.rstrip("?").split()
    names = (
        f"N{derive_seed(about, i) % 10**12}" if i and (nameless or word[:1].isupper()) else word
        for i, word in enumerate(words)
    )
    text = " ".join(names) + "?"
    return text.translate(_LETTERS).lower() if nameless else text


STAGES: Mapping[str, Callable[[int, Path], None]] = {
    "overlap": _overlap, "grow": _grow, "improve": _improve, "evaluate": _evaluate, "report": _report,
}  # fmt: skip

if __name__ == "__main__":
    main()
