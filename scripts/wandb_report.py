#!/usr/bin/env python3
"""A run as a W&B Report: the figures and tables of report.html, tables of trajectories, and what the numbers mean.

    wandb sync outputs/default/wandb/offline-run-*                          # the report draws what W&B holds
    python scripts/wandb_report.py outputs/default --entity me              # a draft; needs WANDB_API_KEY
    python scripts/wandb_report.py outputs/default --entity me --spec report.json      # writes it down, asks nobody

Needs `pip install -e '.[reports]'`. Tested as far as the specification that is sent to W&B; nobody has looked at a
report on W&B's own pages yet. Not here: the numbers, which the run logged (rest_react/reporting/tracking/).
"""

import argparse
import re
import sys
from collections.abc import Iterator, KeysView, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rest_react.reporting.results.results_json import read_results
from rest_react.reporting.tracking.trackers import numbers
from rest_react.storage.files import write_file
from rest_react.training.process.loss_curve import loss_curve

METRICS = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
AFTER, BEFORE, GAIN = (
    tuple(f"{name}/{part}" for part in ("mean", "low", "high")) for name in ("accuracy", "before_checks", "vs_start")
)
CURVES = (
    ("Accuracy per iteration", AFTER),
    ("Before and after the self-checks", (*BEFORE, *AFTER)),
    ("Against the start", GAIN),
    ("Searches per question", ("searches",)),
)
# A part of a row, its name on the page, and the number of each of its entries that is drawn; without one, all are, each
# on a scale of its own.
BREAKDOWNS = (
    ("pass_at", "Solved in k answers (pass@k)", "mean"),
    ("by_kind", "By question type", "mean"),
    ("by_hops", "By hops", "mean"),
    ("per_correct", "Cost per correct answer", ""),
    ("checks", "Effect of the self-checks", ""),
    ("faults", "Faults", "share"),
)
TABLES = ("verdicts", "trajectories", "rankings")


def build(run_folder: Path, *, entity: str, project: str) -> Any:
    """The report as wandb-workspaces keeps it, not sent yet."""
    import wandb_workspaces.reports.v2 as wr
    from wandb_workspaces import expr

    rows = read_results(run_folder).rows
    name = run_folder.name

    def grid(panels: Sequence[Any], columns: Sequence[str] = ()) -> Any:
        # Without a project of its own a set of runs is that of the report's project, and nobody has to be asked for it.
        runs = wr.Runset(
            name=name,
            filters=[expr.Metric("Group") == name],
            order=[wr.OrderBy(wr.SummaryMetric("iteration"), ascending=True)],
            visible_columns=[f"summary:{column}" for column in columns],
            lock_columns=bool(columns),
        )
        return wr.PanelGrid(runsets=[runs], panels=list(panels))

    blocks: list[Any] = [
        wr.TableOfContents(),
        wr.P(
            "One W&B run is one iteration. Intervals are 95%, clustered by question. If the interval of a difference "
            "contains 0, the difference may be chance."
        ),
        wr.H2("Results"),
        wr.MarkdownBlock(results(run_folder)),
    ]
    for benchmark in dict.fromkeys(row.benchmark for row in rows):
        own = [msgspec.to_builtins(row) for row in rows if row.benchmark == benchmark]
        logged = dict.fromkeys(metric for row in own for metric in numbers(row)).keys()
        blocks += [wr.H2(f"Benchmark {benchmark}"), grid(curves(wr, benchmark, logged))]
        for title, panels, columns in breakdowns(wr, benchmark, logged):
            blocks += [wr.H3(title), grid(panels, ["iteration", *columns])]
    if any(loss_curve(stage) for stage in run_folder.glob("iter_*/finetune")):
        loss = wr.LinePlot(title="Loss on the target tokens", x="finetune/step", y=["finetune/loss"])
        blocks += [wr.H2("Training loss"), grid([loss])]
    blocks += [
        wr.H2("What the agent did"),
        grid([wr.WeavePanelSummaryTable(table_name=table) for table in TABLES]),
        wr.H2("What the numbers mean"),
        wr.MarkdownBlock(definitions()),
    ]
    return wr.Report(entity=entity, project=project, title=f"Run {name}", width="fluid", blocks=blocks)


def curves(wr: Any, benchmark: str, logged: KeysView[str]) -> Iterator[Any]:
    """The figures of the page; none of what this benchmark never logged."""
    for title, names in CURVES:
        if not logged.isdisjoint(names):
            metrics = [f"evaluate/{benchmark}/{name}" for name in names]
            yield wr.LinePlot(title=title, x="iteration", y=metrics, groupby="Group", groupby_aggfunc="mean")


def breakdowns(wr: Any, benchmark: str, logged: KeysView[str]) -> Iterator[tuple[str, list[Any], list[str]]]:
    """The page's tables of a benchmark in parts: their title, bars, and the columns of the table of runs below them."""
    for part, title, drawn in BREAKDOWNS:
        columns = [f"evaluate/{benchmark}/{name}" for name in logged if name.startswith(f"{part}/")]
        if drawn:
            charts = {title: [column for column in columns if column.endswith(f"/{drawn}")]}
        else:
            charts = {column.rpartition("/")[2]: [column] for column in columns}
        if columns:
            yield title, [wr.BarPlot(title=name, metrics=metrics) for name, metrics in charts.items()], columns


def results(run_folder: Path) -> str:
    """The table of results, as report.md has it."""
    text = (run_folder / "report.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^\|.*", text.split("## Results")[1].split("\n## ")[0], re.MULTILINE))


def definitions() -> str:
    """What docs/metrics.md says of results.json."""
    text = METRICS.read_text(encoding="utf-8")
    return text[text.index("## How an answer counts") : text.index("## Intervals")]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("run_folder", type=Path, help="e.g. outputs/default")
    parser.add_argument("--entity", required=True, help="the W&B user or team that holds the runs")
    parser.add_argument("--project", default="rest-react", help="tracking.project of the run")
    parser.add_argument("--spec", type=Path, help="write the report's specification to this file and ask nobody")
    given = parser.parse_args()
    for file in ("results.json", "report.md"):
        if not (given.run_folder / file).is_file():
            sys.exit(f"{given.run_folder} holds no {file}: is it the folder of a run that was reported?")
    try:
        report = build(given.run_folder, entity=given.entity, project=given.project)
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is missing; pip install -e '.[reports]'")
    if given.spec:
        write_file(given.spec, report._to_model().model_dump_json(by_alias=True, exclude_none=True))
        print(given.spec)
    else:
        print(report.save(draft=True).url)


if __name__ == "__main__":
    main()
