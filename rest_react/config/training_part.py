"""Completes the task's settings from the training part: the rows of `demonstrations.questions`, and no others.

    with_training_part(settings).task.labels        # ("Credit card", "Mortgage"), where task.labels is null

The result is what a run folder locks, so stored answers are read with the same labels, and other data are refused.
Not here: what a task takes from the rows (`with_rows` of its settings).
"""

from collections.abc import Sequence
from dataclasses import replace

from rest_react.config.settings import Settings
from rest_react.questions import sample
from rest_react.questions.question_settings import QuestionContext
from rest_react.records import LabelledQuestion


def with_training_part(s: Settings) -> Settings:
    """The settings with the task completed. The rows are read only if the task needs them. Raises ConfigError."""
    own_labels = s.task.label_names() and s.synthetic.n  # then no row is used
    if own_labels or not s.task.needs_rows:
        return s
    return replace(s, task=s.task.with_rows(training_rows(s)))


def training_rows(s: Settings) -> Sequence[LabelledQuestion]:
    """The rows of `demonstrations.questions`; none if it is not set. Raises ConfigError."""
    source = s.demonstrations.questions
    if source is None:
        return ()
    w = s.world
    built_in = s.task.built_in(w.seed, passages=w.passages, demonstrations=w.demonstrations, train=0, evaluation=0)
    opened = source.open(QuestionContext(lambda: built_in, w.seed, lambda path: ()), labelled=True)
    return opened.labelled if source.sample is None else sample(opened.labelled, source.sample, opened.sample_seed)
