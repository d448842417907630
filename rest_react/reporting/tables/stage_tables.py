"""A table of the summaries of grow, judge, improve, finetune and choose, and notes on incomplete stages.

    stage_table(Path("outputs/default"), "grow")["rows"][0]      # ["trajectories", "40", "40"], one column an iteration
    list(convergence_notes(Path("outputs/r_1")))      # ["iteration 0: the training loss did not halve: 2.01 ..."]

Not here: evaluations (reporting.tables.results_table).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rest_react.metrics.number_formats import RESUMED, percent
from rest_react.stages.improve.improve_summary import fallback_note, idle_selector_note, nothing_trains_note
from rest_react.storage.run_folder import iterations
from rest_react.storage.settings_file import read_settings
from rest_react.storage.summaries import read_summary
from rest_react.text_safety.escaping import visible
from rest_react.training.process.loss_curve import loss_curve, loss_ends, stays_up

STAGES = ("grow", "judge", "outcome_judge", "improve", "finetune", "choose")
_SELECTION = (nothing_trains_note, fallback_note, idle_selector_note)


def stage_table(run_folder: Path, stage: str) -> dict[str, Any] | None:
    """The summaries of a stage, one column per iteration, and of a training how its loss began and ended; without
    entries that are empty in every iteration. None if there is none."""
    folders = {k: run_folder / f"iter_{k}" / stage for k in iterations(run_folder)}
    summaries = {k: read_summary(folder) for k, folder in folders.items()}
    facts = {k: dict(_flat(summary)) | _losses(folders[k]) for k, summary in summaries.items() if summary is not None}
    if not facts:
        return None
    names = dict.fromkeys(name for column in facts.values() for name, value in column.items() if value)
    rows = [[name, *(column.get(name, "") for column in facts.values())] for name in names]
    return {"name": stage.capitalize(), "headings": ["", *(f"iteration {k}" for k in facts)], "rows": rows}


def _flat(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The entries of a summary as text: shares in percent, seconds in minutes, dollars with the
    digits that a summary has, nested entries with their path."""
    for key, value in summary.items():
        name = f"{prefix}{visible(key).replace('_', ' ')}"
        if key == "schema":
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}: ")
        elif key == "seconds":
            yield "minutes", RESUMED if value is None else f"{value / 60:.1f}"
        elif key.endswith("_share") and isinstance(value, (int, float)):
            yield name, percent(value)
        elif key.endswith("_usd") and isinstance(value, float) and 0 < value < 100:
            yield name, f"{value:.6f}"
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        else:
            yield name, "" if value is None else visible(str(value))


def _losses(stage: Path) -> dict[str, str]:
    """The training loss at both ends of a training, as text; empty where there is no curve."""
    ends = loss_ends(loss_curve(stage))
    return {} if ends is None else {"loss, first tenth and last fifth of the steps": f"{ends[0]:.2f}, {ends[1]:.2f}"}


def incomplete_stages(run_folder: Path) -> Iterator[str]:
    """A note for each stage that has started but is not complete."""
    for iteration in iterations(run_folder):
        folder = run_folder / f"iter_{iteration}"
        for stage in [*(folder / name for name in STAGES), *sorted((folder / "evaluate").glob("*/"))]:
            if stage.is_dir() and read_summary(stage) is None:
                name = stage.relative_to(run_folder).as_posix()
                yield f"{name} is not complete, so it is not in this report; run the same command again to finish it"


def convergence_notes(run_folder: Path) -> Iterator[str]:
    """A note for each training from untuned weights whose loss did not halve. One that goes on from a tuned model
    begins with a low loss, so its curve does not tell."""
    settings = read_settings(run_folder)
    from_base = settings.get("finetune.start_from") == "base"
    first = 1 if settings.get("start") == "prompted" else 0  # the first training, whatever later ones start from
    for iteration in iterations(run_folder):
        curve = loss_curve(run_folder / f"iter_{iteration}" / "finetune")
        if (iteration == first or from_base) and stays_up(curve) and (ends := loss_ends(curve)):
            yield (
                f"iteration {iteration}: the training loss did not halve: {ends[0]:.2f} over the first tenth of the "
                f"steps, {ends[1]:.2f} over the last fifth"
            )


def choice_notes(run_folder: Path) -> Iterator[str]:
    """A note for each iteration whose model was chosen among several of its training by a benchmark."""
    for iteration in iterations(run_folder):
        choice = read_summary(run_folder / f"iter_{iteration}" / "choose")
        if choice is not None and len(found := choice["accuracy"]) > 1:
            told = ", ".join(f"{percent(found[steps])} after {steps}" for steps in sorted(found, key=int))
            yield (
                f"iteration {iteration}: the labels of {visible(choice['benchmark'])} chose the model after "
                f"{choice['chosen_steps']} steps ({told}); its accuracy there is the best of {len(found)}, so too high"
            )


def selection_notes(run_folder: Path) -> Iterator[str]:
    """Notes for each iteration in which no step trains, or with many training targets that the reward model did not
    choose, or hardly any that the rollout had not chosen itself."""
    for iteration in iterations(run_folder):
        summary = read_summary(run_folder / f"iter_{iteration}" / "improve")
        if summary is not None and "fallback" in summary:
            for note in filter(None, (note_of(summary) for note_of in _SELECTION)):
                yield visible(f"iteration {iteration}: {note}")
