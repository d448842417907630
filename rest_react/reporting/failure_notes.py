"""Notes for the terminal if at least a tenth of the answers failed or could not be graded.

    failure_notes(compute_rows(Path("outputs/default")))
    # ["note: iteration 1, world: 3 of 10 answers failed: m: refused (1), no usable sample (2)"]

Not here: how failures are counted (reporting.results.rows).
"""

from collections.abc import Iterator, Sequence

from rest_react.reporting.results.results_json import ResultRow

_SHARE = 0.1


def failure_notes(rows: Sequence[ResultRow]) -> Iterator[str]:
    """Up to two notes for each row of results."""
    for row in rows:
        where = f"iteration {row.iteration}, {row.benchmark}"
        answers, reasons = row.questions * row.repeats, row.faults
        failed = sum(part.answers for part in reasons.values())
        if failed >= _SHARE * answers:
            told = ", ".join(f"{reason} ({part.answers})" for reason, part in reasons.items())
            yield f"note: {where}: {failed} of {answers} answers failed: {told}"
        if row.unscored >= _SHARE * answers:
            yield f"note: {where}: {row.unscored} of {answers} answers are unscored; results.jsonl gives the reasons"
