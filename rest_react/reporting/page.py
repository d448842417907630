"""What pages are made of: a template of templates/ filled in, and a run's trajectories packed to be browsed; and the
tables and the curve that a tracker is given.

    packed = pack(Path("outputs/default"))
    packed.index         # what is filtered and searched: columns, one entry a trajectory
    packed.blocks[3]     # trajectories 96 to 127, with every sample
    text = fill("report.html.j2", scripts=("browser.js",), walks=packed, ...)
    tables(Path("outputs/default"), 1)["verdicts"]      # [{"id": "eval-000.0", "verdict": "correct", ...}, ...]

A page is one file that asks nothing of the network: style, scripts and data are in it, and its content security policy
admits nothing else. What is put into a template is escaped. Index and blocks are JSON, deflated, in base64: the page
inflates the index when it is opened and a block when one of its trajectories is. States are not in it, as each repeats
all that came before: the page renders them anew from the steps and shows them where their checksum is that of the
state the model saw. Above `largest` only the trajectories of a seeded sample keep all their candidates, the others the
one that moved on.

Not here: what stands on a page (report), what it does with trajectories (templates/browser.js).
"""

import base64
import hashlib
import heapq
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from markupsafe import Markup

from rest_react.errors import short_reason
from rest_react.records import Ranking, Result, Step, Trajectory
from rest_react.reporting.number_formats import percent, points
from rest_react.seeds import derive_seed
from rest_react.stages.rollouts import TRAJECTORIES
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import iterations
from rest_react.storage.summaries import read_summary
from rest_react.tasks.search_qa.step import parse_step
from rest_react.text_safety import plain
from rest_react.training.loss_curve import loss_lines

if TYPE_CHECKING:
    from jinja2 import Environment

_PARTS = Path(__file__).parent / "templates"
LARGEST = 30_000_000
PER_BLOCK = 32
_LONGEST = 20_000  # characters of one text: more than anyone reads, and a page stays a page
_SEARCHED = 240  # characters of an answer or a fault in the index
_REMAINING = re.compile(r"^REMAINING_SEARCHES = (\d+)$", re.MULTILINE)
Keep = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Packed:
    """`trajectories` are in it, `whole` of them with all their candidates; sizes are in characters."""

    index: str
    blocks: tuple[str, ...]
    trajectories: int
    whole: int

    @property
    def size(self) -> int:
        """Of index and blocks together."""
        return len(self.index) + sum(map(len, self.blocks))


@dataclass(frozen=True, slots=True)
class _Walk:
    """A trajectory with what the run has to say of it; `rankings` go by the index of the step."""

    stage: str
    trajectory: Trajectory
    result: Result | None
    rankings: Mapping[int, Ranking]


def pack(run_folder: Path, largest: int = LARGEST) -> Packed:
    """All trajectories of the run's complete stages, in about `largest` characters."""
    whole = _pack(run_folder, lambda _: True)
    if whole.size <= largest:
        return whole
    bare = _pack(run_folder, lambda _: False)
    share = max(0.0, 0.98 * (largest - bare.size) / max(whole.size - bare.size, 1))
    return _pack(run_folder, lambda key: derive_seed("candidates", key) < share * 2**63)


def _pack(run_folder: Path, keep: Keep) -> Packed:
    columns: dict[str, list[object]] = {name: [] for name in _entry_names()}
    blocks: list[str] = []
    waiting: list[dict[str, Any]] = []
    whole = 0
    for walk in _walks(run_folder):
        kept = keep(f"{walk.stage}/{walk.trajectory.id}")
        whole += kept
        for name, value in _entry(walk).items():
            columns[name].append(value)
        waiting.append(_opened(walk, whole=kept))
        if len(waiting) == PER_BLOCK:
            blocks.append(_deflated(waiting))
            waiting = []
    if waiting:
        blocks.append(_deflated(waiting))
    return Packed(_deflated({**columns, "per_block": PER_BLOCK}), tuple(blocks), len(columns["id"]), whole)


def _deflated(value: object) -> str:
    return base64.b64encode(zlib.compress(msgspec.json.encode(value), 9)).decode("ascii")


# ── filling a template ────────────────────────────────────────────────────────────────────────────────────────────────


def fill(template: str, *, scripts: Sequence[str] = (), **values: Any) -> str:
    """A page of templates/, with its style and scripts in it and a policy that admits these alone."""
    style = (_PARTS / "page.css").read_text(encoding="utf-8")
    code = [(_PARTS / name).read_text(encoding="utf-8") for name in scripts]
    policy = f"default-src 'none'; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    if code:
        policy += f"; script-src {' '.join(map(_hash, code))}; require-trusted-types-for 'script'"
    parts = {"policy": policy, "style": Markup(style), "scripts": [Markup(text) for text in code]}
    return templates().get_template(template).render(**values, **parts)


def templates() -> "Environment":
    """Templates; whatever is put into one is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rest_react.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points, "plain": lambda text: Markup(plain(str(text)))}
    return environment


def _hash(text: str) -> str:
    """How a content security policy names a style or a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# ── reading the folder ────────────────────────────────────────────────────────────────────────────────────────────────


def _walks(run_folder: Path, only: int | None = None) -> Iterator[_Walk]:
    """The trajectories of complete stages, the last iteration first: those of each benchmark, then those grown."""
    for k in reversed(iterations(run_folder)):
        if only not in (None, k):
            continue
        folder = run_folder / f"iter_{k}"
        for stage in (*sorted((folder / "evaluate").glob("*/")), folder / "grow"):
            if read_summary(stage) is None:
                continue
            results = {result.id: result for result in read_lines(stage / "results.jsonl", Result)}
            by_trajectory = _rankings(folder / "improve") if stage.name == "grow" else iter(())
            ranked, rankings = next(by_trajectory, ("", {}))
            for trajectory in read_lines(stage / TRAJECTORIES, Trajectory):
                own: Mapping[int, Ranking] = {}
                if trajectory.id == ranked:
                    own = rankings
                    ranked, rankings = next(by_trajectory, ("", {}))
                yield _Walk(f"iter_{k}/{stage.name}", trajectory, results.get(trajectory.id), own)


def _rankings(stage: Path) -> Iterator[tuple[str, dict[int, Ranking]]]:
    """By trajectory, in the order of the trajectories; none while the stage is incomplete."""
    if read_summary(stage) is None:
        return
    lines = read_lines(stage / "rankings.jsonl", Ranking)
    for id_, group in groupby(lines, key=lambda ranking: ranking.id.rpartition(".")[0]):
        yield id_, {int(ranking.id.rpartition(".")[2]): ranking for ranking in group}


# ── the index ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _entry_names() -> tuple[str, ...]:
    return ("stage", "id", "question", "answer", "outcome", "before", "revised", "kind", "fault")


def _entry(walk: _Walk) -> dict[str, object]:
    """What the page filters by and searches."""
    trajectory, result = walk.trajectory, walk.result
    fault = trajectory.fault
    return {
        "stage": walk.stage,
        "id": trajectory.id,
        "question": trajectory.question[:_LONGEST],
        "answer": trajectory.answer[:_SEARCHED],
        "outcome": _outcome(walk),
        "before": result.verdict_before_checks.verdict if result and trajectory.draft else "",
        "revised": trajectory.draft != trajectory.answer,
        "kind": result.kind if result else "",
        "fault": short_reason(fault.message)[:_SEARCHED] if fault else "",
    }


def _outcome(walk: _Walk) -> str:
    fault = walk.trajectory.fault
    if fault is not None:
        return "failed" if fault.whose == "model" else "outage"
    return walk.result.verdict.verdict if walk.result else "finished"


# ── a trajectory ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _opened(walk: _Walk, *, whole: bool) -> dict[str, Any]:
    """All that the page shows of one trajectory. `cut` where a text was too long for it."""
    trajectory, result = walk.trajectory, walk.result
    searches = next((found for step in trajectory.steps if (found := _REMAINING.search(step.state))), None)
    opened = {
        "draft": trajectory.draft,
        "answer": trajectory.answer,
        "fault": trajectory.fault,
        "usage": trajectory.usage,
        "verdict": result and result.verdict,
        "before": result and result.verdict_before_checks,
        "golds": result.golds if result else (),
        "hops": result and result.hops,
        "searches": int(searches[1]) if searches else 0,
        "steps": [_opened_step(step, walk.rankings.get(i), whole=whole) for i, step in enumerate(trajectory.steps)],
        "cut": False,
    }
    plain: dict[str, Any] = msgspec.to_builtins(opened)
    if len(msgspec.json.encode(plain)) > _LONGEST and (cut := _cut(plain)) != plain:
        return {**cut, "cut": True}
    return plain


def _opened_step(step: Step, ranking: Ranking | None, *, whole: bool) -> dict[str, Any]:
    """`action` is what the sample that moved on says, `shown` the checksum of the state, `samples` how many there
    were."""
    chosen = step.candidates[step.chosen] if step.chosen is not None else None
    alone = replace(step, candidates=(chosen,), chosen=0) if chosen else step
    action = parse_step(alone).actions[0].action if chosen else None
    kept = step if whole else alone
    return {
        "kind": step.kind,
        "shown": zlib.crc32(step.state.encode("utf-8")),
        "candidates": kept.candidates,
        "samples": len(step.candidates),
        "chosen": kept.chosen,
        "forced": step.forced,
        "hits": step.hits,
        "first": step.first_link,
        "action": {"name": type(action).__name__, **asdict(action)} if action else None,
        "ranking": ranking if whole else None,
    }


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]} … ({len(value):,} characters)"
    if isinstance(value, list):
        return [_cut(inner) for inner in value]
    return {key: _cut(inner) for key, inner in value.items()} if isinstance(value, dict) else value


# ── for a tracker ─────────────────────────────────────────────────────────────────────────────────────────────────────

_CURVE = 300  # points, which is what a screen can show
_ROWS = {"trajectories": 200, "rankings": 2_000, "verdicts": 5_000}


def tables(run_folder: Path, iteration: int) -> dict[str, list[dict[str, object]]]:
    """What one iteration's trajectories, rankings and verdicts say, a row each; of too many a seeded sample."""
    rows = {"trajectories": _trajectory_row, "rankings": _ranking_rows, "verdicts": _verdict_row}
    found = {}
    for name, read in rows.items():
        every = (row for walk in _walks(run_folder, iteration) for row in read(walk))
        some = heapq.nsmallest(_ROWS[name], every, key=lambda row: derive_seed("table", row["stage"], row["id"]))
        found[name] = sorted(some, key=lambda row: (str(row["stage"]), str(row["id"])))
    return found


def loss_curve(stage: Path) -> list[tuple[int, float]]:
    """Training loss per step, thinned; its last step is always there. A torn last line is not read."""
    read = (line for line, _ in loss_lines(stage / "loss.jsonl", 0))
    steps = [(int(line["step"]), line["loss"]) for line in read if math.isfinite(line["loss"])]
    kept = steps[:: -(-len(steps) // _CURVE) or 1]
    return kept if kept[-1:] == steps[-1:] else [*kept, steps[-1]]


def _trajectory_row(walk: _Walk) -> Iterator[dict[str, object]]:
    trajectory, usage = walk.trajectory, walk.trajectory.usage
    steps = (f"{step.kind}: {_text(step, step.chosen)}" for step in trajectory.steps)
    yield {
        "stage": walk.stage,
        "id": trajectory.id,
        "question": trajectory.question,
        "answer": trajectory.answer,
        "draft": trajectory.draft,
        "outcome": _outcome(walk),
        "fault": trajectory.fault.message if trajectory.fault else "",
        "searches": usage.searches,
        "calls": usage.calls,
        "tokens": usage.prompt_tokens + usage.completion_tokens,
        "steps": "\n\n".join(steps),
    }


def _verdict_row(walk: _Walk) -> Iterator[dict[str, object]]:
    result = walk.result
    if result is not None:
        yield {
            "stage": walk.stage,
            "id": result.id,
            "question": walk.trajectory.question,
            "golds": " / ".join(result.golds),
            "answer": result.answer,
            "verdict": result.verdict.verdict,
            "reason": result.verdict.reason,
            "before_checks": result.verdict_before_checks.verdict,
            "em": result.em,
            "f1": result.f1,
        }


def _ranking_rows(walk: _Walk) -> Iterator[dict[str, object]]:
    for i, ranking in walk.rankings.items():
        step = walk.trajectory.steps[i]
        yield {
            "stage": walk.stage,
            "id": ranking.id,
            "kind": ranking.kind,
            "selector": ranking.selector,
            "status": ranking.status,
            "moved_on": _text(step, step.chosen),
            "target": _text(step, ranking.best),
            "order": " ".join(map(str, ranking.order)),
            "reply": ranking.reply,
            "good": {True: "yes", False: "no", None: ""}[ranking.good],
        }


def _text(step: Step, candidate: int | None) -> str:
    return "" if candidate is None else step.candidates[candidate].text
