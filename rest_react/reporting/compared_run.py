"""What a comparison needs of a run: its rows, settings, scores by question, and sizes of its training data.

    run = read_run(Path("outputs/random"), "random")

Not here: the comparison (reporting.compare).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rest_react.errors import RunFolderError
from rest_react.reporting.results_json import ResultRow
from rest_react.reporting.rows import compute_rows, correctness
from rest_react.storage.run_folder import iterations
from rest_react.storage.settings_file import read_settings
from rest_react.storage.summaries import read_summary, refuse_damaged_stages


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `rows` are those of results.json, `settings` the locked ones; `answers` has, by iteration and
    benchmark, the scores of each question (1, 0 or None, one per repeat); `trained` the numbers of trajectories and
    examples by iteration."""

    name: str
    rows: Sequence[ResultRow]
    settings: Mapping[str, object]
    answers: Mapping[tuple[int, str], Mapping[str, Sequence[float | None]]]
    trained: Mapping[int, tuple[int, int]]


def read_run(folder: Path, name: str) -> Run:
    """Reads a run. Raises RunFolderError if the folder is not a run folder, or has a damaged stage."""
    settings = read_settings(folder)
    if not iterations(folder):
        raise RunFolderError(
            f"{folder} is not a run folder; give runs=[...] with names of folders in `output`, or paths"
        )
    refuse_damaged_stages(folder)
    rows = compute_rows(folder)
    answers = {}
    for row in rows:
        stage = folder / f"iter_{row.iteration}" / "evaluate" / row.benchmark
        answers[row.iteration, row.benchmark] = correctness(stage, row.repeats)
    trained = {}
    for k in iterations(folder):
        grown, tuned = (read_summary(folder / f"iter_{k}" / stage) or {} for stage in ("grow", "finetune"))
        trained[k] = (grown.get("trajectories", 0), tuned.get("examples", 0))
    return Run(name, rows, settings, answers, trained)
