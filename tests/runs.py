"""Run folders to report on: hand-made records, and a small run of the scripted policy."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rest_react.judges.grader import RuleGrader
from rest_react.questions import unlabelled
from rest_react.records import Candidate, Hit, Result, Step, Trajectory, Usage, Verdict
from rest_react.reporting.results.results_json import Accuracy, ChecksEffect, PerCorrect, ResultRow
from rest_react.search.bm25 import Bm25Search
from rest_react.stages.evaluate import evaluate
from rest_react.stages.grow import grow
from rest_react.stages.improve.improve import improve
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.settings_file import lock_settings
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.agent import SearchAgent
from rest_react.tasks.search_qa.scripted import ScriptedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.tasks.search_qa.world import build_world
from tests.clients import FREE

HOSTILE = "<script>alert(1)</script>\u202egnitide\u202c שלום | `x` </pre></style>"


def row(iteration, mean, *, std=None, before=None, **fields) -> ResultRow:
    """A row of results.json; what a test does not name is 0 or absent."""
    ends = {"low": None, "high": None} if mean is None else {"low": mean - 0.1, "high": mean + 0.1}
    given = {
        "benchmark": "world", "grader": "rule", "questions": 60, "repeats": 2, "unscored": 0, "unscored_share": 0.0,
        "failed": 0, "failed_share": 0.0, "faults": {}, "accuracy": Accuracy(mean=mean, std=std, **ends),
        "before_checks": Accuracy(mean=mean if before is None else before, std=None, low=None, high=None),
        "checks": ChecksEffect(mean=0.0, low=0.0, high=0.0, questions=60, detectable=None, fixed=0, broken=0),
        "vs_start": None, "vs_previous": None, "by_kind": {}, "by_hops": {}, "em": 0.0, "f1": 0.0, "searches": 0.0,
        "calls": 0.0, "tokens": 0.0, "contained": 0.0, "correct": 0,
        "per_correct": PerCorrect(searches=None, calls=None, tokens=None, cost_usd=None, seconds=None),
        "cost_usd": 0.0, "cost_reason": None, "seconds": 1.0,
    }  # fmt: skip
    return ResultRow(iteration=iteration, **given | fields)


def result(question, repeat=0, verdict="correct", before=None, fault=None, **fields):
    return Result(
        id=f"{question}.{repeat}",
        question_id=question,
        kind=fields.get("kind", "bridge"),
        hops=2,
        outcome="failed" if fault else "finished",
        fault=fault,
        answer=fields.get("answer", "Paris"),
        draft="Paris",
        verdict=Verdict(verdict, fields.get("reason", "because")),
        verdict_before_checks=Verdict(before or verdict),
        em=fields.get("em", 0.0),
        f1=fields.get("f1", 0.5),
        searches=fields.get("searches", 2),
        calls=fields.get("calls", 9),
        tokens=fields.get("tokens", 1000),
        question=fields.get("asked", ""),
    )


def trajectory(question, answer="Paris", text="Where was Ada Mell born?", repeat=0, source="p1"):
    asks = 'ACTION_SELECTED = ActionWrapper(thoughts="First.", action=Search(query="Ada Mell"))'
    steps = (
        Step("decide", "ORIGINAL_QUESTION = ...", (Candidate(asks, 4, -2.0, "stop"),), 0),
        Step(
            "summarise",
            "...",
            (Candidate(HOSTILE, 4, None, "stop", HOSTILE),),
            0,
            hits=(Hit(source, HOSTILE, HOSTILE),),
            first_link=1,
        ),
        Step("decide", "...", (), None, forced=True),
    )
    return Trajectory(f"{question}.{repeat}", question, text, "finished", None, steps, "draft", answer, Usage())


def write_lines(path: Path, records) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))


def made_with(folder: Path, settings: Mapping[str, object]) -> None:
    """Gives a hand-made run folder these settings, and a task, in place of those that it has."""
    (folder / "settings.yaml").unlink(missing_ok=True)
    lock_settings(folder, {"task.kind": "search_qa", **settings}, {"python": "3"})


def write_evaluation(run: Path, iteration: int, results, *, benchmark="world", repeats=1, **summary) -> Path:
    stage = run / f"iter_{iteration}" / "evaluate" / benchmark
    write_lines(stage / "results.jsonl", results)
    facts = {"schema": 1, "grader": "rule", "questions": 4, "repeats": repeats, "seconds": 90.0, "files": {}, **summary}
    (stage / "summary.json").write_text(json.dumps(facts))
    if not (run / "settings.yaml").exists():
        made_with(run, {})
    return stage


def reported_run(folder: Path) -> Path:
    """Two iterations: 1 of 4 right, then 3 of 4; with stage summaries, losses, settings and hostile texts."""
    write_evaluation(folder, 0, [result(f"w{i}", verdict="correct" if i == 0 else "incorrect") for i in range(4)])
    later = [result(f"w{i}", verdict="correct" if i < 3 else "incorrect", answer=HOSTILE) for i in range(4)]
    stage = write_evaluation(folder, 1, later, cost_usd=0.25)
    answers = [HOSTILE, "A" * 1_000_000, "Paris", "Lyon"]
    write_lines(stage / "trajectories.jsonl", [trajectory(f"w{i}", a, text=HOSTILE) for i, a in enumerate(answers)])
    for name, facts in {
        "grow": {"trajectories": 30, "faults": {HOSTILE: 2}, "identical_share": 0.25, "seconds": 120.0},
        "improve": {"selector": "perplexity", "examples": 251, "dropped_steps": 7, "seconds": 3.0},
        "finetune": {"examples": 251, "model": "model", "seconds": 240.0},
    }.items():
        (folder / "iter_1" / name).mkdir(parents=True)
        (folder / "iter_1" / name / "summary.json").write_text(json.dumps({"schema": 1, "files": {}, **facts}))
    losses = [{"step": step, "loss": 3 / step} for step in range(1, 1001)]
    write_lines(folder / "iter_1" / "finetune" / "loss.jsonl", losses)
    with (folder / "iter_1" / "finetune" / "loss.jsonl").open("a") as file:
        file.write('{"step": 1001, "lo')
    made_with(folder, {"note": HOSTILE, "policy.model": HOSTILE, "finetune.kind": "local"})
    return folder


def scripted_run(folder: Path) -> Path:
    """Two iterations of the scripted policy, the second better than the first; no training in between."""
    world = build_world(7, passages=300, demonstrations=0, train=6, evaluation=8)
    search = Bm25Search(world.passages)
    how = {"seed": 3, "in_flight": 4, "prices": FREE}
    for k, right in enumerate((0.4, 0.65)):
        llm = ScriptedLLM(world.plans, seed=k, right=right, wrong=0.75 - right, unparsable=0.25, empty=0.0)
        task = SearchQA(SearchAgent(search, max_searches=4))
        policy = Policy(llm, 3, 0.5, 128, "perplexity", tuned=True)
        stage = folder / f"iter_{k}"
        asyncio.run(grow(task, policy, unlabelled(world.train), stage / "grow", repeats=1, **how))
        trajectories = stage / "grow" / TRAJECTORIES
        asyncio.run(improve(task, trajectories, stage / "improve", rules=Rules("perplexity"), reward_model=None, **how))
        evaluation = stage / "evaluate" / "world"
        asyncio.run(evaluate(task, policy, world.evaluation, RuleGrader(), evaluation, repeats=2, **how))
    made_with(folder, {})
    return folder
