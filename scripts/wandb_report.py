#!/usr/bin/env python3
"""A run as a W&B Report: the curves of report.html, its table, the tables of trajectories, and what the numbers mean.

    wandb sync outputs/default/wandb/offline-run-*                          # the report draws what W&B holds
    python scripts/wandb_report.py outputs/default --entity me              # a draft; needs WANDB_API_KEY
    python scripts/wandb_report.py outputs/default --entity me --spec report.json      # writes it down, asks nobody

Needs `pip install -e '.[reports]'`. Tested as far as the specification that is sent to W&B; nobody has looked at a
report on W&B's own pages yet. Not here: the numbers, which the run logged (rest_react/tracking.py).
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

METRICS = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
CURVES = (
    ("Accuracy, with its 95% interval", ("accuracy/mean", "accuracy/low", "accuracy/high")),
    ("Before the self-checks", ("before_checks/mean", "before_checks/low", "before_checks/high")),
    ("Against the start", ("vs_start/mean", "vs_start/low", "vs_start/high")),
    ("Searches per question", ("searches",)),
)
TABLES = ("verdicts", "trajectories", "rankings")


def build(run_folder: Path, *, entity: str, project: str) -> Any:
    """The report as wandb-workspaces keeps it, not sent yet."""
    import wandb_workspaces.reports.v2 as wr
    from wandb_workspaces import expr

    rows = json.loads((run_folder / "results.json").read_text(encoding="utf-8"))["rows"]
    name = run_folder.name

    def grid(panels: Sequence[Any]) -> Any:
        # Without a project of its own a set of runs is that of the report's project, and nobody has to be asked for it.
        runs = wr.Runset(name=name, filters=[expr.Metric("Group") == name])
        return wr.PanelGrid(runsets=[runs], panels=list(panels))

    blocks: list[Any] = [
        wr.TableOfContents(),
        wr.P("One W&B run is one iteration. Intervals are 95%, clustered by question; one that holds 0 may be luck."),
        wr.H2("Results"),
        wr.MarkdownBlock(results(run_folder)),
    ]
    for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
        own = [row for row in rows if row["benchmark"] == benchmark]
        blocks += [wr.H2(f"Benchmark {benchmark}"), grid(curves(wr, benchmark, own))]
    blocks += [
        wr.H2("What the agent did"),
        grid([wr.WeavePanelSummaryTable(table_name=table) for table in TABLES]),
        wr.H2("What the numbers mean"),
        wr.MarkdownBlock(definitions()),
    ]
    return wr.Report(entity=entity, project=project, title=f"Run {name}", width="fluid", blocks=blocks)


def curves(wr: Any, benchmark: str, rows: Sequence[dict[str, Any]]) -> Iterator[Any]:
    """The figures of the page; none of what this benchmark never logged."""
    for title, names in CURVES:
        if any(value_at(row, name) is not None for row in rows for name in names):
            metrics = [f"evaluate/{benchmark}/{name}" for name in names]
            yield wr.LinePlot(title=title, x="iteration", y=metrics, groupby="Group", groupby_aggfunc="mean")


def value_at(row: dict[str, Any], name: str) -> Any:
    """A number of a row of results.json by its W&B name."""
    value: Any = row
    for key in name.split("/"):
        value = value.get(key) if isinstance(value, dict) else None
    return value


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
        given.spec.write_text(report._to_model().model_dump_json(by_alias=True, exclude_none=True), encoding="utf-8")
        print(given.spec)
    else:
        print(report.save(draft=True).url)


if __name__ == "__main__":
    main()
