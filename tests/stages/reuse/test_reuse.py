import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.config.settings import Settings
from rest_react.errors import ConfigError, UsageError
from rest_react.records import Fault, Question, Trajectory
from rest_react.stages.reuse.reuse import reuse_stages
from rest_react.storage.files import remove
from rest_react.storage.jsonl import read_lines
from rest_react.storage.locked_settings import locked_settings
from rest_react.storage.run_folder import RunFolder
from rest_react.storage.settings_file import lock_settings, read_settings
from rest_react.storage.summaries import write_summary
from tests.runs import trajectory, write_lines

STAGES = ("evaluate/world", "finetune", "grow", "improve")
ITERATION_0, ITERATION_1 = ([f"iter_{k}/{stage}" for stage in STAGES] for k in (0, 1))
CHOICE = ["finetune.snapshots=2", "evaluate.choose_by=world"]
TRAJECTORIES = "iter_1/grow/trajectories.jsonl"


def settings(*overrides: str) -> Settings:
    return compose(["experiment=smoke", "world.train=6", "iteration=1", *overrides])


@pytest.fixture
def source(tmp_path: Path) -> RunFolder:
    """A run with two complete iterations after the first, and two trajectories per question in the first Grow."""
    folder = RunFolder(tmp_path / "smoke")
    lock_settings(folder.root, locked_settings(settings("iteration=2", "grow.trajectories_per_question=2")), {})
    for k in (0, 1, 2):
        for name in STAGES:
            stage = folder.stage(k, *name.split("/"))
            if name == "grow":
                write_lines(stage / "trajectories.jsonl", [trajectory("q", repeat=repeat) for repeat in (0, 1)])
            write_summary(stage, {})
    return folder


def reused(
    source: RunFolder,
    *overrides: str,
    environment: dict[str, str] | None = None,
    tolerated: dict[str, float] | None = None,
) -> list[str]:
    """The stages that a run with these settings takes from the source."""
    folder = RunFolder(source.root.parent / "mine")
    common = ("run=mine", "grow.reuse=smoke", "grow.trajectories_per_question=2")
    s = settings(*common, *overrides)
    how = {"environment": environment, "tolerated": tolerated}
    reuse_stages(source, folder, locked_settings(s), iteration=s.iteration, **how)
    summaries = folder.root.glob("iter_*/**/summary.json")
    return sorted(path.parent.relative_to(folder.root).as_posix() for path in summaries)


@pytest.mark.parametrize(
    ("overrides", "taken"),
    [
        (["improve.selector=random", "finetune.start_from=previous"], [*ITERATION_0, "iter_1/grow"]),
        (["learning_seed=7", "improve.max_examples=3"], [*ITERATION_0, "iter_1/grow"]),
        (["evaluate.repeats=2"], [*ITERATION_0[1:], "iter_1/grow"]),
        (["grow.samples=2"], ITERATION_0),
        (["grow.samples=2", "grow.reuse_through=1"], [*ITERATION_0, *ITERATION_1]),
        (["grow.samples=2", "grow.reuse_through=2"], [*ITERATION_0, *ITERATION_1]),  # not beyond iteration=1
        (["evaluate.repeats=2", "grow.reuse_through=1"], [*ITERATION_0[1:], *ITERATION_1[1:]]),
        (["demonstrations.learning_rate=2e-4", "finetune.learning_rate=3e-4"], [*ITERATION_0, "iter_1/grow"]),
        (["demonstrations.batch_size=4", "finetune.batch_size=8"], [*ITERATION_0, "iter_1/grow"]),
        (["demonstrations.epochs=2", "finetune.epochs=5", "grow.reuse_through=1"], [*ITERATION_0, *ITERATION_1]),
        (["policy.model=another", "iteration=2"], ["iter_1/grow", "iter_1/improve", "iter_2/grow", "iter_2/improve"]),
    ],
    ids=lambda value: " ".join(value) if "=" in value[0] else "",
)
def test_the_settings_that_differ_decide_which_stages_are_reused(
    source: RunFolder, overrides: list[str], taken: list[str]
) -> None:
    assert reused(source, *overrides) == taken


def test_iteration_0_of_dpo_is_reused_where_its_supervised_rate_is_the_same(source: RunFolder) -> None:
    dpo = ("finetune=dpo", "finetune.micro_batch_size=2", "finetune.supervised_learning_rate=1e-3")
    remove(source.root / "settings.yaml")
    lock_settings(source.root, locked_settings(settings("grow.trajectories_per_question=2", *dpo)), {})
    with pytest.raises(UsageError, match=r"demonstrations\.learning_rate"):
        reused(source, *dpo, "demonstrations.learning_rate=2e-5")
    assert reused(source, *dpo, "finetune.learning_rate=1e-6") == [*ITERATION_0, "iter_1/grow"]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (CHOICE, [*CHOICE, "evaluate.repeats=2"]),
        (CHOICE, []),
        ([], CHOICE),
    ],
)
def test_a_model_that_another_evaluation_would_have_chosen_is_not_reused(
    source: RunFolder, before: list[str], now: list[str]
) -> None:
    kept = ("iteration=2", "grow.trajectories_per_question=2", *before)
    remove(source.root / "settings.yaml")
    lock_settings(source.root, locked_settings(settings(*kept)), {})
    with pytest.raises(UsageError, match=r"no stage of .* can be reused, because [^$]*\n  evaluate\."):
        reused(source, *now)


def test_a_student_takes_the_data_of_a_teacher_whose_models_a_benchmark_chose(source: RunFolder) -> None:
    remove(source.root / "settings.yaml")
    lock_settings(source.root, locked_settings(settings("grow.trajectories_per_question=2", *CHOICE)), {})
    taken = reused(source, "policy.model=another", "evaluate.repeats=2", *CHOICE)
    assert taken == ["iter_1/grow", "iter_1/improve"]


def test_the_chosen_model_is_taken_with_its_training(source: RunFolder) -> None:
    remove(source.root / "settings.yaml")
    lock_settings(source.root, locked_settings(settings("grow.trajectories_per_question=2", *CHOICE)), {})
    for stage in ("choose/5", "choose/10", "choose"):
        write_summary(source.stage(0, *stage.split("/")), {})
    taken = reused(source, "improve.selector=random", *CHOICE)
    assert [stage for stage in taken if "choose" in stage] == ["iter_0/choose", "iter_0/choose/10", "iter_0/choose/5"]


def test_no_stage_is_reused_where_the_prompts_of_the_steps_have_changed(source: RunFolder) -> None:
    made_with = {"rest-react": "1", "step_prompts": "a", "judge_prompts": "b"}
    lock_settings(source.root, read_settings(source.root), made_with)
    with pytest.raises(UsageError, match=r"step_prompts\.content: digest a in the folder, c now"):
        reused(source, environment=made_with | {"step_prompts": "c"})
    assert reused(source, environment=made_with | {"judge_prompts": "c"}) == [*ITERATION_0, "iter_1/grow"]


def test_what_a_model_graded_with_other_prompts_is_not_reused(tmp_path: Path) -> None:
    given = {**locked_settings(settings()), "grader.kind": "openai"}
    source, mine = RunFolder(tmp_path / "smoke"), RunFolder(tmp_path / "mine")
    made_with = {"rest-react": "1", "step_prompts": "a", "grader_prompts": "b", "judge_prompts": "b"}
    now = {"rest-react": "2", "step_prompts": "a", "grader_prompts": "c", "judge_prompts": "b"}
    lock_settings(source.root, given, made_with)
    for name in (*ITERATION_0, "iter_1/grow"):
        write_summary(source.root / name, {})
    lock_settings(source.root, given, now)  # no stage was made with it
    reuse_stages(source, mine, given, iteration=1, environment=now)
    assert not (mine.root / "iter_0" / "evaluate").exists()
    assert (mine.root / "iter_1" / "grow" / "summary.json").exists()


def test_a_run_of_an_earlier_version_with_one_hash_for_all_judges_is_compared_by_that(tmp_path: Path) -> None:
    given = {**locked_settings(settings()), "grader.kind": "openai"}
    source, mine = RunFolder(tmp_path / "smoke"), RunFolder(tmp_path / "mine")
    lock_settings(source.root, given, {"judge_prompts": "b"})
    for name in (*ITERATION_0, "iter_1/grow"):
        write_summary(source.root / name, {})
    now = {"judge_prompts": "c", "grader_prompts": "d"}
    reuse_stages(source, mine, given, iteration=1, environment=now)
    assert not (mine.root / "iter_0" / "evaluate").exists()


def test_prompts_of_another_filter_of_improve_change_no_reused_grade(tmp_path: Path) -> None:
    given = {**locked_settings(settings()), "grader.kind": "openai"}
    source, mine = RunFolder(tmp_path / "smoke"), RunFolder(tmp_path / "mine")
    made_with = {"step_prompts": "a", "grader_prompts": "b", "judge_prompts": "c"}
    lock_settings(source.root, given, made_with)
    for name in (*ITERATION_0, "iter_1/grow"):
        write_summary(source.root / name, {})
    reuse_stages(source, mine, given, iteration=1, environment=made_with | {"judge_prompts": "d"})
    assert (mine.root / "iter_0" / "evaluate" / "world" / "summary.json").exists()


@pytest.mark.parametrize(
    ("overrides", "first", "then", "needed"),
    [
        (["improve.selector=random"], 1, 1, False),
        (["improve.selector=random"], 1, 2, False),  # iteration 0 and the first Grow are all that it shares
        (["improve.selector=random"], 0, 1, True),
        (["grow.samples=2"], 0, 1, False),
        (["grow.samples=2", "grow.reuse_through=1"], 1, 2, False),
        (["grow.samples=2", "grow.reuse_through=2"], 1, 2, True),
        (["policy.model=another"], 1, 2, True),
    ],
)
def test_a_run_needs_the_other_run_only_for_stages_that_it_has_not_taken_yet(
    source: RunFolder, overrides: list[str], first: int, then: int, needed: bool
) -> None:
    taken = reused(source, *overrides, f"iteration={first}")
    shutil.rmtree(source.root)
    if needed:
        with pytest.raises(UsageError, match="is not a run folder"):
            reused(source, *overrides, f"iteration={then}")
    else:
        assert reused(source, *overrides, f"iteration={then}") == taken


@pytest.mark.parametrize(("overrides", "lost"), [((), "iter_1"), (("policy.model=another",), "iter_1/grow")])
def test_a_reused_stage_that_was_deleted_is_taken_again_and_not_made_here(
    source: RunFolder, overrides: tuple[str, ...], lost: str
) -> None:
    taken = reused(source, *overrides)
    shutil.rmtree(source.root.parent / "mine" / lost)
    assert reused(source, *overrides) == taken
    shutil.rmtree(source.root.parent / "mine" / lost)
    shutil.rmtree(source.root)
    with pytest.raises(UsageError, match="is not a run folder"):
        reused(source, *overrides)


def test_another_run_named_in_grow_reuse_is_read_although_the_first_one_was_taken_from(source: RunFolder) -> None:
    taken = reused(source)
    with pytest.raises(UsageError, match="another is not a run folder"):
        reused(RunFolder(source.root.parent / "another"))
    assert reused(source) == taken


def test_a_student_learns_from_the_texts_that_its_teacher_wrote(source: RunFolder) -> None:
    write_summary(source.stage(0, "synthetic"), {})
    assert reused(source, "policy.model=another") == ["iter_0/synthetic", "iter_1/grow", "iter_1/improve"]


@pytest.mark.parametrize(
    ("changed", "taken"),
    [
        ({"evaluate.world": "b"}, [*ITERATION_0[1:], "iter_1/grow"]),
        ({"grow.questions": "b"}, ITERATION_0),
        ({"grow.questions": "b", "rest-react": "b"}, ITERATION_0),  # digests of every version have the same form
        ({"rest-react": "b"}, [*ITERATION_0, "iter_1/grow"]),
        ({"torch": "b", "evaluate.another": "b"}, [*ITERATION_0, "iter_1/grow"]),
        ({"search.corpus": "b"}, None),
    ],
    ids=str,
)
def test_stages_made_from_data_that_have_changed_under_their_name_are_not_reused(
    source: RunFolder, changed: dict[str, str], taken: list[str] | None
) -> None:
    made_with = dict.fromkeys(("rest-react", "torch", "grow.questions", "evaluate.world", "search.corpus"), "a")
    lock_settings(source.root, read_settings(source.root), made_with)
    if taken is None:
        with pytest.raises(UsageError, match=r"search\.corpus\.content: digest a in the folder, b now"):
            reused(source, environment=made_with | changed)
    else:
        assert reused(source, environment=made_with | changed) == taken


def test_weights_that_have_changed_under_the_policy_s_path_make_no_student(source: RunFolder) -> None:
    lock_settings(source.root, read_settings(source.root), {"policy.model": "a"})
    with pytest.raises(UsageError, match=r"policy\.model\.content: digest a in the folder, b now \(.*\)\n.*restore"):
        reused(source, environment={"policy.model": "b"})
    taken = reused(source, "policy.model=another", environment={"policy.model": "b"})
    assert taken == ["iter_1/grow", "iter_1/improve"]


@pytest.mark.parametrize(
    ("overrides", "noted"),
    [
        ([], ["iter_1/grow"]),
        (["grow.reuse_through=1"], []),  # reused whatever it was grown on
        (["grow.samples=2"], []),  # not reused because of another setting
    ],
)
def test_a_note_names_the_stages_that_changed_data_leave_out(
    source: RunFolder, overrides: list[str], noted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lock_settings(source.root, read_settings(source.root), {"grow.questions": "a"})
    reused(source, *overrides, environment={"grow.questions": "b"})
    told = " ".join(capsys.readouterr().err.split())
    assert [stage for stage in ITERATION_1 if f"(digest a in the folder, b now): {stage}" in told] == noted
    assert ("grow.questions.content" in told) == bool(noted)


@pytest.mark.parametrize(
    ("changed", "taken"),
    [
        ("evaluate.world", [*ITERATION_0[1:], "iter_1/grow"]),
        ("grow.questions", ITERATION_0),
        ("judge_prompts", [*ITERATION_0, "iter_1/grow"]),  # a rule grades
        ("demonstrations.questions", None),
        ("step_prompts", None),
    ],
)
def test_stages_of_a_run_that_was_resumed_after_its_data_had_changed_are_not_reused(
    source: RunFolder, changed: str, taken: list[str] | None
) -> None:
    names = ("grow.questions", "evaluate.world", "demonstrations.questions", "step_prompts", "judge_prompts")
    made_with = dict.fromkeys(("rest-react", *names), "a")
    now = made_with | {changed: "b"}
    for environment in (made_with, now):  # every stage was complete before the second command
        lock_settings(source.root, read_settings(source.root), environment)
    if taken is None:
        with pytest.raises(UsageError, match=rf"{changed}\.content: digest a in the folder, b now"):
            reused(source, environment=now)
    else:
        assert reused(source, environment=now) == taken


@pytest.mark.parametrize(
    ("overrides", "taken"),
    [
        (["learning_seed=7", "grow.samples=2"], True),
        (["reward_model.right=0.5"], False),
        (["grow.temperature=0.7"], False),
        (["policy.model=another"], False),
    ],
)
def test_a_trained_judge_is_reused_with_its_policy_unless_its_settings_differ(
    source: RunFolder, overrides: list[str], taken: bool
) -> None:
    write_summary(source.stage(0, "judge"), {})
    assert ("iter_0/judge" in reused(source, *overrides)) is taken


@pytest.mark.parametrize("overrides", [["learning_seed=7"], ["grow.samples=2"], ["evaluate.repeats=2"]])
def test_a_judge_of_answers_is_reused_with_the_samples_and_the_grader_that_its_answers_had(
    source: RunFolder, overrides: list[str]
) -> None:
    write_summary(source.stage(0, "outcome_judge"), {})
    assert ("iter_0/outcome_judge" in reused(source, *overrides)) is (overrides == ["learning_seed=7"])


def test_synthetic_texts_are_reused_with_the_iteration_that_learnt_them(source: RunFolder) -> None:
    write_summary(source.stage(0, "synthetic"), {})
    assert "iter_0/synthetic" in reused(source, "grow.samples=2")


def test_iteration_0_of_texts_that_one_reward_model_judged_is_not_reused_with_another(tmp_path: Path) -> None:
    given = {**locked_settings(settings()), "synthetic.n": 5, "synthetic.judged": True}
    source, other = RunFolder(tmp_path / "smoke"), {**given, "reward_model.right": 0.5}
    lock_settings(source.root, given, {})
    with pytest.raises(UsageError, match=r"reward_model\.right: .* in the folder, 0\.5 now"):
        reuse_stages(source, RunFolder(tmp_path / "mine"), other, iteration=0)


def test_the_first_grow_of_a_run_that_took_its_iteration_1_from_another_is_not_reused(
    source: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    made = locked_settings(settings("run=taker", "grow.reuse=smoke", "grow.reuse_through=1", "grow.samples=2"))
    taker = RunFolder(source.root.parent / "taker")
    reuse_stages(source, taker, made, iteration=1)
    lock_settings(taker.root, made, {})
    mine = locked_settings(settings("run=mine", "grow.reuse=taker", "grow.samples=2", "improve.selector=random"))
    reuse_stages(taker, folder := RunFolder(source.root.parent / "mine"), mine, iteration=1)
    assert not (folder.root / "iter_1").exists()
    assert "taker has its iteration 1 from another run, so its first Grow is not reused" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_finished_restart_control_is_taken_without_the_stages_that_it_never_had(source: RunFolder) -> None:
    control = ["start=demonstrations", "improve.max_examples=0", "grow.trajectories_per_question=2"]
    remove(source.root / "settings.yaml")
    lock_settings(source.root, locked_settings(settings(*control)), {})
    for stage in ("iter_1/grow", "iter_1/improve"):
        remove(source.root / stage)
    taken = reused(source, *control, "grow.reuse_through=1")
    assert [stage for stage in taken if stage.startswith("iter_1")] == ["iter_1/evaluate/world", "iter_1/finetune"]


@pytest.mark.parametrize(("repeats", "kept"), [(1, ["q.0"]), (2, ["q.0", "q.1"]), (3, ["q.0", "q.1"])])
def test_a_run_with_another_number_of_repeats_reuses_the_common_repeats(
    source: RunFolder, repeats: int, kept: list[str]
) -> None:
    stages = reused(source, f"grow.trajectories_per_question={repeats}", "improve.selector=random")
    assert ("iter_1/grow" in stages) == (repeats == 2)  # else Grow completes the stage
    mine = source.root.parent / "mine"
    assert [one.id for one in read_lines(mine / TRAJECTORIES, Trajectory)] == kept


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["world.train=4"], "world.train: 6 in the folder, 4 now"),
        (["agent.self_checks=false"], "agent.self_checks: True in the folder, False now"),
        (["policy.model=another", "improve.selector=random"], "improve.selector: perplexity in the folder"),
        (["policy.model=another", "iteration=3"], "smoke/iter_3/grow is not complete; finish that run first"),
    ],
)
def test_a_run_with_incompatible_settings_is_not_reused(source: RunFolder, overrides: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told).replace("perplexity", "'perplexity'")):
        reused(source, *overrides)
    assert not (source.root.parent / "mine").exists()


def lose(stage: Path) -> None:
    """Makes one of a stage's two trajectories one that an external error cost, as a run may tolerate."""
    lost = replace(trajectory("q", repeat=1), outcome="failed", fault=Fault("outside", "an outage"))
    write_lines(stage / "trajectories.jsonl", [trajectory("q"), lost])
    write_summary(stage, {})


@pytest.mark.parametrize(
    ("overrides", "stage", "others"),
    [
        (["improve.selector=random"], "iter_1/grow", ITERATION_0),
        (["improve.selector=random"], "iter_0/evaluate/world", [*ITERATION_0[1:], "iter_1/grow"]),
        (
            ["grow.samples=2", "grow.reuse_through=1"],
            "iter_1/evaluate/world",
            [*ITERATION_0, *ITERATION_1[1:]],
        ),
    ],
)
def test_what_the_other_run_lost_is_made_here_unless_this_run_tolerates_it_too(
    source: RunFolder, overrides: list[str], stage: str, others: list[str]
) -> None:
    lose(source.root / stage)
    assert reused(source, *overrides, tolerated={"grow": 0.49, "evaluate": 0.49}) == others
    mine, theirs = (root / stage / "trajectories.jsonl" for root in (source.root.parent / "mine", source.root))
    assert mine.read_bytes() == theirs.read_bytes()
    assert not mine.samefile(theirs)  # the missing ones will be appended
    shutil.rmtree(source.root.parent / "mine")
    assert reused(source, *overrides, tolerated={"grow": 0.5, "evaluate": 0.5}) == sorted([*others, stage])


@pytest.mark.parametrize("overrides", [["grow.samples=2", "grow.reuse_through=1"], ["policy.model=another"]])
def test_a_grow_with_losses_on_which_other_reused_stages_depend_is_refused(
    source: RunFolder, overrides: list[str]
) -> None:
    lose(source.stage(1, "grow"))
    told = r"of the 2 records of .*/iter_1/grow, 1 failed .* set grow\.tolerate_outside_faults=0\.5 "
    with pytest.raises(UsageError, match=told):
        reused(source, *overrides)
    assert not (source.root.parent / "mine").exists()
    assert "iter_1/grow" in reused(source, *overrides, tolerated={"grow": 0.5})


@pytest.mark.parametrize("control", [(), ("improve.max_examples=0",)])
def test_what_reused_iterations_were_grown_on_may_be_refused_before_anything_is_copied(
    source: RunFolder, control: tuple[str, ...]
) -> None:
    reuse = ("run=mine", "grow.reuse=smoke", "grow.reuse_through=1", "grow.questions=world_evaluation")
    s = settings(*reuse, *control)
    write_lines(source.root / TRAJECTORIES, [trajectory("w1", text="Who?"), trajectory("w2", text="Where?")])
    write_summary(source.stage(1, "grow"), {})

    def check(grown: Sequence[Question]) -> None:
        raise ConfigError([", ".join(question.text for question in grown)])

    with pytest.raises(ConfigError, match=r"Who\?, Where\?"):
        reuse_stages(source, RunFolder(source.root.parent / "mine"), locked_settings(s), iteration=1, check=check)
    assert not (source.root.parent / "mine").exists()


def test_a_folder_that_is_not_a_run_cannot_be_reused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"grow\.reuse: .*smoke is not a run folder"):
        reused(RunFolder(tmp_path / "smoke"))
    assert not (tmp_path / "mine").exists()
