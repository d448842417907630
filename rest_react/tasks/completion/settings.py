"""The settings of the task completion.

    CompletionSettings("completion", labels=("billing", "delivery")).open(TaskContext(prompts))
    CompletionSettings("completion", None).with_rows(rows).labels           # the labels of the training part

Not here: the task (tasks.completion.task), its built-in items and its scripted policy (items, scripted).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal, Self

from rest_react.errors import ConfigError
from rest_react.prompts import STOP, Exemplar, StepPrompt
from rest_react.protocols import LLM
from rest_react.questions.item_files import INSTRUCTED, ItemQuestions
from rest_react.questions.question_settings import BuiltInItems, QuestionSettings
from rest_react.records import LabelledQuestion, Passage
from rest_react.setting_types import Name, NotNegative
from rest_react.tasks.completion import task
from rest_react.tasks.completion.formatting import is_gold, leaf_values
from rest_react.tasks.completion.items import Items, build_items
from rest_react.tasks.completion.label import alike_labels, label_key
from rest_react.tasks.task_settings import TaskContext, TaskSettings
from rest_react.text_safety.escaping import escape_control_tokens


@dataclass(frozen=True, slots=True)
class CompletionSettings(TaskSettings):
    """One call per item: a text in, its label or answer out."""

    packaged_prompts: ClassVar[Path] = Path(__file__).parent / "prompts"
    step_names: ClassVar[Mapping[str, str]] = task.STEP_NAMES
    closings: ClassVar[Mapping[str, str]] = task.CLOSINGS
    # No LLM grader: labels are compared.
    judge_prompts: ClassVar[tuple[str, ...]] = (
        "ranking.txt",
        "best_option.txt",
        "judged_good.txt",
        "judged_answer.txt",
    )
    has_items: ClassVar[bool] = True
    demonstrates_rows: ClassVar[bool] = True
    teacher_prompt: ClassVar[str | None] = "teacher.txt"

    kind: Literal["completion"]
    # the possible answers, or values of a list; empty: any; null: those in the rows of demonstrations.questions
    labels: tuple[Name, ...] | None
    # label: one of the labels; formatting: a list in JSON; tone: any text, whose tone the grader rates from 1 to 5
    grade: Literal["label", "formatting", "tone"]
    tone: Name  # with grade=tone: the tone that is asked for
    shots: NotNegative  # rows of demonstrations.questions that an untuned model is shown as examples
    # what answers each benchmark too: the most frequent label, TF-IDF with logistic regression (scikit-learn), and the
    # untuned policy without and with `shots` examples
    baselines: tuple[Literal["majority", "tfidf", "zero_shot", "few_shot"], ...]

    def open(self, context: TaskContext) -> task.Completion:
        prompts = context.prompts
        if self.grade != "label":
            prompts = replace(prompts, closings=task.ANSWER_CLOSINGS)
        return task.Completion(prompts, self.labels or (), self.grade)

    def exemplar_problem(self, kind: str, completion: str) -> str:
        return task.parse_label(completion, ()).problem

    def built_in(self, seed: int, *, passages: int, demonstrations: int, train: int, evaluation: int) -> Items:
        return build_items(seed, demonstrations=demonstrations, train=train, evaluation=evaluation)

    def rating_prompt(self) -> tuple[str, Mapping[str, str]] | None:
        return ("tone.txt", {"{tone}": self.tone}) if self.grade == "tone" else None

    def problems(self, path: str, questions: Mapping[str, QuestionSettings]) -> Iterator[str]:
        yield from (f"{path}.labels: {told}" for told in alike_labels(self.label_names()))
        if "few_shot" in self.baselines and not self.shots:
            yield f"{path}.shots: 0, but the baseline few_shot shows examples; set 1 or more"
        if self.grade != "label" and (others := {"majority", "tfidf"}.intersection(self.baselines)):
            yield f"{path}.baselines: {' and '.join(sorted(others))} can only give labels; remove them"
        instructed = [name for name, one in questions.items() if isinstance(one, ItemQuestions) and one.instructed]
        if instructed and "zero_shot" not in self.baselines:
            yield (
                f"{path}.baselines: {instructed[0]} is instructed, so what training forgets is measured against the "
                "untuned policy; add zero_shot"
            )
        if wrong := [name for name in instructed if not name.startswith("evaluate.")]:
            yield f"{wrong[0]}.instructed: is for benchmarks; set it to false"
        if "tfidf" in self.baselines and find_spec("sklearn") is None:
            yield f"{path}.baselines: tfidf needs scikit-learn; pip install 'rest-react[classify]', or remove tfidf"

    @property
    def needs_rows(self) -> bool:
        return self.labels is None or bool(self.label_names())

    def with_rows(self, rows: Sequence[LabelledQuestion]) -> Self:
        """With the labels of these rows, or the values of their lists, where `labels` is null. Raises ConfigError where
        they are no labels, cannot be told apart, or are not among given ones."""
        golds = [row.answers[0] for row in rows]
        if self.labels is not None:
            _refuse_unknown(golds, self.labels)
            if "tfidf" in self.baselines:
                _refuse_one_label(golds)
            return self
        if self.grade == "formatting":
            return replace(self, labels=tuple(leaf_values(golds)))
        if alike := list(alike_labels(golds)):
            raise ConfigError([f"task.labels: {one}" for one in alike])
        found = {label_key(gold): gold for gold in sorted(golds, reverse=True)}
        if not golds:
            raise ConfigError(
                ["task.labels: null needs labelled rows; set demonstrations.questions, or task.labels=[a,b]"]
            )
        if len(found) < 2 or (len(golds) > 20 and len(found) > len(golds) / 2):
            told = (
                f"task.labels: the {len(golds)} rows of demonstrations.questions have {len(found)} different answers, "
                "so they are no labels; check its fields, or set task.grade=formatting or task.labels=[]"
            )
            raise ConfigError([told])
        return replace(self, labels=tuple(sorted(found.values())))

    def unusable_golds(self, questions: Sequence[LabelledQuestion]) -> Iterator[str]:
        for one in questions:
            if one.question.id.startswith(INSTRUCTED):  # its label must not be read as another one
                alike = [option for option in one.options if label_key(option) == label_key(one.answers[0])]
                yield from alike_labels(alike or one.answers)
            elif self.grade == "formatting" and not is_gold(one.answers[0]):
                yield f"{one.question.id}: {one.answers[0][:60]!r} is no list in JSON (task.grade=formatting)"

    def notes_on_golds(self, questions: Sequence[LabelledQuestion]) -> Iterator[str]:
        known = set(map(label_key, self.label_names()))
        own = [one.answers[0] for one in questions if not one.question.id.startswith(INSTRUCTED)]
        if known and (outside := [gold for gold in own if label_key(gold) not in known]):
            named = ", ".join(map(repr, sorted(set(outside))[:5]))
            yield (
                f"{len(outside)} of {len(own)} rows have labels outside the label set ({named}), so no answer to them "
                "is right, and their class has F1 0; to allow every label, name them all: task.labels=[...]"
            )

    def prompts_of_rows(self, rows: Sequence[LabelledQuestion], *, shots: int | None = None) -> dict[str, StepPrompt]:
        """The prompt of a user's own rows: the labels, and the first `shots` rows as examples."""
        name = "classify.txt" if self.grade == "label" and self.labels else "follow.txt"
        text = (self.packaged_prompts / name).read_text(encoding="utf-8")
        instructions = text.replace("{labels}", "\n".join(f"- {label}" for label in self.labels or ()))
        shown = tuple(
            Exemplar(task.render_state(row.question.text), f"{escape_control_tokens(row.answers[0])}  {STOP}")
            for row in rows[: self.shots if shots is None else shots]
        )
        return {task.KIND: StepPrompt(instructions, shown)}

    def baseline_names(self) -> tuple[str, ...]:
        return self.baselines

    def baseline_shots(self, name: str) -> int | None:
        return {"zero_shot": 0, "few_shot": self.shots}.get(name)

    def baseline(self, name: str, rows: Sequence[LabelledQuestion]) -> LLM:
        from rest_react.tasks.completion.baselines import majority, tfidf

        known = {"majority": majority, "tfidf": tfidf}
        spelled = {label_key(label): label for label in self.labels or ()}
        named = [(row, spelled.get(label_key(row.answers[0]), row.answers[0])) for row in rows]
        return known[name]([replace(row, answers=(label,)) for row, label in named])

    def baseline_answers(self, name: str, questions: Sequence[LabelledQuestion]) -> bool:
        """Instructed items are not of the trained task: only the untuned policy answers them, as the tuned one does."""
        return name == "zero_shot" or not questions[0].question.id.startswith(INSTRUCTED)

    def label_names(self) -> tuple[str, ...]:
        return (self.labels or ()) if self.grade == "label" else ()

    def shown(self, text: str) -> str:
        return task.render_state(text)

    def demonstrable(self, rows: Sequence[LabelledQuestion], passages: Sequence[Passage] | None) -> Items:
        return Items(tuple(rows), (), (), {row.question.text: escape_control_tokens(row.answers[0]) for row in rows})

    def scripted(self, items: BuiltInItems, *, seed: int, slip: float, **shares: float) -> LLM:
        from rest_react.tasks.completion.scripted import ScriptedCompletion

        assert isinstance(items, Items)
        return ScriptedCompletion(items.plans, self.labels or ("",), **shares)


def _refuse_unknown(golds: Sequence[str], labels: Sequence[str]) -> None:
    """Raises ConfigError if a row has a label that is not among the given ones: it could not be learnt from."""
    known = set(map(label_key, labels))
    if missing := sorted({gold for gold in golds if label_key(gold) not in known}):
        rows = sum(label_key(gold) not in known for gold in golds)
        named = ", ".join(map(repr, missing[:5]))
        told = (
            f"task.labels: {rows} of {len(golds)} rows of demonstrations.questions have other labels ({named}); add "
            "them, remove the rows, or set task.labels=null"
        )
        raise ConfigError([told])


def _refuse_one_label(golds: Sequence[str]) -> None:
    """Raises ConfigError if all rows have the same label, from which TF-IDF cannot learn to tell labels apart."""
    if len(set(map(label_key, golds))) == 1:
        told = (
            f"task.baselines: tfidf needs two labels, but all {len(golds)} rows of demonstrations.questions have "
            f"{golds[0]!r}; set demonstrations.questions.draw=stratified or a larger n, or remove tfidf"
        )
        raise ConfigError([told])
