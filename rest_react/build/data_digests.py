"""Digests of a run's data, by which a changed file under the same path is noticed.

    data_digests(settings, sets, grow_set, benchmarks)        # {"grow.questions": "9f2c...", "search.corpus": ...}

Not here: what happens then (storage.settings_file, stages.reuse).
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from rest_react.build.question_sets import QuestionSet, QuestionSets
from rest_react.build.run_prompts import RunPrompts
from rest_react.config.checks.needs import parts_of_all_iterations
from rest_react.config.settings import Settings
from rest_react.search.dense import DenseSettings
from rest_react.storage.files import file_digest, folder_digest
from rest_react.tasks.rollout import StepPrompts
from rest_react.tasks.task_settings import TaskContext
from rest_react.weights.embedded import EMBEDDED, embedded_source


def data_digests(
    settings: Settings, sets: QuestionSets, grown: QuestionSet, benchmarks: Mapping[str, QuestionSet]
) -> dict[str, str]:
    """Digests of the question sets, the corpus, the user's own weights, and what else the task's answers depend on."""
    every = {"grow.questions": grown} | {f"evaluate.{name}": one for name, one in benchmarks.items()}
    digests = {name: one.digest() for name, one in every.items()}
    if settings.demonstrations.questions is not None and not settings.synthetic.n:
        rows = sets.demonstrated
        digests["demonstrations.questions"] = QuestionSet(rows.demonstrations, rows.passages).digest()
        chains = [row.chain for row in rows.demonstrations]
        if any(chains):  # no part of the other digest, which earlier versions have recorded without them
            digests["demonstrations.chains"] = hashlib.sha256(repr(chains).encode("utf-8", "replace")).hexdigest()[:16]
    digests |= {f"{role}.model": folder_digest(weights) for role, weights in _folders_of_weights(settings)}
    roles = (role for role, part in _on_this_machine(settings) if getattr(part, "model", "") == EMBEDDED)
    digests |= {f"{role}.model": embedded_source() for role in roles}
    if (corpus := settings.search.corpus_file()) is not None:
        digests["search.corpus"] = file_digest(corpus)
    prompts = StepPrompts(RunPrompts(settings, sets).steps)
    context = TaskContext(prompts, items=lambda: sets.built_in, run_folder=sets.folder.root)
    return digests | dict(settings.task.content_digests(context))


def _folders_of_weights(settings: Settings) -> Iterator[tuple[str, Path]]:
    """The folders of weights that this machine loads, each with the role of the model."""
    for role, part in _on_this_machine(settings):
        weights = Path(getattr(part, "model", "")).expanduser()
        if weights.is_dir():
            yield role, weights


def _on_this_machine(settings: Settings) -> Iterator[tuple[str, object]]:
    for role, part in parts_of_all_iterations(settings).items():
        if isinstance(part, DenseSettings) or getattr(part, "runs", None) == "machine":
            yield role, part
