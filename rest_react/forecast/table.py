"""Prints a forecast: `dry_run=true` prints the table and stops; every other command prints one line at its start.

    settings = with_speed(settings, folder)
    console.print(forecast_table(settings, folder))     # one row per stage, and the total
    duration_line(settings, folder)                     # "Estimate: about 34 minutes on this machine, ..."

Not here: the numbers (forecast.estimate) and the speed of this machine (forecast.machine_speed).
"""

from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from rest_react.config.settings import Settings
from rest_react.forecast.estimate import forecast
from rest_react.forecast.smaller_run import smaller_run_line
from rest_react.forecast.stage_costs import Forecast
from rest_react.storage.run_folder import RunFolder


def forecast_table(settings: Settings, folder: RunFolder) -> Table:
    """The forecast as a table with a row for the total."""
    rows = list(forecast(settings, folder))
    title = f"Forecast for the remaining stages of {settings.run} (an estimate; no stage was run)"
    table = Table(title=Text(title, "table.title"))
    for column in ("stage", "calls", "tokens in", "tokens out", "minutes", "US dollars"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for row in rows:
        table.add_row(Text(row.stage), *_cells(row))
    calls, tokens_out = sum(row.calls for row in rows), sum(row.completion_tokens for row in rows)
    tokens_in = _sum(row.prompt_tokens for row in rows)
    minutes, usd = _sum(row.minutes for row in rows), _sum(row.usd for row in rows)
    total = Forecast("total", calls, None if tokens_in is None else round(tokens_in), tokens_out, minutes, usd)
    table.add_section()
    table.add_row("total", *_cells(total))
    return table


def duration_line(settings: Settings, folder: RunFolder) -> str:
    """The estimated duration of the command on this machine; empty if it is unknown or under a minute."""
    rows = list(forecast(settings, folder))
    if any(row.minutes is None for row in rows):
        return ""
    minutes = [row.minutes or 0.0 for row in rows]
    if sum(minutes) < 1:
        return ""
    first = next((i for i, row in enumerate(rows) if ": evaluate" in row.stage), len(rows) - 1)
    which, speed = ("first" if rows[first].stage.startswith("iteration 0:") else "next"), settings.speed
    # Results are shown when all benchmarks of an iteration are answered and graded.
    evaluation = f"{rows[first].stage.partition(': evaluate')[0]}: evaluate"
    until = (one for i, one in enumerate(minutes) if i <= first or rows[i].stage.startswith(evaluation))
    estimate = (
        f"Estimate: about {sum(minutes):.0f} minutes on this machine; the {which} row of results after about "
        f"{sum(until):.0f} minutes. Tokens per second: {speed.prefill:.0f} prefill, {speed.decode:.0f} "
        f"decode, {speed.train:.0f} training. For each stage, run with dry_run=true."
    )
    return " ".join(filter(None, (estimate, smaller_run_line(settings, folder))))


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum; None if one value is unknown."""
    known = list(values)
    return None if None in known else sum(value or 0 for value in known)


def _cells(row: Forecast) -> Iterator[str]:
    yield from ("unknown" if n is None else f"{n:,}" for n in (row.calls, row.prompt_tokens, row.completion_tokens))
    yield "unknown" if row.minutes is None else f"{row.minutes:.1f}"
    yield "unknown" if row.usd is None else f"{row.usd:.2f}"
