"""Training rows in TRL's formats: prompt and completion (SFT), or prompt, chosen and rejected (DPO and others).

    next(prompt_completion_rows(RunFolder(root), 1, chat=True))
    # {"id": "iter_1/w1.0.0", "kind": "decide", "prompt": [{"role": "user", ...}], "completion": [{...}]}

With `chat`, each text is a message (TRL's conversational format), for policies that are asked through a chat template;
otherwise a text (the standard format). These are the rows that Improve of that iteration selected, without
demonstrations; they are made without labels.
Not here: how rows and rejected candidates are selected (stages.improve).
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from rest_react.errors import UsageError
from rest_react.records import Example
from rest_react.stages.improve.improve import EXAMPLES
from rest_react.stages.improve.trainable_steps import Rules
from rest_react.stages.training_data import preference_data
from rest_react.storage.jsonl import read_lines
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.protocol import Task


def prompt_completion_rows(folder: RunFolder, k: int, *, chat: bool) -> Iterator[dict[str, Any]]:
    """The examples of iteration k."""
    for example in read_lines(folder.stage(k, "improve") / EXAMPLES, Example):
        completion = _text("assistant", example.completion, chat=chat)
        yield {**_facts(k, example), "prompt": _text("user", example.prompt, chat=chat), "completion": completion}


def preference_rows(
    folder: RunFolder, k: int, task: Task, locked: Mapping[str, Any], *, chat: bool
) -> Iterator[dict[str, Any]]:
    """The examples of iteration k whose step has a worse candidate. `task` has the filters of Improve. Raises
    UsageError if the iteration was made by another run, whose settings this folder does not have."""
    if 0 < k <= locked.get("grow.reuse_through", 0):
        raise UsageError(
            f"{folder.stage(k)}: iteration {k} was made by the run {locked['grow.reuse']!r} with settings of its own; "
            "export its preferences from that run"
        )
    if k and "improve.targets" in locked:
        raise UsageError(
            f"{folder.stage(k)}: gold answers chose its targets, and no worse samples to prefer them to; export "
            "format=prompt_completion"
        )
    rules = _rules(locked) if k else Rules("perplexity")
    for row in preference_data(folder, k, task, rules):
        yield {
            **_facts(k, row),
            "prompt": _text("user", row.prompt, chat=chat),
            "chosen": _text("assistant", row.completion, chat=chat),
            "rejected": _text("assistant", row.rejected, chat=chat),
        }


def _rules(locked: Mapping[str, Any]) -> Rules:
    """The settings with which Improve selected the examples."""
    names = (field.name for field in fields(Rules))
    return Rules(**{name: locked[f"improve.{name}"] for name in names if f"improve.{name}" in locked})


def _facts(k: int, example: Example) -> dict[str, Any]:
    return {"id": f"iter_{k}/{example.id}", "kind": example.kind}


def _text(role: str, text: str, *, chat: bool) -> str | list[dict[str, str]]:
    return [{"role": role, "content": text}] if chat else text
