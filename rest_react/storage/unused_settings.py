"""Which locked settings may still change, because no finished work depends on them.

    is_unused(folder.root, "grader.model")       # True while no answer is graded
    nothing_finished(folder.root)                # then all of them may change

Not here: the comparison of settings, and refusing a change (settings_file).
"""

from pathlib import Path

from rest_react.storage.integrity import SUMMARY
from rest_react.storage.jsonl import read_lines
from rest_react.storage.owed_records import OwedRecord
from rest_react.storage.run_folder import BASELINES

# The files that depend on these settings; while none exists, the settings may change.
_WORK_OF = {
    "grader.": ("iter_*/evaluate/*/results.jsonl", "iter_*/choose/*/results.jsonl", f"{BASELINES}/*/*/results.jsonl"),
    # The answers of a model to choose from lie in a folder that does not name the benchmark.
    "evaluate.choose_by": (
        "iter_*/choose/*/*.jsonl",
        "iter_*/choose/**/summary.json",
        "iter_*/evaluate/*/summary.json",
    ),
    # Iteration 0 has demonstrations alone, which no reward model and no filter touches.
    "reward_model.": ("iter_[1-9]*/improve/*", "iter_0/judge/*", "iter_0/outcome_judge/*", "iter_0/synthetic/*"),
    "improve.": ("iter_[1-9]*/improve/*", "iter_[1-9]*/finetune/*", "iter_0/synthetic/*"),
    "finetune.": ("iter_*/finetune/*",),
    # Which of the written texts become rows is decided last.
    "synthetic.spare": ("iter_0/synthetic/summary.json",),
    "synthetic.near": ("iter_0/synthetic/summary.json",),
}
# Token limits of judges. A reply that is shorter than both the old and the new limit is the same, so these may change
# at any time; replies that were cut or refused because of a limit are requested again.
_LIMITS_OF_JUDGES = ("evaluate.grader_max_tokens", "improve.max_tokens")
UNJUDGED = "unjudged.jsonl"  # texts of a teacher, as no judge has touched them yet
_OF_A_HOSTED_JOB = (
    "job.json",
    "events.jsonl",
    "loss.jsonl",
    "checkpoints.jsonl",
)  # training.hosted compares the settings of a started job


def nothing_finished(root: Path) -> bool:
    """Whether no stage is complete and every record must be made again as a whole because of an external error."""
    if any(root.rglob(SUMMARY)):
        return False
    records = (record for path in root.rglob("*.jsonl") for record in read_lines(path, OwedRecord))
    return all(record.is_owed and not record.text for record in records)


def is_unused(root: Path, key: str, now: object = ...) -> bool:
    """Whether no work in the folder depends on the setting yet; `now` is the value that it would get."""
    if key in _LIMITS_OF_JUDGES:
        return True
    if key == "evaluate.choose_by" and now is None:  # a choice that was never made leaves nothing
        return not any(root.glob("iter_*/choose/**/summary.json"))
    patterns = next((patterns for group, patterns in _WORK_OF.items() if key.startswith(group)), ())
    if not patterns:
        return False
    found = [path for one in patterns for path in root.glob(one) if path.name not in (*_OF_A_HOSTED_JOB, UNJUDGED)]
    lines = (line for path in found if path.suffix == ".jsonl" for line in read_lines(path, OwedRecord))
    return all(path.suffix == ".jsonl" for path in found) and all(line.is_owed for line in lines)
