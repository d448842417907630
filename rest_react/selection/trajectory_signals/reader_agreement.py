"""Agreement with a reader: did a model that was shown the question and the selected passages alone answer the same?

    gives_same_answer(vell, "Vell.")        # True
    gives_same_answer(vell, "unknown")      # False
    gives_same_answer(vell, "")             # None: no verdict

The reader does not see the answer of the trajectory, so it cannot simply confirm it, as a judge does that is asked "is
this right?". Both can take the same wrong value where the trajectory selected too few passages. Measured against
gold with a reader of 1.5 billion parameters: 56% and 62% right among those kept in two worlds (all: 24% and 21%;
docs/log.md).
Source: roundtrip consistency (Alberti et al. 2019), where a model must find the same answer in the passage again.
Not here: how the reader is asked (selection.reward_model).
"""

from rest_react.model_output.thinking import after_thinking
from rest_react.selection.trajectory_signals.agreement import asserts
from rest_react.trajectories.parsed import Evidence

_AROUND = " \t.`*\"'“”"
UNKNOWN = "unknown"  # what read_answer.txt asks for where the passages do not say it


def gives_same_answer(found: Evidence, reply: str) -> bool | None:
    """Whether the last line of the reader's reply would be correct if the answer of the trajectory were the gold
    answer. None if the reply has no words after its reasoning."""
    lines = [line.strip(_AROUND) for line in (after_thinking(reply) or "").splitlines()]
    said = next((line for line in reversed(lines) if line), None)
    if said is None:
        return None
    if UNKNOWN in (said.casefold(), found.short_answer.strip(_AROUND).casefold()):
        return False
    return bool(found.short_answer) and asserts(found.question, said, found.short_answer)
