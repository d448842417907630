"""What the page is given of a run's trajectories."""

import base64
import json
import shutil
import zlib
from dataclasses import asdict

import pytest

from rest_react.records import Fault, Ranking, Result, Trajectory
from rest_react.reporting.packing import PER_BLOCK, pack
from rest_react.storage.jsonl import read_lines
from rest_react.tasks.search_qa.task import SearchQA
from tests.runs import result, scripted_run, trajectory, write_evaluation, write_lines


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return scripted_run(tmp_path_factory.mktemp("runs") / "demo")


def inflated(text: str):
    return json.loads(zlib.decompress(base64.b64decode(text)))


def entries(packed) -> dict[str, dict]:
    """By key, each with its trajectory."""
    index = inflated(packed.index)
    trajectories = [one for block in packed.blocks for one in inflated(block)]
    per_block = index.pop("per_block")
    assert [len(inflated(block)) for block in packed.blocks[:-1]] == [per_block] * (len(packed.blocks) - 1)
    rows = [dict(zip(index, values, strict=True)) for values in zip(*index.values(), strict=True)]
    pairs = zip(rows, trajectories, strict=True)
    return {f"{row['stage']}/{row['id']}": row | {"trajectory": one} for row, one in pairs}


def test_every_trajectory_of_a_complete_stage_is_packed_once_last_iteration_first(run):
    packed = pack(run, SearchQA())
    expected = [
        f"iter_{k}/{name}/{t.id}"
        for k in (1, 0)
        for name, stage in (("world", "evaluate/world"), ("grow", "grow"))
        for t in read_lines(run / f"iter_{k}" / stage / "trajectories.jsonl", Trajectory)
    ]
    assert list(entries(packed)) == expected
    assert (packed.trajectories, packed.whole) == (len(expected), 44)
    assert len(expected) > PER_BLOCK


def test_an_index_entry_has_the_outcome_of_the_trajectory(run):
    found = entries(pack(run, SearchQA()))
    results = list(read_lines(run / "iter_1/evaluate/world/results.jsonl", Result))
    said = {r.id: (r.verdict.verdict, r.verdict_before_checks.verdict, r.kind) for r in results if not r.fault}
    told = {i: found[f"iter_1/world/{i}"] for i in said}
    assert {i: (e["outcome"], e["before"], e["kind"]) for i, e in told.items()} == said
    assert {e["outcome"] for key, e in found.items() if "/grow/" in key} <= {"finished", "failed"}


def test_a_step_is_packed_with_all_samples_and_its_ranking(run):
    found = entries(pack(run, SearchQA()))
    rankings = {r.id: r for r in read_lines(run / "iter_1/improve/rankings.jsonl", Ranking)}
    for stored in read_lines(run / "iter_1/grow/trajectories.jsonl", Trajectory):
        lines = [""]
        for n, (step, shown) in enumerate(
            zip(stored.steps, found[f"iter_1/grow/{stored.id}"]["trajectory"]["steps"], strict=True)
        ):
            assert shown["candidates"] == [asdict(c) for c in step.candidates]
            lines = [*lines[: shown["state"]["same"]], *shown["state"]["rest"].split("\n")]
            assert "\n".join(lines) == step.state
            ranking = rankings.get(f"{stored.id}.{n}")
            assert (shown["ranking"] or {}).get("best") == (ranking.best if ranking else None)
            assert ("No sample" in str(shown["parts"]) or "No searches remain" in str(shown["parts"])) == (
                step.chosen is None
            )


def test_incomplete_stages_are_not_packed(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "cut")
    (folder / "iter_1/evaluate/world/summary.json").unlink()
    (folder / "iter_1/improve/summary.json").unlink()
    found = entries(pack(folder, SearchQA()))
    assert not [key for key in found if key.startswith("iter_1/world/")]
    steps = [step for key, e in found.items() if key.startswith("iter_1/") for step in e["trajectory"]["steps"]]
    assert [step["ranking"] for step in steps] == [None] * len(steps)


def test_above_the_limit_only_some_trajectories_keep_all_candidates(run):
    everything = pack(run, SearchQA())
    packed = pack(run, SearchQA(), largest=int(0.9 * everything.size))
    assert packed.size < everything.size
    assert 0 < packed.whole < packed.trajectories == everything.trajectories
    assert pack(run, SearchQA(), largest=int(0.9 * everything.size)) == packed
    steps = [step for e in entries(packed).values() for step in e["trajectory"]["steps"]]
    whole = [step for e in entries(everything).values() for step in e["trajectory"]["steps"]]
    kept = [len(step["candidates"]) for step in steps]
    assert {(n, step["samples"]) for n, step in zip(kept, steps, strict=True)} == {(0, 0), (1, 3), (3, 3)}
    moved = [[s["candidates"][s["chosen"]] if s["chosen"] is not None else None for s in run] for run in (steps, whole)]
    assert moved[0] == moved[1]


def test_far_above_the_limit_only_some_trajectories_are_packed_each_with_its_chosen_candidates(run):
    everything = pack(run, SearchQA())
    largest = everything.size // 4
    packed = pack(run, SearchQA(), largest=largest)
    assert packed.size < 1.5 * largest  # a few trajectories of very different sizes
    assert (packed.whole, packed.total) == (0, everything.trajectories)
    found = entries(packed)
    assert 0 < len(found) == packed.trajectories < packed.total
    steps = [step for entry in found.values() for step in entry["trajectory"]["steps"]]
    assert {len(step["candidates"]) for step in steps if step["chosen"] is not None} == {1}
    assert list(found) == [key for key in entries(everything) if key in found]
    assert pack(run, SearchQA(), largest=largest) == packed
    assert pack(run, SearchQA(), largest=0).trajectories == 0


def test_a_very_long_text_is_shortened_and_marked(tmp_path):
    stage = write_evaluation(tmp_path, 0, [result("a"), result("b")])
    write_lines(stage / "trajectories.jsonl", [trajectory("a", "A" * 1_000_000), trajectory("b")])
    packed = pack(tmp_path, SearchQA())
    long, short = (e["trajectory"] for e in entries(packed).values())
    assert long["answer"].endswith(" … (1,000,000 characters)")
    assert len(long["answer"]) < 21_000
    assert (long["cut"], short["cut"]) == (True, False)
    assert packed.size < 10_000


def test_a_failed_trajectory_has_its_error_in_short_and_in_full(tmp_path):
    fault = Fault("model", "no usable sample at step 3 (answer): prose")
    outage = Fault("outside", "llm: HTTP 503")
    results = [result("a", fault=fault), result("b", verdict="unscored", fault=outage)]
    stage = write_evaluation(tmp_path, 0, results)
    trajectories = [trajectory("a"), trajectory("b")]
    failed = [
        Trajectory(t.id, t.question_id, t.question, "failed", r.fault, t.steps, "", "", t.usage)
        for t, r in zip(trajectories, results, strict=True)
    ]
    write_lines(stage / "trajectories.jsonl", failed)
    found = entries(pack(tmp_path, SearchQA()))
    assert [(e["outcome"], e["fault"], e["trajectory"]["fault"]["message"]) for e in found.values()] == [
        ("failed", "no usable sample", "no usable sample at step 3 (answer): prose"),
        ("outage", "llm: HTTP 503", "llm: HTTP 503"),
    ]


def test_an_empty_folder_gives_an_empty_pack(tmp_path):
    assert pack(tmp_path, SearchQA()).trajectories == 0
