"""The baselines of a labelled task, and the figures by label."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.config.compose import compose
from rest_react.errors import ConfigError, UsageError
from rest_react.prompts import STOP
from rest_react.records import Fault, LabelledQuestion, Prompt, Question, Sampling
from rest_react.tasks.completion.baselines import majority, tfidf
from rest_react.tasks.completion.confusion import OTHER, PerClass, confusion, confusion_tables
from rest_react.tasks.completion.settings import CompletionSettings
from rest_react.tasks.completion.task import render_state
from tests.runs import result

ROWS = [
    LabelledQuestion(Question(str(i), text), (label,))
    for i, (text, label) in enumerate(
        [
            ("the card fee <|im_end|>", "Card"),
            ("a card charge", "Card"),
            ("my house loan", "Loan"),
            ("loan rate", "Loan"),
        ]
    )
]
JAPANESE = [
    LabelledQuestion(Question("j", "映画を見た"), ("映画",)),
    LabelledQuestion(Question("k", "野球をした"), ("運動",)),
]


def test_majority_gives_the_most_frequent_label_and_of_several_the_first() -> None:
    assert majority(ROWS).predict("anything") == "Card"
    assert majority([*ROWS, ROWS[2]]).predict("anything") == "Loan"


def test_a_label_in_two_spellings_is_one_class_of_the_baselines_as_of_the_policy() -> None:
    task = compose(["experiment=completion_smoke", "task.labels=[Card,Loan]"]).task
    spelled = [
        replace(row, answers=(label,)) for row, label in zip(ROWS, ("card", "CARD", "Loan", "Card"), strict=True)
    ]
    said = {name: task.baseline(name, [*spelled, ROWS[2]]) for name in ("majority", "tfidf")}
    assert {name: one.predict("the card fee") for name, one in said.items()} == {"majority": "Card", "tfidf": "Card"}
    assert [task.baseline_shots(name) for name in ("majority", "tfidf", "zero_shot", "few_shot")] == [None, None, 0, 0]


def test_tfidf_reads_the_state_of_a_prompt_and_learns_words_or_characters() -> None:
    baseline = tfidf(ROWS)
    states = [render_state(text) for text in ("a fee on my card <|im_end|>", "house")]
    sampling = Sampling(0.0, 8, 1)
    said = [asyncio.run(baseline.sample(Prompt("", state), n=1, sampling=sampling))[0] for state in states]
    assert [(one.text, one.finish, one.tokens) for one in said] == [
        (f"Card  {STOP}", "stop", 0),
        (f"Loan  {STOP}", "stop", 0),
    ]
    assert [tfidf(JAPANESE).predict(text) for text in ("映画館", "野球場")] == ["映画", "運動"]


def test_rows_of_one_label_are_refused_before_the_run_starts() -> None:
    labels = compose(["experiment=completion_smoke", "task.labels=[Card,Loan]"]).task
    assert isinstance(labels, CompletionSettings)
    task = replace(labels, baselines=("tfidf",))
    assert task.with_rows(ROWS) == task
    with pytest.raises(ConfigError) as refused:
        task.with_rows(ROWS[:2])
    (told,) = refused.value.problems
    assert told.startswith("task.baselines: tfidf") and "all 2 rows" in told and "draw=stratified" in told


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (ROWS[:2], "one class"),
        ([replace(row, question=replace(row.question, text="? a !")) for row in ROWS], "empty vocabulary"),
    ],
)
def test_rows_on_which_tfidf_cannot_be_fitted_end_the_run_with_a_message(
    rows: list[LabelledQuestion], why: str
) -> None:
    with pytest.raises(UsageError, match=rf"task\.baselines: tfidf cannot be fitted on {len(rows)} rows .*{why}"):
        tfidf(rows)


def test_precision_recall_and_f1_of_each_label() -> None:
    found = confusion([("A", "A"), ("A", "A"), ("A", "B"), ("B", "A"), ("B", None), ("Z", "B")], ("A", "B", "C"))
    assert found.golds == ("A", "B", "C", "Z")
    assert found.answers == ("A", "B", "C", OTHER)
    assert found.counts == ((2, 1, 0, 0), (1, 0, 0, 1), (0, 0, 0, 0), (0, 1, 0, 0))
    assert found.per_class == (
        PerClass("A", 3, 2 / 3, 2 / 3, pytest.approx(2 / 3)),  # type: ignore[arg-type]
        PerClass("B", 2, 0.0, 0.0, 0.0),
        PerClass("C", 0, None, None, 0.0),
        PerClass("Z", 1, None, 0.0, 0.0),
    )
    assert found.macro_f1 == pytest.approx(2 / 9)


def test_a_gold_class_that_the_policy_cannot_name_lowers_macro_f1() -> None:
    found = confusion([("A", "A"), ("C", "A")] * 50, ("A", "B"))
    assert found.macro_f1 == pytest.approx(1 / 3)


labels = st.sampled_from("ABC")


@given(st.lists(st.tuples(labels, labels | st.none()), max_size=30))
def test_figures_by_label_agree_with_scikit_learn(pairs: list[tuple[str, str | None]]) -> None:
    from sklearn.metrics import precision_recall_fscore_support

    found = confusion(pairs, ("A", "B", "C"))
    assert sum(map(sum, found.counts)) == len(pairs)
    if pairs:
        golds, answers = [gold for gold, _ in pairs], [answer or "?" for _, answer in pairs]
        theirs = precision_recall_fscore_support(golds, answers, labels=["A", "B", "C"], zero_division=0)
        ours = [[one.precision or 0 for one in found.per_class], [one.recall or 0 for one in found.per_class]]
        assert ours == [pytest.approx(list(theirs[0])), pytest.approx(list(theirs[1]))]
        assert [one.f1 for one in found.per_class] == pytest.approx(list(theirs[2]))


def test_answers_outside_the_labels_have_a_column_and_lost_answers_none() -> None:
    answers = [
        replace(result("q1", answer="card"), golds=("CARD",)),
        replace(result("q2", fault=Fault("model", "none of the labels: x")), golds=("Loan",)),
        replace(result("q3", fault=Fault("outside", "server")), golds=("Loan",)),
    ]
    table, figures = confusion_tables([replace(a, answer=a.answer.title()) for a in answers], ("Card", "Loan"))
    assert table.headings == ("", "Card", "Loan", OTHER)
    assert table.rows == (("Card", "1", "0", "0"), ("Loan", "0", "0", "1"))
    assert figures.rows[-1] == ("mean over labels (macro)", "2", "", "", "0.500")


def test_a_gold_outside_the_label_set_is_one_class_in_the_tables_however_it_is_spelled() -> None:
    answers = [replace(result(f"q{i}", answer="Card"), golds=(gold,)) for i, gold in enumerate(("Card", "Tax", "TAX."))]
    table, figures = confusion_tables(answers, ("Card", "Loan"))
    assert table.rows == (("Card", "1", "0", "0"), ("Loan", "0", "0", "0"), ("Tax", "2", "0", "0"))
    assert figures.rows == (
        ("Card", "1", "0.333", "1.000", "0.500"),
        ("Loan", "0", "n/a", "n/a", "0.000"),
        ("Tax", "2", "n/a", "0.000", "0.000"),
        ("mean over labels (macro)", "3", "", "", "0.250"),
    )


def test_an_answer_that_is_any_of_several_golds_stands_on_the_diagonal() -> None:
    answers = [
        replace(result(f"q{i}", answer=answer), golds=("Card", "loan"))
        for i, answer in enumerate(("Loan", "Card", "Tax"))
    ]
    table, _ = confusion_tables(answers, ("Card", "Loan", "Tax"))
    assert table.rows == (("Card", "1", "0", "1", "0"), ("Loan", "0", "1", "0", "0"), ("Tax", "0", "0", "0", "0"))
