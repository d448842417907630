"""Digests of a run's data, by which a changed file under the same path is noticed.

    data_digests(settings, sets, grow_set, benchmarks)        # {"grow.questions": "9f2c...", "search.corpus": ...}

Not here: what happens then (storage.settings_file, stages.reuse).
"""

from collections.abc import Mapping
from pathlib import Path

from rest_react.build.question_sets import QuestionSet, QuestionSets
from rest_react.config.settings import Settings
from rest_react.storage.files import file_digest, folder_digest


def data_digests(
    settings: Settings, sets: QuestionSets, grown: QuestionSet, benchmarks: Mapping[str, QuestionSet]
) -> dict[str, str]:
    """Digests of the question sets, the corpus and the user's own weights."""
    every = {"grow.questions": grown} | {f"evaluate.{name}": one for name, one in benchmarks.items()}
    digests = {name: one.digest() for name, one in every.items()}
    if settings.demonstrations.questions is not None and not settings.synthetic.n:
        rows = sets.demonstrated
        digests["demonstrations.questions"] = QuestionSet(rows.demonstrations, rows.passages).digest()
    weights = Path(settings.policy.model).expanduser()
    if settings.policy.runs == "machine" and weights.is_dir():
        digests["policy.model"] = folder_digest(weights)
    corpus = settings.search.corpus_file()
    return digests if corpus is None else digests | {"search.corpus": file_digest(corpus)}
