"""A run's folder in, tables and one page out: results.json, report.md and report.html.

    page = write_report(Path("outputs/default"), smoke=False)       # outputs/default/report.html
    console.print(results_table(compute_rows(Path("outputs/default"))))

    python -m rest_react.report 'runs=[perplexity,random]'          # outputs/compare_perplexity_random.html

The three outputs and the terminal show the same rows; docs/metrics.md defines each number. An evaluation counts once
its summary.json is there; what is not complete is named, not shown. Beside each iteration's model and its training
rows goes a card in the Hub's format, with the numbers of the run.
Not here: the numbers themselves (reporting.rows, and what else a stage counts: the verbs), how a page is made (page).
"""

from rest_react.start import start
from rest_react.storage.settings_file import read_settings
from rest_react.storage.summaries import refuse_damaged_stages

if __name__ == "__main__":  # in front of the imports, see there
    start("rest_react.report")

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

from rest_react.config.overrides import split, text
from rest_react.console import console, say
from rest_react.errors import RunFolderError, UsageError, disk_errors
from rest_react.records import Example
from rest_react.reporting.compare import Run, compare
from rest_react.reporting.failure_notes import failure_notes
from rest_react.reporting.headline import detectable_line, headline, headlines
from rest_react.reporting.number_formats import number, percent, points, span
from rest_react.reporting.page import fill, loss_curve, pack, templates
from rest_react.reporting.results_json import (
    RESULTS_JSON,
    ChecksEffect,
    Difference,
    GroupAccuracy,
    ResultRow,
    Results,
    RuleDisagreement,
)
from rest_react.reporting.rows import compute_rows, correctness
from rest_react.stages.improve import EXAMPLES, fallback_note
from rest_react.storage.files import write_file, write_json
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import SCHEMA, iterations
from rest_react.storage.summaries import read_summary
from rest_react.text_safety import plain, visible
from rest_react.weights.embedded import EMBEDDED, HUB_TWIN

if TYPE_CHECKING:
    from rich.table import Table

_STAGES = ("grow", "improve", "finetune")
_TAGS = ["rest-react", "search-agent", "self-improvement", "synthetic"]
# What a card tells of how its model or rows were made: settings, and counts of Grow and Improve.
_MADE = (
    "policy.model", "seed", "start", "search.kind", "agent.max_searches", "grow.samples", "grow.temperature",
    "grow.trajectories_per_question", "improve.selector", "improve.keep",
)  # fmt: skip
_MADE_BY_EXPERT = (
    "policy.model", "seed", "start", "search.kind", "agent.max_searches", "world.demonstrations",
    "demonstrations.epochs", "demonstrations.slip", "demonstrations.mistakes",
)  # fmt: skip
_COUNTED = ("trajectories", "examples", "steps", "dropped_steps", "steps_with_a_choice", "targets_changed")
_USAGE = "usage: python -m rest_react.report 'runs=[a,b,c]' [output=outputs] [page=comparison.html]"


def write_report(run_folder: Path, *, smoke: bool) -> Path:
    """Writes results.json, report.md, report.html and the cards into the run's folder; returns the page."""
    rows = compute_rows(run_folder)
    write_json(run_folder / RESULTS_JSON, Results(schema=SCHEMA, run=run_folder.name, rows=tuple(rows)))
    view = {
        "title": f"{'Smoke run' if smoke else 'Run'} {visible(run_folder.name)}",
        "smoke": smoke,
        "notes": [*_incomplete(run_folder), *_fallbacks(run_folder)],
        "first_headings": [heading for heading, _ in first_view(rows)],
        "first_table": [[cell(row) for _, cell in first_view(rows)] for row in rows],
        "headings": _HEADINGS,
        "table": [[cell(row) for _, cell in _COLUMNS] for row in rows],
        "benchmarks": _benchmarks(rows),
        "stages": [table for stage in _STAGES if (table := _stage_table(run_folder, stage))],
    }
    write_file(run_folder / "report.md", _markdown(view))
    page = run_folder / "report.html"
    write_file(page, _page(view, run_folder))
    _write_cards(run_folder, rows, smoke=smoke)
    return page


def show_results(run_folder: Path, *, smoke: bool) -> None:
    """Writes the report's files; prints the table, what it means, and where many answers failed."""
    page = write_report(run_folder, smoke=smoke)
    rows = compute_rows(run_folder)
    console.print(results_table(rows))
    for line in (*headlines(rows), *failure_notes(rows)):
        say(line)
    say(f"report: {page}")


def results_table(rows: Sequence[ResultRow]) -> "Table":
    """The rows for a terminal: the report's first view."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Results", title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    columns = first_view(rows)
    for heading, _ in columns:
        longest_word = max(map(len, heading.split()))
        justify: Literal["left", "right"] = "left" if heading == "Benchmark" else "right"
        table.add_column(heading, justify=justify, min_width=longest_word)
    for row in rows:
        table.add_row(*(Text(cell(row)) for _, cell in columns))
    return table


# ── finding things in the folder ──────────────────────────────────────────────────────────────────────────────────────


def _incomplete(run_folder: Path) -> Iterator[str]:
    """What is begun but not complete."""
    for iteration in iterations(run_folder):
        folder = run_folder / f"iter_{iteration}"
        for stage in [*(folder / name for name in _STAGES), *sorted((folder / "evaluate").glob("*/"))]:
            if stage.is_dir() and read_summary(stage) is None:
                name = stage.relative_to(run_folder).as_posix()
                yield f"{name} is not complete and left out; the same command again goes on from there"


def _fallbacks(run_folder: Path) -> Iterator[str]:
    """Iterations that trained on targets which the reward model did not choose."""
    for iteration in iterations(run_folder):
        summary = read_summary(run_folder / f"iter_{iteration}" / "improve")
        if summary is not None and "fallback" in summary and (note := fallback_note(summary)):
            yield visible(f"iteration {iteration}: {note}")


def _stage_table(run_folder: Path, stage: str) -> dict[str, Any] | None:
    """A stage's summaries side by side, one column per iteration."""
    summaries = {k: read_summary(run_folder / f"iter_{k}" / stage) for k in iterations(run_folder)}
    facts = {k: dict(_flat(summary)) for k, summary in summaries.items() if summary is not None}
    if not facts:
        return None
    names = dict.fromkeys(name for column in facts.values() for name in column)
    rows = [[name, *(column.get(name, "") for column in facts.values())] for name in names]
    return {"name": stage.capitalize(), "headings": ["", *(f"iteration {k}" for k in facts)], "rows": rows}


def _flat(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A summary's numbers in words: shares in percent, seconds as minutes, nested ones with their path."""
    for key, value in summary.items():
        name = f"{prefix}{visible(key).replace('_', ' ')}"
        if key == "schema":
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}: ")
        elif key == "seconds":
            yield "minutes", f"{value / 60:.1f}"
        elif key.endswith("_share") and isinstance(value, (int, float)):
            yield name, percent(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        else:
            yield name, visible(str(value))


def _benchmarks(rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """The rows of each benchmark, and the tables that take them apart."""
    own: dict[str, list[ResultRow]] = {}
    for row in rows:
        own.setdefault(row.benchmark, []).append(row)
    return [
        {"name": visible(name), "rows": some, "tables": list(_breakdowns(some)), **_said(some[-1])}
        for name, some in own.items()
    ]


def _said(last: ResultRow) -> dict[str, str]:
    """What the last row means in a sentence, and what this many questions can show where that is another one."""
    sentence = headline(last)
    detectable = detectable_line(last.vs_start) if last.vs_start else ""
    return {"headline": visible(sentence), "detectable": "" if detectable in sentence else detectable}


def _breakdowns(rows: Sequence[ResultRow]) -> Iterator[dict[str, Any]]:
    """One benchmark's rows in parts, one column per iteration."""
    headings = ["", *(f"iteration {row.iteration}" for row in rows)]
    for name, parts_of in _PARTS:
        columns = [parts_of(row) for row in rows]
        names = sorted({part for column in columns for part in column})
        if names:
            lines = [[visible(part).replace("_", " "), *(column.get(part, "") for column in columns)] for part in names]
            yield {"name": name, "headings": headings, "rows": lines}


def _shares(groups: Mapping[str, GroupAccuracy]) -> dict[str, str]:
    return {name: f"{percent(part.mean)} {span(part)} of {part.questions}" for name, part in groups.items()}


def _spent(row: ResultRow) -> dict[str, str]:
    spent = asdict(row.per_correct).items()
    return {name: number(value, 4 if name == "cost_usd" else 1) for name, value in spent}


def _lost(row: ResultRow) -> dict[str, str]:
    lost = {"unscored": f"{row.unscored} ({percent(row.unscored_share)})"}
    lost["failed by the model's own fault"] = f"{row.failed} ({percent(row.failed_share)})"
    faults = row.faults.items()
    return lost | {f"fault: {name}": f"{part.answers} ({percent(part.share)})" for name, part in faults}


_PARTS: tuple[tuple[str, Callable[[ResultRow], dict[str, str]]], ...] = (
    ("By question type", lambda row: _shares(row.by_kind)),
    ("By hops", lambda row: _shares(row.by_hops)),
    ("What one correct answer took", _spent),
    ("What the self-checks changed", lambda row: {"fixed": str(row.checks.fixed), "broken": str(row.checks.broken)}),
    ("Faults", _lost),
)


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _page(view: Mapping[str, Any], run_folder: Path) -> str:
    settings, walks = run_folder / "settings.yaml", pack(run_folder)
    curves = ((k, loss_curve(run_folder / f"iter_{k}" / "finetune")) for k in iterations(run_folder))
    return fill(
        "report.html.j2",
        scripts=("browser.js", "conversation.js") if walks.trajectories else (),
        **view,
        curves=[{"iteration": k, "points": points} for k, points in curves if points],
        walks=walks,
        settings=visible(settings.read_text(encoding="utf-8"), 50_000) if settings.exists() else "",
    )


# ── cards ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _write_cards(run_folder: Path, rows: Sequence[ResultRow], *, smoke: bool) -> None:
    """A card in the Hub's format beside each iteration's model, and one beside its training rows."""
    settings = read_settings(run_folder)
    for k in iterations(run_folder):
        stage = run_folder / f"iter_{k}"
        grown, improved, tuned = (read_summary(stage / part) for part in _STAGES)
        name = f"{run_folder.name}-{k}"
        view = {"name": name, "iteration": k, "smoke": smoke}
        made = [(key, settings[key]) for key in (_MADE if k else _MADE_BY_EXPERT) if key in settings]
        taken = k > 0 and (k <= settings.get("grow.reuse_through", 0) or _is_student(run_folder, settings))
        if taken:  # the rows were made by another run, with settings of its own
            made = [(key, value) for key, value in made if not key.startswith(("grow.", "improve."))]
            made.append(("taken over from", settings["grow.reuse"]))
        if improved is not None:
            made_of = {"trajectories": (grown or {}).get("trajectories"), **improved}
            kinds = Counter(example.kind for example in read_lines(stage / "improve" / EXAMPLES, Example))
            facts = [(key.replace("_", " "), made_of[key]) for key in _COUNTED if made_of.get(key) is not None]
            front = _data_front(name, kinds.total())
            written = [fact for fact in made if not (taken and fact[0] == "policy.model")]
            rows_of = view | {"made": [*facts, *written], "kinds": kinds.most_common(), "taken": taken}
            _card("data_card", stage / "improve", front=front, **rows_of)
        if tuned is not None:
            own = [row for row in rows if row.iteration == k]
            results = _markdown_table(_HEADINGS, [[cell(row) for _, cell in _COLUMNS] for row in own])
            made = [("training rows", f"{tuned['examples']:,}"), *made]
            made += [(key, value) for key, value in settings.items() if key.startswith("finetune.")]
            weights = stage / "finetune" / "model"
            folder = weights if weights.is_dir() else stage / "finetune"
            front = _model_front(name, str(settings.get("policy.model", "")), own)
            _card("model_card", folder, front=front, made=made, results=Markup(results), **view)


def _is_student(run_folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the run learns from data of another model."""
    if not settings.get("grow.reuse"):
        return False
    theirs = read_settings(run_folder.parent / settings["grow.reuse"])
    return any(theirs.get(key, value) != value for key, value in settings.items() if key.startswith("policy."))


def _card(template: str, folder: Path, *, front: str, **values: Any) -> None:
    card = templates().get_template(f"{template}.md.j2")
    write_file(folder / "README.md", card.render(front=Markup(front), **values))


def _model_front(name: str, base: str, rows: Sequence[ResultRow]) -> str:
    """What the Hub reads at the top of a model's card."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="question-answering",
            dataset_type=row.benchmark,
            dataset_name=row.benchmark,
            metric_type="accuracy",
            metric_value=round(row.accuracy.mean, 4),
            metric_name=f"accuracy, graded by {row.grader}",
        )
        for row in rows
        if row.accuracy.mean is not None
    ]
    base = HUB_TWIN if base == EMBEDDED else base
    data = ModelCardData(
        model_name=name,
        base_model=base if re.fullmatch(r"[\w.-]+/[\w.-]+", base) and not Path(base).exists() else None,
        license="apache-2.0" if base == HUB_TWIN else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=_TAGS,
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _data_front(name: str, rows: int) -> str:
    """What the Hub reads at the top of a data set's card."""
    from huggingface_hub import DatasetCardData

    sizes = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
    data = DatasetCardData(
        pretty_name=name,
        task_categories=["text-generation"],
        size_categories=[next((size for limit, size in sizes.items() if rows < limit), "1M<n<10M")],
        configs=[{"config_name": "default", "data_files": EXAMPLES}],
        tags=_TAGS,
    )
    return str(data.to_yaml())


# ── several runs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def write_comparison(folders: Sequence[Path], page: Path) -> None:
    """Writes one page over several runs. Raises RunFolderError where a folder is no run's, or damaged."""
    names = [folder.name for folder in folders]
    alike = len(set(names)) < len(names)
    view = compare([_run(folder, str(folder) if alike else folder.name) for folder in folders])
    for benchmark in view["benchmarks"]:
        rows = [(own["name"], row) for own in benchmark["series"] for row in own["rows"]]
        benchmark["table"] = [[name, *(cell(row) for _, cell in _COLUMNS)] for name, row in rows]
    title = f"Runs {', '.join(view['names'])}"
    headings = ["Run", *_HEADINGS]
    write_file(page, fill("compare.html.j2", title=title, headings=headings, view=view))


def _run(folder: Path, name: str) -> Run:
    settings = read_settings(folder)
    if not iterations(folder):
        raise RunFolderError(f"{folder} holds no run; give runs=[...] names of folders in `output`, or paths")
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


# ── words and tables ──────────────────────────────────────────────────────────────────────────────────────────────────


def _change(change: Difference | ChecksEffect | None) -> str:
    return "" if change is None else f"{points(change.mean)} {span(change, '+')}".strip()


def _differs(share: RuleDisagreement | None) -> str:
    return "" if share is None else f"{percent(share.mean)} {span(share)} of {share.answers}"


_COLUMNS: tuple[tuple[str, Callable[[ResultRow], str]], ...] = (
    ("Iteration", lambda row: str(row.iteration)),
    ("Benchmark", lambda row: visible(row.benchmark)),
    ("Accuracy", lambda row: percent(row.accuracy.mean)),
    ("95% interval", lambda row: span(row.accuracy)),
    ("vs start", lambda row: _change(row.vs_start)),
    ("Before checks", lambda row: percent(row.before_checks.mean)),
    ("F1", lambda row: percent(row.f1)),
    ("Searches", lambda row: number(row.searches, 1)),
    ("Answers", lambda row: f"{row.questions} × {row.repeats}"),
    ("vs previous", lambda row: _change(row.vs_previous)),
    ("EM", lambda row: percent(row.em)),
    ("Contained", lambda row: percent(row.contained)),
    ("Std over repeats", lambda row: percent(row.accuracy.std)),
    ("Before checks, 95% interval", lambda row: span(row.before_checks)),
    ("The checks' effect", lambda row: _change(row.checks)),
    ("Unscored", lambda row: str(row.unscored)),
    ("Failed", lambda row: str(row.failed)),
    ("LLM calls", lambda row: number(row.calls, 1)),
    ("Tokens", lambda row: number(row.tokens, 0)),
    ("Minutes", lambda row: number(row.seconds / 60, 1)),
    ("Cost, USD", lambda row: visible(row.cost_reason or "") if row.cost_usd is None else f"{row.cost_usd:.2f}"),
    ("Grader", lambda row: visible(row.grader)),
    ("Rule grader differs", lambda row: _differs(row.rule_disagreement)),
)
_HEADINGS = tuple(heading for heading, _ in _COLUMNS)
_FIRST_VIEW = 9


def first_view(rows: Sequence[ResultRow]) -> list[tuple[str, Callable[[ResultRow], str]]]:
    """The columns to read first: without those that are empty or 0 in every row, accuracy aside."""
    columns = _COLUMNS[:_FIRST_VIEW]
    nothing = {"", percent(0.0), number(0.0, 1)}
    return [
        (heading, cell)
        for heading, cell in columns
        if heading in ("Iteration", "Accuracy") or not {cell(row) for row in rows} <= nothing
    ]


def _markdown(view: Mapping[str, Any]) -> str:
    parts = [f"# {plain(view['title'])}", *(f"> {plain(note)}" for note in view["notes"])]
    parts += [f"{plain(benchmark['headline'])}" for benchmark in view["benchmarks"]]
    parts += ["## Results", _markdown_table(view["first_headings"], view["first_table"])]
    parts.append(
        "Shares are in percent, differences (vs start) in percentage points; answers are questions × repeats. "
        "Intervals are 95%, clustered by question; unscored answers count nowhere, failed ones as incorrect."
    )
    parts += ["## Results, all columns", _markdown_table(view["headings"], view["table"])]
    for benchmark in view["benchmarks"]:
        for table in benchmark["tables"]:
            parts += [f"## {plain(benchmark['name'])}: {table['name'].lower()}"]
            parts += [_markdown_table(table["headings"], table["rows"])]
    for stage in view["stages"]:
        parts += [f"## {stage['name']}", _markdown_table(stage["headings"], stage["rows"])]
    return "\n\n".join(parts) + "\n"


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines)


def main() -> None:
    """Several runs in one page. `output` is the folder they lie in, `page` the file to write."""
    try:
        given = {key: value for key, _, value in (word.partition("=") for word in sys.argv[1:])}
        listed = given.get("runs", "").strip()
        runs = [text(name) for name in split(listed[1:-1])] if listed.startswith("[") and listed.endswith("]") else []
        if not all(runs) or not runs or set(given) - {"runs", "output", "page"}:
            raise UsageError(_USAGE)
        output = Path(text(given.get("output", "outputs")))
        named = [(output / name, Path(name)) for name in runs]
        folders = [path if path.is_dir() and not own.is_dir() else own for own, path in named]
        names = "_".join(folder.name for folder in folders)
        page = Path(text(given.get("page", "")) or output / f"compare_{names}.html")
        if not page.parent.is_dir():
            raise UsageError(f"{page}: there is no such folder; give page=<a file in a folder that is there>")
        with disk_errors():
            write_comparison(folders, page)
    except UsageError as error:
        say(str(error))
        raise SystemExit(2) from None
    say(f"comparison: {page}")
