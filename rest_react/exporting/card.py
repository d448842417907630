"""The card of an export: a README.md in the Hub's format.

    write_card(folder, request, settings, rows=120, data_files="data.jsonl", smoke=False, searches=True)

It says what a row is, how the rows were made, and whether they contain gold answers.
Not here: the cards of a run's models and training rows (reporting.cards).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rest_react.exporting.request import ALL, GROW, OF_TRAJECTORIES, ExportRequest
from rest_react.reporting.cards import data_front
from rest_react.reporting.page import templates
from rest_react.storage.files import write_file

_SETTINGS = (
    "task.kind", "policy.model", "seed", "learning_seed", "search.kind", "grow.samples", "improve.selector",
    "improve.keep", "improve.keep_trajectories", "improve.likeliest", "improve.rejected_trajectories",
    "improve.equal_steps", "improve.min_passages", "improve.max_examples", "improve.reward", "reward_model.kind",
    "reward_model.model",
)  # fmt: skip


def write_card(
    folder: Path,
    request: ExportRequest,
    settings: Mapping[str, Any],
    *,
    rows: int,
    data_files: str,
    smoke: bool,
    searches: bool,
) -> None:
    """Writes the README.md of an export with this number of rows. `searches`: whether the task does."""
    iterations = "all" if request.iterations is None else ", ".join(map(str, request.iterations))
    made: list[tuple[str, object]] = [("rows", f"{rows:,}"), ("iterations", iterations)]
    of_trajectories = request.format in OF_TRAJECTORIES
    if of_trajectories:
        made += [(key, getattr(request, key)) for key in ("stage", "outcome", "verdict")]
    chosen_by_gold = "improve.targets" in settings and not of_trajectories  # benchmarks/upper_bound.py
    made += [(key, settings[key]) for key in _SETTINGS if key in settings]
    if chosen_by_gold:  # whatever the settings of Improve
        made = [fact for fact in made if not fact[0].startswith(("improve.", "reward_model."))]
        made.append(("targets chosen by", "gold answers"))
    name = f"{request.run.rstrip('/').rpartition('/')[2]}-{request.format}"
    demonstrated = _demonstrated(request, settings)
    # The demonstrations of a task that does not search are a user's rows, unless a teacher wrote them.
    synthetic = searches or not demonstrated or bool(settings.get("synthetic.n"))
    card = templates().get_template("export_card.md.j2").render(
        front=Markup(data_front(name, rows, data_files, searches=searches, synthetic=synthetic)),
        name=name, kind=request.format, made=made, gold=request.gold, smoke=smoke,
        evaluated=of_trajectories and request.stage != GROW, demonstrated=demonstrated,
        chosen_by_gold=chosen_by_gold,
    )  # fmt: skip
    write_file(folder / "README.md", card)


def _demonstrated(request: ExportRequest, settings: Mapping[str, Any]) -> bool:
    """Whether demonstrations may be among the rows; their expert knows the gold answers."""
    grown = request.format not in OF_TRAJECTORIES or request.stage in (GROW, ALL)
    asked = 0 in request.iterations if request.iterations is not None else request.gold
    return grown and settings.get("start") == "demonstrations" and asked
