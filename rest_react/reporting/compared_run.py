"""What a comparison needs of a run: its rows, settings, scores by question, and sizes of its training data.

    run = read_run(Path("outputs/random"), "random")                    # a run folder
    run = read_run(Path("docs/results/loop_random.json"), "random")     # a published results.json

Not here: the comparison (reporting.compare).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rest_react.errors import RunFolderError
from rest_react.reporting.origin import Origin, read_origin
from rest_react.reporting.results.results_json import ResultRow, read_results, scores_of
from rest_react.reporting.results.rows import compute_rows
from rest_react.storage.run_folder import iterations
from rest_react.storage.settings_file import read_environments
from rest_react.storage.summaries import read_summary, refuse_damaged_stages


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `rows` are those of results.json, `settings` the locked ones (empty if the file does not have them);
    `answers` has, by iteration and benchmark, the scores of each question (1, 0 or None, one per repeat), if the file
    has them; `trained` the numbers of trajectories and examples by iteration, if there is a run folder; `reused` the
    run that it reuses, if that can be read; `environments` the digests of its prompts and data, oldest first."""

    name: str
    rows: Sequence[ResultRow]
    settings: Mapping[str, object]
    answers: Mapping[tuple[int, str], Mapping[str, Sequence[float | None]]]
    trained: Mapping[int, tuple[int, int]]
    reused: Origin | None = None
    environments: Sequence[Mapping[str, str]] = ()

    @property
    def origin(self) -> Origin:
        """Its settings, with those of the run that it reuses."""
        return Origin(self.settings, self.reused)


def read_run(source: Path, name: str) -> Run:
    """Reads a run folder or a results.json. Raises RunFolderError if it is neither, or has a damaged stage."""
    if source.is_file():
        results = read_results(source)
        reused = read_origin(source).reused
        return Run(name, results.rows, results.settings, _answers(results.rows), {}, reused, results.environments)
    if not iterations(source):
        raise RunFolderError(
            f"{source} is not a run folder; give runs=[...] with names of folders in `output`, or paths of folders or "
            "of results.json"
        )
    refuse_damaged_stages(source)
    rows, origin = compute_rows(source), read_origin(source)
    trained = {}
    for k in iterations(source):
        grown, tuned = (read_summary(source / f"iter_{k}" / stage) or {} for stage in ("grow", "finetune"))
        trained[k] = (grown.get("trajectories", 0), tuned.get("examples", 0))
    return Run(name, rows, origin.settings, _answers(rows), trained, origin.reused, read_environments(source))


def _answers(rows: Sequence[ResultRow]) -> dict[tuple[int, str], Mapping[str, Sequence[float | None]]]:
    found = {(row.iteration, row.benchmark): scores_of(row) for row in rows}
    return {key: scores for key, scores in found.items() if scores is not None}
