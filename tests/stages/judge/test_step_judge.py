"""The trained judge: its pairs, its training rows, what is held out, and its accuracy."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.build import Parts, iteration_zero
from rest_react.config.compose import compose
from rest_react.errors import ModelFault, UsageError
from rest_react.loop import Loop
from rest_react.protocols import LLM
from rest_react.records import (
    Completion,
    Example,
    Hit,
    JudgedPair,
    JudgePairs,
    ModelRef,
    OptionScores,
    Prompt,
    Sampling,
    Step,
    Trajectory,
    Usage,
    WorseOutput,
)
from rest_react.selection.trained_judge import TrainedJudge
from rest_react.stages.judge.held_out import HELD_OUT, held_out_questions
from rest_react.stages.judge.step_judge import PAIRS, accuracy, make_judge
from rest_react.storage.files import make_folder, write_json
from rest_react.storage.jsonl import read_lines, replace_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.summaries import read_summary, write_summary
from rest_react.tasks.protocol import Policy
from rest_react.tasks.search_qa.actions import LinkSelection, Search, canonical_text, render_output
from rest_react.tasks.search_qa.scripted import RecordedLLM
from rest_react.tasks.search_qa.task import SearchQA
from rest_react.training.local import LocalTrainer
from tests.clients import FREE
from tests.stages.improve.test_improve import candidate

HITS = (Hit("p1", "Ada Mell", "Ada Mell was born in Vell."), Hit("p2", "Bob Lin", "Bob Lin was born in Gar."))
RIGHT = Search("birthplace of Ada Mell", "First.")
SAME, OTHER = replace(RIGHT, thoughts="In other words."), Search("birthplace of Bob Lin", "First.")
SELECTED = LinkSelection("Ada Mell was born in Vell [link_id=1].", "Enough.", (1,), ("Not selected [link_id=2]: no.",))
SAMPLES = [render_output(SAME), render_output(OTHER), "prose"]
BASE = ModelRef("iter_0/finetune/model", "local", tuned=True)


def demonstration(number: int) -> Trajectory:
    question = f"Question {number}: where was Ada Mell born?"
    decided = Step("decide", f'ORIGINAL_QUESTION = "{question}"\n# step: decision\n', (candidate(RIGHT),), 0)
    slip = Step("decide", "a slip\n# step: decision\n", (candidate(OTHER, finish="slip"),), 0)
    results = f'ORIGINAL_QUESTION = "{question}"\n    ResultItem(link_id=1, x)\n    ResultItem(link_id=2, x)\n'
    summarised = Step("summarise", results, (candidate(SELECTED),), 0, hits=HITS, first_link=1)
    steps = (decided, slip, summarised)
    return Trajectory(f"d{number}.0", f"d{number}", question, "finished", None, steps, "a", "a", Usage())


class Trainer:
    """Keeps the rows."""

    def __init__(self) -> None:
        self.rows: list[Example] = []

    async def train(self, examples: Sequence[Example], base: ModelRef, folder: Path, seed: int) -> ModelRef:
        assert base == BASE
        self.rows = list(examples)
        return ModelRef("iter_0/judge/model", "local", tuned=True)


class Judge:
    """Prefers every output that names Ada and does not select link 2."""

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores:
        assert prompt.state.endswith("\n# good:")
        output = prompt.state.rpartition("ACTION_SELECTED")[2]
        good = "Ada" in output and "[1, 2]" not in output
        return OptionScores((-0.1, -2.4) if good else (-2.4, -0.1), (), 10, 4)

    async def aclose(self) -> None:
        pass


def make(
    folder: Path, replies=SAMPLES, questions: int = 4, corruptions: int = 1, llm: LLM | None = None
) -> tuple[list[JudgePairs], Trainer]:
    replace_lines(folder / "t.jsonl", map(demonstration, range(questions)))
    trainer, llm = Trainer(), llm or RecordedLLM({"decision": [replies], "": [[render_output(SELECTED)]]})
    asyncio.run(
        make_judge(
            SearchQA(), Policy(llm, 3, 1.0, 64, "perplexity", tuned=True), folder / "t.jsonl", folder / "judge",
            corruptions=corruptions, held_out=0.25, trainer=trainer, base=BASE, open_model=lambda _: Judge(), seed=7,
            in_flight=1, prices=FREE,
        )
    )  # fmt: skip
    return list(read_lines(folder / "judge" / PAIRS, JudgePairs)), trainer


def test_worse_outputs_are_other_decisions_of_the_policy_and_errors_but_no_slip_and_no_other_wording(tmp_path) -> None:
    pairs, _ = make(tmp_path)
    assert [one.id for one in pairs] == [f"d{n}.0.{i}" for n in range(4) for i in (0, 2)]
    decided, summarised = pairs[:2]
    assert (decided.good, decided.kind) == (canonical_text(RIGHT), "decide")
    assert decided.worse[0] == WorseOutput(canonical_text(OTHER), "policy")
    assert [one.origin for one in decided.worse[1:]] == ["corruption"]
    assert [one.origin for one in summarised.worse] == ["corruption"]
    texts = {worse.text for one in pairs for worse in one.worse}
    assert not texts & {canonical_text(RIGHT), canonical_text(SAME), canonical_text(SELECTED), "prose"}


@pytest.mark.parametrize(("finish", "tokens", "whole"), [("length", 64, False), ("", 64, False), ("", 63, True)])
@pytest.mark.parametrize("mark", ["", "  # [END]"])
def test_a_sample_that_was_cut_off_is_no_worse_output_unless_it_has_its_end_mark(
    tmp_path, finish: str, tokens: int, whole: bool, mark: str
) -> None:
    class Cut(RecordedLLM):
        async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
            return [Completion(canonical_text(OTHER) + mark, tokens, None, finish, 9)] * n

    pairs, _ = make(tmp_path, llm=Cut({}))
    decided = [one for one in pairs if one.kind == "decide"]
    found = {worse.text for one in decided for worse in one.worse if worse.origin == "policy"}
    assert found == ({canonical_text(OTHER)} if whole or mark else set())


def test_every_pair_is_a_row_of_yes_and_a_row_of_no_and_none_is_of_a_held_out_question(tmp_path) -> None:
    pairs, trainer = make(tmp_path)
    held_out = held_out_questions({"d0", "d1", "d2", "d3"}, 0.25, 7)
    assert len(held_out) == 1
    expected = [
        (f"{one.state}{output}\n# good:", verdict)
        for one in pairs
        for worse in one.worse
        if one.question_id not in held_out
        for output, verdict in ((one.good, " yes"), (worse.text, " no"))
    ]
    assert [(row.prompt, row.completion) for row in trainer.rows] == expected
    assert len({row.id for row in trainer.rows}) == len(trainer.rows) == 3 * 2 * 3
    held = list(read_lines(tmp_path / "judge" / HELD_OUT, JudgedPair))
    assert {one.question_id for one in held} == held_out
    assert len(held) == 3


def test_the_summary_has_the_accuracy_on_held_out_pairs_with_its_interval(tmp_path) -> None:
    make(tmp_path)
    summary = read_summary(tmp_path / "judge") or {}
    held = list(read_lines(tmp_path / "judge" / HELD_OUT, JudgedPair))
    assert {name: summary[name] for name in accuracy(held)} == accuracy(held)
    assert (summary["accuracy"]["pairs"], summary["accuracy"]["questions"], summary["training_rows"]) == (3, 1, 18)
    assert summary["accuracy_policy"]["mean"] == 1.0


def test_accuracy_counts_preferred_demonstrations_and_right_verdicts() -> None:
    def pair(question: str, good: float, worse: float, origin="policy") -> JudgedPair:
        return JudgedPair(f"{question}.0.0.0", question, "decide", origin, good, worse)

    told = accuracy([pair("a", 2.0, -1.0), pair("a", 1.0, 0.5), pair("b", -1.0, -2.0), pair("b", 0.5, 0.5)])
    assert {name: (one["mean"], one["pairs"], one["questions"]) for name, one in told.items()} == {
        "accuracy": (0.75, 4, 2), "accuracy_policy": (0.75, 4, 2), "accuracy_corruption": (None, 0, 0),
        "verdict_accuracy": (0.625, 4, 2),
    }  # fmt: skip
    assert told["accuracy"]["low"] < 0.75 < told["accuracy"]["high"]


def test_a_complete_stage_is_left_alone_and_a_refused_state_has_errors_alone(tmp_path, capsys) -> None:
    pairs, _ = make(tmp_path, ModelFault("context too long"))
    assert {one.problem for one in pairs if one.kind == "decide"} == {"context too long"}
    failed = sum(bool(one.problem) for one in pairs)
    assert read_summary(tmp_path / "judge")["states_without_samples"] == failed
    assert f"the policy gave no samples at {failed} of {len(pairs)} states" in capsys.readouterr().err
    assert {worse.origin for one in pairs for worse in one.worse} == {"corruption"}
    before = (tmp_path / "judge" / "summary.json").read_bytes()
    assert make(tmp_path)[1].rows == []
    assert (tmp_path / "judge" / "summary.json").read_bytes() == before


def test_a_policy_that_refuses_every_state_ends_the_stage_before_a_judge_is_trained(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"policy refused all 8 requests \(last refusal: no such model\)"):
        make(tmp_path, llm=RecordedLLM({"": [ModelFault("no such model")]}))
    assert not (tmp_path / "judge" / PAIRS).exists()


def test_one_demonstrated_question_is_too_few(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"raise world\.demonstrations"):
        make(tmp_path, questions=1)


@pytest.mark.parametrize(
    ("start_from", "base"), [("policy", BASE), ("base", ModelRef("tiny-random", "base", tuned=False))]
)
def test_a_judge_starts_from_the_policy_or_from_the_untuned_weights(start_from, base, tmp_path, monkeypatch) -> None:
    asked = {}

    async def make(*_, **given) -> None:
        asked.update(given)

    monkeypatch.setattr(iteration_zero, "make_judge", make)
    how = ("reward_model=trained", f"reward_model.start_from={start_from}", "improve.selector=reward_model")
    settings = compose(["experiment=smoke", "policy=tiny", "agent.select=perplexity", "improve.keep=all", *how])
    folder = RunFolder(tmp_path)
    make_folder(folder.stage(0, "finetune"))
    write_json(folder.stage(0, "finetune") / "model.json", BASE)
    write_summary(folder.stage(0, "finetune"), {})
    asyncio.run(iteration_zero.train_judge(Parts(settings, folder), ()))
    assert (asked["base"], asked["corruptions"], asked["held_out"]) == (base, 2, 0.25)


def test_the_training_of_a_judge_holds_out_no_rows_beside_its_own_held_out_questions(tmp_path) -> None:
    """Both would write held_out.jsonl into the folder of the judge."""
    settings = compose(["experiment=smoke", "policy=tiny", "finetune=tiny", "finetune.holdout=0.5"])
    parts = Parts(settings, RunFolder(tmp_path))
    judge, tuned = parts.trainer(0, "judge"), parts.trainer(0)
    assert isinstance(judge, LocalTrainer) and isinstance(tuned, LocalTrainer)
    assert (judge.training.holdout, tuned.training.holdout) == (0.0, 0.5)


def test_a_policy_without_log_probabilities_cannot_judge() -> None:
    with pytest.raises(UsageError) as refused:
        asyncio.run(TrainedJudge(RecordedLLM({"": [["yes"]]})).is_good("state", "output", seed=0))
    assert str(refused.value) == (
        "reward_model=trained: needs log-probabilities of yes and no, which the policy's server does not give; choose "
        "another reward_model, such as reward_model=same, or set policy=smollm2 or policy=vllm"
    )


def test_a_judge_of_answers_gets_the_demonstrated_questions_and_starts_folds_from_the_untuned_weights(
    tmp_path, monkeypatch
) -> None:
    asked = {}

    async def make(task, questions, examples, stage, **given) -> None:
        asked.update(given, questions=questions, examples=examples, stage=stage)

    monkeypatch.setattr(iteration_zero, "make_outcome_judge", make)
    how = ("reward_model=trained", "reward_model.epochs=9", "improve.keep_trajectories=judged_good")
    settings = compose(
        ["experiment=smoke", "policy=tiny", "finetune=tiny", "agent.select=perplexity", "improve.keep=all", *how]
    )
    folder = RunFolder(tmp_path)
    make_folder(folder.stage(0, "finetune"))
    write_json(folder.stage(0, "finetune") / "model.json", BASE)
    write_summary(folder.stage(0, "finetune"), {})
    row = Example("d0.0.0", "d0.0", 0, "decide", "state", "action", "perplexity")
    replace_lines(folder.stage(0, "improve") / "examples.jsonl", [row])
    demonstrations = (parts := Parts(settings, folder)).question_sets.world.demonstrations
    asyncio.run(iteration_zero.train_judge(parts, demonstrations))
    assert (asked["questions"], asked["examples"]) == (demonstrations, [row])
    assert (asked["base"], asked["untuned"]) == (BASE, ModelRef("tiny-random", "base", tuned=False))
    assert (asked["folds"], asked["repeats"], asked["held_out"]) == (3, 4, 0.25)
    assert asked["stage"] == folder.stage(0, "outcome_judge")
    fold, judge = asked["trainers"]("fold_0"), asked["trainers"]("weights")
    assert (fold.training.epochs, judge.training.epochs) == (settings.demonstrations.epochs, 9)
    assert asked["open_policy"](BASE).samples == settings.grow.samples


@pytest.mark.slow
def test_a_tiny_policy_becomes_a_judge_that_scores_candidates(tmp_path) -> None:
    given = ("experiment=smoke", "policy=tiny", "reward_model=trained", "improve.selector=reward_model")
    settings = compose(
        [*given, "improve.keep=all", "agent.select=perplexity", "world.demonstrations=4", "finetune=tiny"]
    )
    loop = Loop(settings, parts := Parts(settings, RunFolder(tmp_path / "run")))

    async def main() -> OptionScores:
        model = parts.starting_model()
        await loop.run_grow(0, parts.llm(model), model)
        await loop.run_improve(0)
        await loop.run_finetune(0, model)
        await iteration_zero.train_judge(parts, ())
        judge = parts.judges.reward_model()
        assert judge is not None
        try:
            return await judge.rank("a state\n", ["one output", "another output"], seed=0)
        finally:
            await judge.llm.aclose()

    opinion = asyncio.run(main())
    assert sorted(opinion.order) == [0, 1]
    summary = read_summary(tmp_path / "run" / "iter_0" / "judge") or {}
    assert summary["model"] == "iter_0/judge/model"
    assert summary["accuracy"]["pairs"] == len(list(read_lines(tmp_path / "run/iter_0/judge" / HELD_OUT, JudgedPair)))
