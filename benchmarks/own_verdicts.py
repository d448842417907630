"""The verdicts that the reward model of a run gave in its own Improve, as one more signal beside the others.

    own_verdicts(run)       # OwnVerdicts("reader_agrees", scores=(1.0, 0.0, None), kept=(True, False, True))

Nothing is asked again. The score is the difference of the two log-probabilities where there are some and no reader
answered, else whether the trajectory is kept. As in Improve, a trajectory whose request failed is kept. One that the
task does not let train, so that nothing was asked about it, is not.
Not here: asking a reward model after the run (asked).
"""

from dataclasses import dataclass

from benchmarks.labelled_run import LabelledRun
from rest_react.records import TrajectoryVerdict
from rest_react.selection.judge_trajectory import left_out_by
from rest_react.selection.trajectory_filters import ANSWER_AGAIN, ASK_REWARD_MODEL
from rest_react.stages.improve.judge_trajectories import VERDICTS
from rest_react.storage.jsonl import read_lines


@dataclass(frozen=True, slots=True)
class OwnVerdicts:
    """The filter of the run, and for each finished trajectory its score (None without a verdict) and whether it is
    kept."""

    keep: str
    scores: tuple[float | None, ...]
    kept: tuple[bool, ...]


def own_verdicts(run: LabelledRun) -> OwnVerdicts | None:
    """The verdicts of the run's Improve; None if its filter asked no reward model, or has not done so yet."""
    keep = next((name for name in ASK_REWARD_MODEL if name == run.settings.get("improve.keep_trajectories")), None)
    stored = run.folder.stage(run.iteration, "improve", VERDICTS)
    verdicts = {one.id: one for one in read_lines(stored, TrajectoryVerdict)}
    if keep is None or not verdicts:
        return None
    out = left_out_by(keep, verdicts.values())

    def score(id_: str) -> float | None:
        verdict = verdicts.get(id_)
        if verdict is None or verdict.status != "judged":
            return None
        if verdict.logprobs and keep not in ANSWER_AGAIN:
            return verdict.logprobs[0] - verdict.logprobs[1]
        return float(id_ not in out)

    ids = [one.id for one in run.finished]
    return OwnVerdicts(keep, tuple(map(score, ids)), tuple(id_ in verdicts and id_ not in out for id_ in ids))
