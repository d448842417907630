"""Verdicts on trajectories, made at the beginning of Improve where `improve.keep_trajectories` asks the reward model.

    await judge_trajectories(task, grown / "trajectories.jsonl", stage, judge=reward_model, keep="judged_good", ...)
    judged_bad(stage, "judged_good")        # {"q3.0"}: these do not train

writes verdicts.jsonl, one line for each finished trajectory that the task's own filters keep. A trajectory without a
verdict (an outage, a refusal, an unclear reply) is judged again when the stage resumes, and is never counted as bad.
Not here: what the reward model is asked (selection.judge_trajectory), and the summary (stages.improve.improve).
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rest_react.records import Trajectory, TrajectoryVerdict
from rest_react.seeds import derive_seed
from rest_react.selection.judge_trajectory import answers_of, judge_trajectory, left_out_by
from rest_react.selection.opinions import StepJudge
from rest_react.selection.trajectory_filters import JUDGE_ANSWERS, KeepTrajectories
from rest_react.stages.executor import StageRecords, run_owed
from rest_react.storage.jsonl import read_lines
from rest_react.tasks.protocol import Task
from rest_react.trajectories.parsed import Evidence, ParsedTrajectory

VERDICTS = "verdicts.jsonl"


async def judge_trajectories(
    task: Task,
    trajectories: Path,
    stage: Path,
    *,
    judge: StepJudge,
    keep: KeepTrajectories,
    seed: int,
    in_flight: int,
    title: str,
    tolerated: float,
    again: bool = True,
) -> None:
    """Judges every trajectory that has no verdict yet; not `again` one whose request failed or was of no use. Raises
    StageIncomplete if more than the share `tolerated` failed because of external errors."""

    def items() -> Iterator[tuple[str, Evidence]]:
        for trajectory in read_lines(trajectories, Trajectory):
            if trajectory.outcome == "finished":
                parsed = ParsedTrajectory(trajectory, tuple(map(task.parse, trajectory.steps)))
                if task.may_train(parsed):
                    yield trajectory.id, task.evidence(parsed)

    async def verdict(id_: str, found: Evidence) -> TrajectoryVerdict:
        return await judge_trajectory(id_, found, judge, keep=keep, seed=derive_seed(seed, id_, "right"))

    await run_owed(
        _RECORDS if again else replace(_RECORDS, keep=lambda _: True), stage / VERDICTS, items(), verdict,
        total=sum(one.outcome == "finished" for one in read_lines(trajectories, Trajectory)),
        in_flight=in_flight, title=f"{title}, verdicts on trajectories", tolerated=tolerated,
    )  # fmt: skip


def judged_bad(stage: Path, keep: KeepTrajectories) -> frozenset[str]:
    """The ids of the trajectories that the verdicts leave out; empty if none were judged."""
    return left_out_by(keep, read_lines(stage / VERDICTS, TrajectoryVerdict))


def verdict_counts(stage: Path, keep: KeepTrajectories) -> dict[str, int]:
    """Trajectories that the verdicts leave out, those without a verdict, and the tokens of the requests."""
    found = list(read_lines(stage / VERDICTS, TrajectoryVerdict))
    return {
        "trajectories_judged_bad": len(judged_bad(stage, keep)),
        "trajectories_judged": sum(one.good is not None for one in found),
        "trajectories_not_judged": sum(one.good is None for one in found),
        "trajectories_judged_in_writing": sum(map(_is_written, found)) if keep in JUDGE_ANSWERS else 0,
        "prompt_tokens": sum(one.prompt_tokens for one in found),
        "completion_tokens": sum(one.completion_tokens for one in found),
    }


def _is_written(verdict: TrajectoryVerdict) -> bool:
    return verdict.good is not None and bool(verdict.reply) and not verdict.logprobs


def has_verdict(verdict: TrajectoryVerdict) -> bool:
    """Whether the verdict is final."""
    return verdict.status == "judged"


_RECORDS = StageRecords(
    TrajectoryVerdict,
    noun="verdicts",
    role="reward_model",
    keep=has_verdict,
    outside_error=lambda verdict: verdict.reply if verdict.status == "errored" else None,
    answers=answers_of,
)
