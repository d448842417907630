"""What a run would take, before it takes it: `dry_run=true` prints this table and stops.

Calls follow from the flow: a trajectory with T searches makes 2T+4 of them (2T+2 without self-checks). T, and tokens
per call, are taken from this folder's own finished stages where there are any, else from the paper (T = 2.5) and a
rule of thumb. Minutes need `speed`, money needs `price`; what is unknown is shown as unknown, never as nothing.
Not here: measuring (benchmarks/) and limits on spending.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table

from rest_react.prompting import PACKAGED_PROMPTS
from rest_react.settings import LocalFinetune, QuestionSource, SameModel, Settings, WorldQuestions
from rest_react.store import RunFolder, read_summary

SEARCHES = 2.5
STATE_TOKENS = 300
OUTPUT_TOKENS = 60


@dataclass(frozen=True, slots=True)
class Forecast:
    """One stage: LLM calls, tokens in and out, tokens trained on; None where nothing is known."""

    stage: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    minutes: float | None
    usd: float | None


def forecast(settings: Settings, folder: RunFolder) -> Iterator[Forecast]:
    """The stages that are still to be done, in order."""
    s = settings
    searches = _measured(folder, "searches_per_trajectory") or SEARCHES
    searches = min(searches, s.agent.max_searches)
    steps = 2 * searches + (4 if s.agent.self_checks else 2)
    for k in range(s.iteration + 1):
        walks = _size(s, s.grow.questions) * s.grow.trajectories_per_question if k else s.world.demonstrations
        prefix = 0 if k or s.start == "demonstrations" else _prefix_tokens()
        demonstrating = k == 0 and s.start == "demonstrations"
        if demonstrating or k:
            calls = round(walks * steps)
            if k and not _complete(folder, k, "grow"):
                yield _rollouts(s, f"iteration {k}: grow", calls, s.grow.samples, prefix if k == 1 else 0)
            asks = s.improve.selector == "reward_model" or s.improve.keep == "judged_good"
            if k and asks and not _complete(folder, k, "improve"):
                yield _judging(s, f"iteration {k}: improve", calls)
            if not _complete(folder, k, "finetune"):
                yield _training(s, f"iteration {k}: finetune", calls)
        for name, source in s.evaluate.benchmarks.items():
            if not _complete(folder, k, "evaluate", name):
                calls = round(_size(s, source) * s.evaluate.repeats * steps)
                yield _rollouts(s, f"iteration {k}: evaluate {name}", calls, s.evaluate.samples, 0 if k else prefix)


def forecast_table(settings: Settings, folder: RunFolder) -> Table:
    """The forecast as a table with its sum."""
    rows = list(forecast(settings, folder))
    table = Table(title=f"what {settings.run} would still take (an estimate; nothing was run)")
    for column in ("stage", "calls", "tokens in", "tokens out", "minutes", "US dollars"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for row in rows:
        table.add_row(row.stage, *_cells(row))
    minutes = None if any(row.minutes is None for row in rows) else sum(row.minutes or 0 for row in rows)
    usd = None if any(row.usd is None for row in rows) else sum(row.usd or 0 for row in rows)
    calls, tokens_in = sum(row.calls for row in rows), sum(row.prompt_tokens for row in rows)
    total = Forecast("all", calls, tokens_in, sum(row.completion_tokens for row in rows), minutes, usd)
    table.add_section()
    table.add_row("all", *_cells(total))
    return table


def _cells(row: Forecast) -> Iterator[str]:
    yield from (f"{n:,}" for n in (row.calls, row.prompt_tokens, row.completion_tokens))
    yield "unknown" if row.minutes is None else f"{row.minutes:.1f}"
    yield "unknown" if row.usd is None else f"{row.usd:.2f}"


def _rollouts(s: Settings, stage: str, calls: int, samples: int, prefix: int) -> Forecast:
    tokens_in, tokens_out = calls * (STATE_TOKENS + prefix), calls * samples * OUTPUT_TOKENS
    if s.policy.kind == "scripted":
        return Forecast(stage, calls, tokens_in, tokens_out, 0.0, 0.0)
    minutes = None
    if s.speed.prefill and s.speed.decode:
        # States of one trajectory share about half their tokens, and the prefix is shared by all.
        minutes = (calls * STATE_TOKENS / 2 / s.speed.prefill + tokens_out / s.speed.decode) / 60
    return Forecast(stage, calls, tokens_in, tokens_out, minutes, _usd(s.policy.price, tokens_in, tokens_out))


def _judging(s: Settings, stage: str, calls: int) -> Forecast:
    tokens_in, tokens_out = calls * (STATE_TOKENS + 4 * OUTPUT_TOKENS + 350), calls * s.improve.max_tokens // 2
    price = s.policy.price if isinstance(s.reward_model, SameModel) else s.reward_model.price
    minutes = None
    if s.speed.prefill and s.speed.decode:
        minutes = (tokens_in / s.speed.prefill + tokens_out / s.speed.decode) / 60
    return Forecast(stage, calls, tokens_in, tokens_out, minutes, _usd(price, tokens_in, tokens_out))


def _training(s: Settings, stage: str, rows: int) -> Forecast:
    local = isinstance(s.finetune, LocalFinetune)
    epochs = s.finetune.epochs if isinstance(s.finetune, LocalFinetune) else 3
    tokens = round(rows * (STATE_TOKENS + OUTPUT_TOKENS) * epochs)
    minutes = tokens / s.speed.train / 60 if s.speed.train and local else None
    return Forecast(stage, 0, tokens, 0, minutes, 0.0 if local or s.finetune.kind == "dry_run" else None)


def _usd(price: object, tokens_in: int, tokens_out: int) -> float | None:
    into, out = getattr(price, "input", None), getattr(price, "output", None)
    return None if into is None or out is None else (tokens_in * into + tokens_out * out) / 1e6


def _size(s: Settings, source: QuestionSource) -> int:
    """Questions in a set; a file is counted by lines, an unsampled Hub set taken for 125 (Bamboogle)."""
    if source.sample is not None:
        return source.sample
    if isinstance(source, WorldQuestions):
        return int(getattr(s.world, source.split))
    path = getattr(source, "path", None)
    if path is None:
        return 125
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _prefix_tokens() -> int:
    """Mean length of the packaged instructions and exemplars, at about 3.5 characters a token."""
    sizes = [path.stat().st_size for path in PACKAGED_PROMPTS.glob("*.txt")]
    return round(sum(sizes) / max(len(sizes), 1) / 3.5)


def _measured(folder: RunFolder, name: str) -> float | None:
    for k in range(100):
        summary = read_summary(folder.stage(k, "grow"))
        if summary is None and k > 0:
            return None
        if summary is not None and k > 0:
            return float(summary[name])
    return None


def _complete(folder: RunFolder, *parts: str | int) -> bool:
    iteration, *stage = parts
    return read_summary(folder.stage(int(iteration), *map(str, stage))) is not None
