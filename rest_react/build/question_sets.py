"""Opens the question sets of a run: of Grow, of each benchmark, of the demonstrations, and the task's built-in ones.

    sets = QuestionSets(settings, folder)
    grown = sets.grown()                                  # the questions of `grow.questions` and `grow.also`
    sets.open(settings.evaluate.benchmarks["validation"]).passages

Not here: reading a file or a set of the Hub (questions), and overlap between sets (questions.overlaps.overlap).
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from rest_react.config.settings import Questions, Settings
from rest_react.errors import ConfigError
from rest_react.questions.question_settings import BuiltInItems, OpenedQuestions, QuestionContext
from rest_react.questions.sampling import without_learnt
from rest_react.records import LabelledQuestion, Passage
from rest_react.stages.synthesise import written_rows
from rest_react.storage.run_folder import RunFolder
from rest_react.tasks.search_qa.world import World


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions with labels, and the passages with their answers; None if the set has no passages."""

    labelled: tuple[LabelledQuestion, ...]
    passages: tuple[Passage, ...] | None

    def digest(self) -> str:
        """A hash of the content (16 hex digits)."""
        content = hashlib.sha256()
        for item in chain(self.labelled, self.passages or ()):
            content.update(repr(item).encode("utf-8", "replace"))
        return content.hexdigest()[:16]


class QuestionSets:
    """The question sets of a run."""

    def __init__(self, settings: Settings, folder: RunFolder) -> None:
        self.settings = settings
        self.folder = folder

    def grown(self) -> QuestionSet:
        """The questions of Grow: `grow.questions` and the sets of `grow.also`. Ids of the latter start with the
        set's name."""
        grow = self.settings.grow
        sets = {"": self.open(grow.questions, labelled=False)}
        sets |= {f"{name}-": self.open(source, labelled=False) for name, source in grow.also.items()}
        found = [
            replace(item, question=replace(item.question, id=name + item.question.id))
            for name, one in sets.items()
            for item in one.labelled
        ]
        if repeated := [name for name, times in Counter(item.question.id for item in found).items() if times > 1]:
            told = f"the id {repeated[0]} is that of two questions, with the name of the set before it"
            raise ConfigError([f"grow.also: {told}; rename the set"])
        corpora = [one.passages for one in sets.values() if one.passages is not None]
        passages = tuple(dict.fromkeys(chain(*corpora)))  # sets may share a corpus
        texts = {one.id: one for one in passages}
        if len(texts) < len(passages):
            twice = next(one.id for one in passages if texts[one.id] != one)
            raise ConfigError([f"grow.also: the passage {twice!r} has another text in another corpus; rename it"])
        return QuestionSet(tuple(found), passages if len(corpora) == len(sets) else None)

    def open(self, source: Questions, *, labelled: bool = True) -> QuestionSet:
        """Reads a question set and draws its sample. With `labelled=False`, for Grow, rows may have no answers, and
        none is a row whose label the policy learns in iteration 0 or may see in its prompt."""
        context = self.context if labelled else replace(self.context, learnt=self._learnt)
        return _sampled(source, source.open(context, labelled=labelled), context.learnt)

    @property
    def context(self) -> QuestionContext:
        """What the settings of a question set need to read it."""
        return QuestionContext(lambda: self.built_in, self.settings.world.seed, read_corpus_file)

    @cached_property
    def built_in(self) -> BuiltInItems:
        """The task's built-in question sets."""
        w = self.settings.world
        return self.settings.task.built_in(
            w.seed, passages=w.passages, demonstrations=w.demonstrations, train=w.train, evaluation=w.evaluation
        )

    @property
    def world(self) -> World:
        """The built-in closed world of search_qa, for benchmarks."""
        assert isinstance(self.built_in, World)
        return self.built_in

    @cached_property
    def demonstrated(self) -> BuiltInItems:
        """The items that the expert demonstrates: the built-in ones, or the rows of `demonstrations.questions`."""
        rows = self._rows
        return self.built_in if rows is None else self.settings.task.demonstrable(rows.labelled, rows.passages)

    @property
    def labelled_rows(self) -> tuple[LabelledQuestion, ...]:
        """The labelled rows of `demonstrations.questions`; none if it is not set."""
        return () if self._rows is None else self._rows.labelled

    @property
    def _learnt(self) -> frozenset[str]:
        """The texts whose labels iteration 0 learns, or `start=prompted` shows as examples. Searching tasks refuse them
        in Grow (shared_questions)."""
        s = self.settings
        if s.task.searches or s.synthetic.n or not s.iteration:
            return frozenset()
        return frozenset(row.question.text for row in self.labelled_rows)

    @cached_property
    def _rows(self) -> QuestionSet | None:
        """The rows of `demonstrations.questions`, if it is set; those that the teacher wrote, if it writes some."""
        if self.settings.synthetic.n:
            return QuestionSet(tuple(written_rows(self.folder.stage(0, "synthetic"))), None)
        source = self.settings.demonstrations.questions
        if source is None:
            return None
        return _sampled(source, source.open_with_chains(self.context))


def refuse_empty_sets(settings: Settings, grown: QuestionSet, benchmarks: Mapping[str, QuestionSet]) -> None:
    """Raises ConfigError, naming each set, if Grow or a benchmark has no question."""
    problems = []
    if settings.iteration and not grown.labelled:
        problems.append("grow.questions: no rows are left for Grow; lower its skip, or set iteration=0")
    problems += [
        f"evaluate.benchmarks.{name}: no rows are left for Evaluate; lower its skip (built-in questions: raise "
        f"world.evaluation), or leave the benchmark out with '~questions@evaluate.benchmarks.{name}'"
        for name, benchmark in benchmarks.items()
        if not benchmark.labelled
    ]
    if problems:
        raise ConfigError(problems)


def _sampled(source: Questions, opened: OpenedQuestions, learnt: Collection[str] = ()) -> QuestionSet:
    from rest_react.questions import sample

    found: Sequence[LabelledQuestion] = without_learnt(opened.labelled, learnt, None, source.origin())
    if source.sample is not None:
        found = sample(found, source.sample, opened.sample_seed)
    return QuestionSet(tuple(found), opened.passages)


def read_corpus_file(path: str) -> tuple[Passage, ...]:
    """The passages of a file. Raises ConfigError if no passage has a word that BM25 can search."""
    from rest_react.questions import read_corpus
    from rest_react.search.word_tokenizer import passage_words

    passages = tuple(read_corpus(Path(path)))
    if not any(passage_words(passage.title, passage.text) for passage in passages):
        raise ConfigError([f"{path}: no passage contains a searchable word; check that it is the right file"])
    return passages
