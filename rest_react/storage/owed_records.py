"""Records whose work is owed: an external error cost them, so it is to be done again.

    all(record.is_owed for record in read_lines(stage / "results.jsonl", OwedRecord))

Not here: doing it again (stages.executor).
"""

import msgspec

from rest_react.records import Fault


class _Verdict(msgspec.Struct, frozen=True):
    owed: bool = False


class OwedRecord(msgspec.Struct, frozen=True):
    """The fields of a trajectory, a result, a ranking, ... that tell whether an external error cost it."""

    id: str
    fault: Fault | None = None
    verdict: _Verdict = _Verdict()
    verdict_before_checks: _Verdict = _Verdict()
    status: str = ""
    text: str = ""  # of a teacher: paid for, also while its judgement is owed

    @property
    def is_owed(self) -> bool:
        outside = self.fault is not None and self.fault.whose == "outside"
        return outside or self.verdict.owed or self.verdict_before_checks.owed or self.status == "errored"
