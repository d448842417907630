"""The trajectories of a run's complete stages, each with the grader's result and the rankings of its steps.

    for recorded in recorded_trajectories(Path("outputs/default")): ...         # the last iteration first

The page, the tables of the tracker and exports use them. One trajectory is in memory at a time: results and rankings
are in the order of the trajectories.
Not here: what these show (reporting.packing, reporting.tracking.sample_tables).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rest_react.errors import RunFolderError
from rest_react.records import Ranking, Result, Trajectory
from rest_react.stages.evaluate import RESULTS
from rest_react.stages.improve.improve import RANKINGS
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import iterations
from rest_react.storage.summaries import read_summary


@dataclass(frozen=True, slots=True)
class RecordedTrajectory:
    """A trajectory with its graded result (if it was evaluated) and the rankings of its steps, by step index."""

    stage: str
    trajectory: Trajectory
    result: Result | None
    rankings: Mapping[int, Ranking]

    @property
    def outcome(self) -> str:
        """correct, incorrect or unscored; finished (not graded); failed (model error) or outage (external error)."""
        fault = self.trajectory.fault
        if fault is not None:
            return "failed" if fault.whose == "model" else "outage"
        return self.result.verdict.verdict if self.result else "finished"


def recorded_trajectories(run_folder: Path, only: int | None = None) -> Iterator[RecordedTrajectory]:
    """The trajectories of complete stages, last iteration first, in each iteration the benchmarks before Grow."""
    for k in reversed(iterations(run_folder)):
        if only not in (None, k):
            continue
        folder = run_folder / f"iter_{k}"
        for stage in (*sorted((folder / "evaluate").glob("*/")), folder / "grow"):
            if read_summary(stage) is None:
                continue
            results = read_lines(stage / RESULTS, Result)
            by_trajectory = _rankings(folder / "improve") if stage.name == "grow" else iter(())
            ranked, rankings = next(by_trajectory, ("", {}))
            for trajectory in read_lines(stage / TRAJECTORIES, Trajectory):
                own: Mapping[int, Ranking] = {}
                if trajectory.id == ranked:
                    own = rankings
                    ranked, rankings = next(by_trajectory, ("", {}))
                result = next(results, None)
                if result is not None and result.id != trajectory.id:
                    raise RunFolderError(
                        f"{stage / RESULTS} has {result.id!r} where {TRAJECTORIES} has {trajectory.id!r}; remove "
                        f"{stage}/summary.json and run the same command again, which sorts both files"
                    )
                yield RecordedTrajectory(f"iter_{k}/{stage.name}", trajectory, result, own)


def _rankings(stage: Path) -> Iterator[tuple[str, dict[int, Ranking]]]:
    """The rankings of each trajectory, in the order of the trajectories; empty while the stage is incomplete."""
    if read_summary(stage) is None:
        return
    lines = read_lines(stage / RANKINGS, Ranking)
    for id_, group in groupby(lines, key=lambda ranking: ranking.id.rpartition(".")[0]):
        yield id_, {int(ranking.id.rpartition(".")[2]): ranking for ranking in group}
