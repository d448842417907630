"""The settings of a run and of the run that it reuses, by which runs are trainings of one arm, or share a training.

    origin = read_origin(Path("outputs/student_0"))
    arm_key(origin)               # equal for runs that differ by seeds alone
    shared_by(origin, 1)          # equal for runs with the same model of iteration 1

Seeds are `seed`, `learning_seed`, and `grow.reuse`: where a run reuses only stages that would be the same in it
(iteration 0, the first Grow), the reused run is the one with the same seed. Where that may have other settings
(`grow.reuse_through`, the teacher of a student), they belong to this run's arm too, without their seeds.
Not here: which stages are reused (stages.reuse), and the statistics over trainings (metrics.trainings).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rest_react.errors import RunFolderError
from rest_react.reporting.results.results_json import RESULTS_JSON, read_results
from rest_react.storage.settings_file import read_settings
from rest_react.text_safety.escaping import visible

SEEDS = ("seed", "learning_seed", "grow.reuse")


@dataclass(frozen=True, slots=True)
class Origin:
    """The locked settings of a run, and the origin of the run that it reuses: None if it reuses none, or if its
    settings cannot be read."""

    settings: Mapping[str, object]
    reused: "Origin | None" = None

    @property
    def through(self) -> int:
        """Up to this iteration the run has the iterations of the reused run, whatever their settings."""
        through = self.settings.get("grow.reuse_through", 0)
        return through if isinstance(through, int) else 0

    @property
    def is_student(self) -> bool:
        """Whether it learns from the trajectories of another model. False where the reused run cannot be read."""
        return self.reused is not None and self._policy != self.reused._policy

    @property
    def _policy(self) -> dict[str, object]:
        return {key: value for key, value in self.settings.items() if key.startswith("policy.")}


def read_origin(source: Path, seen: Collection[Path] = ()) -> Origin:
    """The origin of a run folder or of a results.json. The reused run is looked for beside it: a folder, or beside a
    published file the file of that name. Raises RunFolderError if `source` itself is damaged."""
    source = source.absolute()
    settings = read_results(source).settings if source.is_file() else read_settings(source)
    name = settings.get("grow.reuse")
    if not name:
        return Origin(settings)
    if source.is_file() and source.name != RESULTS_JSON:
        beside = source.parent / f"{name}.json"
    else:
        beside = (source.parent if source.is_file() else source).parent / str(name)
    if beside in seen:  # a folder that was made again from one that reuses it
        return Origin(settings)
    try:
        reused = read_origin(beside, (*seen, source))
    except RunFolderError:
        return Origin(settings)
    return Origin(settings, reused if reused.settings else None)


def arm_key(origin: Origin, without: Collection[str] = ()) -> tuple[object, ...]:
    """What runs of one arm have in common: their settings but for seeds (and the settings `without`), and what they
    reuse of other settings."""
    apart = (*SEEDS, *without)
    own = tuple(sorted((key, repr(value)) for key, value in origin.settings.items() if key not in apart))
    return own, treatment(origin)


def treatment(origin: Origin) -> object:
    """What the reused run adds to the settings of an arm: its own, without seeds, or its name if these cannot be read.
    None where it counts as a seed."""
    if not origin.through and not origin.is_student:
        return None
    return origin.settings.get("grow.reuse") if origin.reused is None else arm_key(origin.reused)


def shared_by(origin: Origin, k: int) -> object:
    """What runs of one arm with the same model of iteration `k` have in common: the seed at the start, on which
    `learning_seed` has no effect, or nothing if it is untuned; later on the seeds of Grow and of learning, those of the
    reused run (or its name) up to `grow.reuse_through`, and those of both for a student."""
    seed, learning_seed = origin.settings.get("seed"), origin.settings.get("learning_seed")
    if k == 0:
        return "untuned" if origin.settings.get("start") == "prompted" else ("seed", seed)
    if k <= origin.through:
        return origin.settings.get("grow.reuse") if origin.reused is None else shared_by(origin.reused, k)
    own = "seeds", seed, seed if learning_seed is None else learning_seed
    return own if not origin.is_student or origin.reused is None else (own, shared_by(origin.reused, k))


def unread_notes(arms: Sequence[Sequence[tuple[str, Origin]]]) -> list[str]:
    """A note for each arm whose runs, given by name, reuse different runs that cannot all be read: they may be students
    of different models."""
    notes = []
    for arm in arms:
        reused = {origin.settings.get("grow.reuse"): origin.reused for _, origin in arm}
        unread = [visible(str(name)) for name, one in reused.items() if name and one is None]
        if unread and len(reused) > 1:
            notes.append(
                f"{', '.join(visible(name) for name, _ in arm)} count as trainings of one arm, but may be students of "
                f"different models: the settings of what they reuse cannot be read ({', '.join(unread)})"
            )
    return notes
