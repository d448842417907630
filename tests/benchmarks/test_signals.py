"""The table of signals on a Grow of the scripted policy, whose answers are wrong where it is told to be wrong."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.gold import JudgedStep
from benchmarks.labelled_run import LabelledRun, labelled_run
from benchmarks.scores import Reader, perplexity
from benchmarks.signals import (
    asked,
    kept_by,
    kept_by_reading,
    measured,
    outcomes,
    refuse_another_policy,
    step_aucs,
    trajectory_table,
)
from benchmarks.trajectory_scores import question_given_answer, rank_sum, read_scores, read_verdicts
from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.errors import UsageError
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.questions import unlabelled
from rest_react.records import Candidate, Step, Trajectory, Usage
from rest_react.seeds import derive_seed
from rest_react.selection.opinions import Judgement
from rest_react.selection.read_trajectory import answer_read, read_trajectory
from rest_react.stages.grow import grow
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import replace_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings
from rest_react.tasks.search_qa.judging.evidence import evidence_of
from rest_react.tasks.search_qa.step import parse_step
from rest_react.trajectories.parsed import Evidence, ParsedTrajectory
from rest_react.weights import resolve_weights
from rest_react.weights.tiny import TINY
from tests.clients import FREE


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LabelledRun:
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "scripted")
    settings = compose(["experiment=smoke", "grow.trajectories_per_question=3"])
    parts = Parts(settings, folder)
    lock_settings(folder.root, locked_settings(settings), {})
    policy = parts.policy(parts.llm(parts.starting_model()), samples=3, temperature=1.0, tuned=True)
    asked = parts.question_sets.grown()
    asyncio.run(
        grow(
            parts.task(asked.passages), policy, unlabelled(asked.labelled), folder.stage(1, "grow"),
            repeats=3, seed=7, in_flight=4, prices=FREE,
        )
    )  # fmt: skip
    return labelled_run(folder.root, 1)


def test_the_labels_of_a_runs_questions_are_found_by_its_own_settings(run: LabelledRun) -> None:
    right = [run.right(one) for one in run.finished]
    assert len(run.trajectories) == 18
    assert 0 < sum(right) < len(right)
    judged = asyncio.run(run.judged_steps())
    assert {step.question_id for step in judged} == set(run.labelled)
    assert any(step.mixed for step in judged)
    with pytest.raises(UsageError, match="has no Grow of iteration 2"):
        labelled_run(run.folder.root, 2)


def test_only_questions_of_the_given_kinds_are_measured(run: LabelledRun) -> None:
    kinds = {id_: one.kind for id_, one in run.labelled.items()}
    asked = {one.question_id for one in run.trajectories}
    for kind in {kinds[id_] for id_ in asked}:
        found = labelled_run(run.folder.root, 1, kinds=[kind])
        assert found.trajectories == tuple(one for one in run.trajectories if kinds[one.question_id] == kind)
    with pytest.raises(UsageError, match="no question of these kinds; it has "):
        labelled_run(run.folder.root, 1, kinds=["riddle"])


def test_the_rules_of_the_world_tell_right_from_wrong_and_each_signal_has_a_row(run: LabelledRun) -> None:
    found = measured(run, None, {})
    assert found["rules"].auc.value is not None
    assert found["rules"].auc.value > 0.9
    assert found["agreement"].scored == len(run.finished)
    assert found["agreement, in band"].kept < found["agreement"].kept
    table = trajectory_table(run, found).splitlines()
    assert table[2].startswith("18 trajectories of 6 questions, ")
    assert [line.split(" | ")[0].strip("| ") for line in table[6:-2]] == list(found)


def test_questions_are_counted_by_how_often_the_policy_is_right(run: LabelledRun) -> None:
    right = {one.question_id: one for one in run.finished if run.right(one)}
    wrong = next(one for one in run.finished if not run.right(one))
    first, second = [one for question, one in right.items() if question != wrong.question_id][:2]
    lost = replace(second, outcome="failed", answer=None)
    told = outcomes(replace(run, trajectories=(first, first, wrong, wrong, second, lost)))
    assert told == "Questions answered right in all their trajectories: 1; in none: 1; in some: 1."


def test_an_incomplete_grow_whose_trajectories_are_in_order_of_arrival_gives_the_same_figures(
    run: LabelledRun, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "scripted")
    lock_settings(folder.root, run.settings, {})
    arrived = sorted(run.trajectories, key=lambda one: derive_seed(one.id))
    assert arrived != list(run.trajectories)
    replace_lines(folder.stage(1, "grow") / TRAJECTORIES, arrived)
    assert measured(labelled_run(folder.root, 1), None, {}) == measured(run, None, {})


def test_a_question_file_is_told_which_column_names_its_gold_passages(tmp_path: Path) -> None:
    questions, corpus = tmp_path / "questions.jsonl", tmp_path / "corpus.jsonl"
    asked = {"id": "q1", "question": "Where was Ada Mell born?", "answers": ["Vell"], "evidence_ids": ["p1"]}
    questions.write_text(json.dumps(asked) + "\n")
    rows = ({"id": "p1", "title": "Ada Mell", "text": "Born in Vell."}, {"id": "p2", "title": "Gus", "text": "Of Gar."})
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [f"grow.questions.path={questions}", f"grow.questions.corpus={corpus}"]
    rules = ["agent.select=perplexity", "improve.keep=all"]
    folder = RunFolder(tmp_path / "mine")
    settings = compose(["questions@grow.questions=file", *files, *rules])
    older = {name: value for name, value in locked_settings(settings).items() if name != "grow.questions.part"}
    lock_settings(folder.root, older, {})
    query = Candidate('ACTION_SELECTED = ActionWrapper(thoughts="t", action=Search(query="Ada Mell"))', 5, -1.0, "stop")
    other = replace(query, text=query.text.replace("Ada Mell", "Gus"))
    step = Step("decide", "s", (query, other), 0)
    grown = Trajectory("q1.0", "q1", asked["question"], "finished", None, (step,), "Vell.", "Vell.", Usage())
    replace_lines(folder.stage(1, "grow") / TRAJECTORIES, [grown])
    (judged,) = asyncio.run(labelled_run(folder.root, 1, ["supporting_ids", "evidence_ids"]).judged_steps())
    assert (judged.right, judged.mixed) == ((True, False), True)
    assert asyncio.run(labelled_run(folder.root, 1).judged_steps()) == []
    for incomplete in (["p1", "p9"], ["p1"]):  # not in the corpus, or not published
        chain = {"evidence": [["Ada Mell", "place of birth", "Vell"], ["Vell", "country", "Arn"]]}
        questions.write_text(json.dumps(asked | chain | {"evidence_ids": incomplete}) + "\n")
        assert asyncio.run(labelled_run(folder.root, 1, ["evidence_ids"]).judged_steps()) == []


def test_the_auc_of_a_step_is_the_share_of_pairs_in_the_right_order() -> None:
    texts = (f'Search(query="{i}", thoughts="t")' for i in range(3))
    candidates = tuple(Candidate(text, 1, nll, "stop") for text, nll in zip(texts, (-1.0, -2.0, -1.0), strict=True))
    step = JudgedStep("q.0.0", "q", Step("decide", "", candidates, 0), (True, False, False), (0, 0, 0))
    assert step_aucs([step], perplexity) == {kind: {"q": [0.75]} for kind in ("decide", "all")}
    assert step_aucs([step], None) == {kind: {"q": [0.5]} for kind in ("decide", "all")}


def test_a_sum_of_ranks_scores_only_what_every_member_scores() -> None:
    assert rank_sum([1.0, 2.0, 2.0, None], [0.0, 0.0, 5.0, 9.0]) == [
        pytest.approx(1 / 6 + 1 / 4), pytest.approx(4 / 6 + 1 / 4), pytest.approx(4 / 6 + 2.5 / 4), None,
    ]  # fmt: skip


class Recorded(Reader):
    """A reader whose log-probability is minus the number of words of the state, and which remembers the states."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def beginning(self, state, text):
        self.read.append(state)
        return -float(len(state.split()))

    def count(self, text: str) -> int:
        return 2


def test_evidence_is_removed_from_the_beginning_and_the_answer_is_the_same(run: LabelledRun) -> None:
    whole = next(one for one in run.finished if run.right(one))
    parsed, reader = ParsedTrajectory(whole, tuple(map(parse_step, whole.steps))), Recorded()
    [gain] = read_scores([parsed], reader)["evidence removal"]
    full, bare = reader.read[-2:]
    assert gain == (len(bare.split()) - len(full.split())) / 2
    assert full.splitlines()[-3:] == bare.splitlines()[-3:]
    assert bare.startswith("Passages:\n(none)\n")


def test_what_a_reading_keeps_is_what_improve_would_keep(run: LabelledRun) -> None:
    parsed = [ParsedTrajectory(one, tuple(map(parse_step, one.steps))) for one in run.finished]
    own = next(hit.snippet for one in parsed for hit in evidence_of(one).selected)

    class OnePassage(Recorded):
        """A reader to whom one passage alone makes a text likelier."""

        def beginning(self, state, text):
            return -1.0 if own in state else -9.0

    with_it = [any(hit.snippet == own for hit in evidence_of(one).selected) for one in parsed]
    assert any(with_it) and not all(with_it)
    assert kept_by_reading("evidence_needed", parsed, OnePassage()) == with_it


def test_a_text_is_read_as_improve_reads_it(run: LabelledRun) -> None:
    one = next(one for one in run.finished if run.right(one))
    parsed, reader = ParsedTrajectory(one, tuple(map(parse_step, one.steps))), Reader(resolve_weights(TINY))
    (verdict,) = read_verdicts("evidence_needed", [parsed], reader)

    async def improve() -> Judgement:
        engine = TransformersEngine(TINY, mode="completion", dtype="float32", threads=1)
        try:
            return await read_trajectory("evidence_needed", evidence_of(parsed), answer_read, engine)
        finally:
            await engine.aclose()

    read = asyncio.run(improve())
    assert (verdict.good, verdict.logprobs) == (read.good, pytest.approx(read.logprobs, abs=2e-3))


def test_the_answer_stands_before_the_question_that_it_should_explain() -> None:
    reader = Recorded()
    assert question_given_answer(Evidence("Who?", "Ada Mell.", "Ada Mell"), reader) == -3 / 2
    assert reader.read == ["Answer: Ada Mell.\nA question about this:\n", "A question about this:\n"]


def test_a_reader_with_a_cache_reads_a_text_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(Reader, "_read", lambda self, state, outputs, ended: read.append(state) or [-1.0])
    for _ in range(2):
        assert Reader("none", tmp_path / "read.jsonl").logprobs("state", ["a"]) == [-1.0]
    assert read == ["state"]


def test_a_trajectory_without_a_verdict_is_kept_as_in_improve() -> None:
    assert kept_by("reward model", [2.0, -1.0, None], []) == [True, False, True]
    assert kept_by("reward model", [2.0, 1.0, None, 3.0], [], judged_half=True) == [True, False, True, True]


def test_two_different_passages_are_kept_as_by_min_passages_2() -> None:
    assert kept_by("passages selected", [1.0, 2.0, 3.0, 0.0], []) == [False, True, True, False]


def test_a_filter_that_asks_something_else_than_a_judge_is_refused(run: LabelledRun, tmp_path: Path) -> None:
    given = ("improve.keep_trajectories=reader_agrees", "improve.reward=options", "reward_model=qwen")
    with pytest.raises(UsageError, match=r"--ask: improve.keep_trajectories=reader_agrees does not ask whether"):
        asked(run, [], given, tmp_path)


def test_a_judge_that_follows_the_policy_is_asked_with_the_policy_of_the_run(run: LabelledRun) -> None:
    refuse_another_policy(compose(["experiment=smoke"]), run)
    with pytest.raises(UsageError, match=r"--ask: the reward model is the policy's model, which is .* give the run's"):
        refuse_another_policy(compose(["policy.model=Qwen/Qwen3-0.6B"]), run)
