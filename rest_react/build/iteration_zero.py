"""What some runs make in iteration 0 beside the stages of every iteration: the texts of a teacher, and a trained judge.

    await write_texts(parts)                       # iter_0/synthetic, with `synthetic.n`
    await train_judge(parts, demonstrations)       # iter_0/judge or iter_0/outcome_judge, with `reward_model=trained`

Not here: how they are made (stages.synthesise, stages.judge), and asking the judge (build.judges).
"""

from collections.abc import Sequence

from rest_react.build.parts import Parts
from rest_react.config.settings import TrainedModel, asks_reward_model
from rest_react.records import Example, LabelledQuestion, ModelRef
from rest_react.seeds import derive_seed
from rest_react.selection.trajectory_filters import JUDGE_ANSWERS
from rest_react.stages.choose_model import model_of_iteration
from rest_react.stages.improve.improve import EXAMPLES
from rest_react.stages.judge.outcome_judge import WEIGHTS, make_outcome_judge
from rest_react.stages.judge.step_judge import make_judge
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.stages.synthesise import synthesise
from rest_react.storage.jsonl import read_lines
from rest_react.tasks.protocol import Policy


async def write_texts(parts: Parts) -> None:
    """Has the teacher write the texts that iteration 0 learns from."""
    s = parts.settings
    teacher, template = parts.judges.teacher()
    judge = parts.judges.of_texts()
    try:
        await synthesise(
            teacher,
            template,
            judge,
            s.task.label_names(),
            parts.folder.stage(0, "synthetic"),
            s.synthetic,
            shown=s.task.shown,
            seed=derive_seed(s.seed, "synthesise"),
            in_flight=s.policy.in_flight,
            prices=parts.prices,
        )
    finally:
        await teacher.aclose()
        if judge is not None:
            await judge.llm.aclose()


async def train_judge(parts: Parts, demonstrations: Sequence[LabelledQuestion]) -> None:
    """Trains the judge of `reward_model=trained`, of answers or of steps, if this run asks it."""
    s = parts.settings
    judge = s.reward_model
    if not isinstance(judge, TrainedModel) or not asks_reward_model(s):
        return
    policy = model_of_iteration(parts.folder.stage(0))
    assert policy is not None  # iteration 0 is complete
    base = policy if judge.start_from == "policy" else parts.starting_model()
    if s.improve.keep_trajectories in JUDGE_ANSWERS:
        await _train_judge_of_answers(parts, demonstrations, judge, base)
    else:
        await _train_judge_of_steps(parts, judge, policy, base)


async def _train_judge_of_answers(
    parts: Parts, demonstrations: Sequence[LabelledQuestion], judge: TrainedModel, base: ModelRef
) -> None:
    """On the outcomes of the policy on the demonstrated questions."""
    s = parts.settings

    def open_policy(model: ModelRef) -> Policy:
        return parts.policy(parts.llm(model), samples=s.grow.samples, temperature=s.grow.temperature, tuned=True)

    await make_outcome_judge(
        parts.demonstrated_task(),
        demonstrations,
        list(read_lines(parts.folder.stage(0, "improve") / EXAMPLES, Example)),
        parts.folder.stage(0, "outcome_judge"),
        folds=judge.folds,
        repeats=judge.repeats,
        held_out=judge.held_out,
        grader=parts.judges.grader(),
        trainers=lambda of: parts.trainer(0, f"outcome judge, {of}", judge.epochs if of == WEIGHTS else None),
        untuned=parts.starting_model(),
        base=base,
        open_policy=open_policy,
        open_judge=parts.judges.trained,
        seed=derive_seed(s.seed, "outcome_judge"),
        in_flight=s.policy.in_flight,
        prices=parts.prices,
        tolerated=s.evaluate.tolerate_outside_faults,
        make_room=parts.judges.grader_needs_room,
    )


async def _train_judge_of_steps(parts: Parts, judge: TrainedModel, policy: ModelRef, base: ModelRef) -> None:
    """On demonstrations and on samples of iteration 0's policy."""
    s, llm = parts.settings, parts.llm(policy)
    try:
        await make_judge(
            parts.task_reader(),
            parts.policy(llm, samples=judge.samples, temperature=s.grow.temperature, tuned=True),
            parts.folder.stage(0, "grow") / TRAJECTORIES,
            parts.folder.stage(0, "judge"),
            corruptions=judge.corruptions,
            held_out=judge.held_out,
            trainer=parts.trainer(0, "judge"),
            base=base,
            open_model=parts.judges.trained,
            seed=derive_seed(s.seed, "judge"),
            in_flight=s.policy.in_flight,
            prices=parts.prices,
        )
    finally:
        await llm.aclose()
