"""Items: one text and its gold answer, from every form of file."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ConfigError
from rest_react.questions.item_draws import draw_items, unbalanced
from rest_react.questions.item_files import ItemQuestions, read_items
from rest_react.questions.question_settings import QuestionContext
from rest_react.records import LabelledQuestion, Question
from tests.questions.sets import write_jsonl

ITEMS = [
    LabelledQuestion(Question("a", "The card\nwas charged twice."), ("Credit card",)),
    LabelledQuestion(Question("b", "The loan, long paid."), ("Mortgage",)),
]
ROWS = [{"id": i.question.id, "text": i.question.text, "label": i.answers[0]} for i in ITEMS]
WORLD = QuestionContext(lambda: pytest.fail("no world"), 0, lambda _: ())


def source(path: Path, **other: Any) -> ItemQuestions:
    known: dict[str, Any] = {"fields": {}, "split": None, "skip": 0, "n": None, "draw": "first", "seed": 0}
    known |= {"instructed": False}
    return ItemQuestions("items", str(path), **(known | other))


def as_csv(path: Path) -> Path:
    quoted = "".join(f'{r["id"]},"{r["text"]}",{r["label"]}\n' for r in ROWS)
    path.with_suffix(".csv").write_text(f"id,text,label\n{quoted}")
    return path.with_suffix(".csv")


def as_parquet(path: Path) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def as_alpaca(path: Path) -> Path:
    rows = [{"id": r["id"], "instruction": r["text"], "input": "", "output": r["label"]} for r in ROWS]
    path.with_suffix(".json").write_text(json.dumps(rows))
    return path.with_suffix(".json")


def as_messages(path: Path) -> Path:
    parts = [{"type": "text", "text": ROWS[0]["text"]}]
    turns = [[{"role": "user", "content": parts}], [{"role": "user", "content": ROWS[1]["text"]}]]
    answers = [{"role": "assistant", "content": r["label"]} for r in ROWS]
    rows = [{"id": r["id"], "messages": [*t, a]} for r, t, a in zip(ROWS, turns, answers, strict=True)]
    return write_jsonl(path.with_suffix(".jsonl"), *rows)


@pytest.mark.parametrize("write", [as_csv, as_parquet, as_alpaca, as_messages])
def test_every_form_of_file_gives_the_same_items(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path / "items")
    assert read_items(path) == ITEMS
    assert [i.answers for i in read_items(path, labelled=False)] == [(), ()]


OTHER_NAMES = {"id": "number", "text": "narrative", "label": "product"}


def renamed_csv(path: Path) -> tuple[Path, dict[str, str]]:
    written = as_csv(path)
    written.write_text(written.read_text().replace("id,text,label", "number,narrative,product", 1))
    return written, OTHER_NAMES


def renamed_parquet(path: Path) -> tuple[Path, dict[str, str]]:
    rows = [{OTHER_NAMES[name]: content for name, content in row.items()} for row in ROWS]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet"), OTHER_NAMES


def renamed_alpaca(path: Path) -> tuple[Path, dict[str, str]]:
    names = {"id": "number", "instruction": "task", "input": "context", "output": "response"}
    rows = [{"number": r["id"], "task": r["text"], "context": "", "response": r["label"]} for r in ROWS]
    path.with_suffix(".json").write_text(json.dumps(rows))
    return path.with_suffix(".json"), names


@pytest.mark.parametrize("write", [renamed_csv, renamed_parquet, renamed_alpaca])
def test_columns_of_other_names_are_read_by_the_map_of_fields(
    write: Callable[[Path], tuple[Path, dict[str, str]]], tmp_path: Path
) -> None:
    path, fields = write(tmp_path / "items")
    assert read_items(path, fields) == ITEMS
    with pytest.raises(ConfigError, match=r"missing or empty"):
        read_items(path)


@pytest.mark.parametrize("write", [as_csv, as_parquet, as_alpaca, as_messages])
def test_the_file_of_a_split_in_a_folder_may_have_any_form(write: Callable[[Path], Path], tmp_path: Path) -> None:
    write(tmp_path / "train")
    assert source(tmp_path, split="train").open(WORLD, labelled=True).labelled == ITEMS


def test_a_column_that_is_named_as_the_text_is_the_text_also_beside_an_instruction(tmp_path: Path) -> None:
    row = {
        "instruction": "Classify.",
        "input": "A lamp.",
        "output": "Light",
        "body": "The lamp is late.",
        "label": "Post",
    }
    (item,) = read_items(write_jsonl(tmp_path / "x.jsonl", row), {"text": "body"})
    assert (item.question.text, item.answers) == ("The lamp is late.", ("Post",))
    del row["label"]  # the output, such as a model's, is no label of a text unless `fields` says so
    unlabelled = write_jsonl(tmp_path / "y.jsonl", row)
    with pytest.raises(ConfigError, match="'label' is missing or empty"):
        read_items(unlabelled, {"text": "body"})
    (item,) = read_items(unlabelled, {"text": "instruction + input", "label": "output"})
    assert (item.question.text, item.answers) == ("Classify.\n\nA lamp.", ("Light",))


def test_an_instruction_has_its_input_below_and_turns_of_a_conversation_have_their_roles(tmp_path: Path) -> None:
    talk = [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Which class?"),
        ("assistant", "A"),
    ]
    path = write_jsonl(
        tmp_path / "x.jsonl",
        {"instruction": "Classify.", "input": "A lamp.", "output": "Light"},
        {"messages": [{"role": role, "content": text} for role, text in talk]},
    )
    assert [(i.question.text, i.answers) for i in read_items(path)] == [
        ("Classify.\n\nA lamp.", ("Light",)),
        ("Be brief.\n\nuser: Hi\n\nassistant: Hello\n\nuser: Which class?", ("A",)),
    ]


def test_all_bad_rows_are_told_with_their_lines(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "Hello"}
    path = write_jsonl(
        tmp_path / "x.jsonl",
        {"body": "One.", "label": "A"},
        {"body": "One.", "label": "B"},
        {"body": "Two."},
        {"label": "A"},
        {"messages": [{"role": "user", "content": "Hm"}]},
        {"messages": "none"},
        {"id": "instructed:x", "body": "Three.", "label": "A"},
        *(
            {"messages": [{"role": "user", "content": [{"type": "text", "text": part}]}, said]}
            for part in (None, {"a": 1})
        ),
    )
    with pytest.raises(ConfigError) as error:
        read_items(path, {"text": "title + body", "lable": "x"})
    assert [problem.removeprefix(f"{path}:")[:60] for problem in error.value.problems] == [
        "fields.lable: known are id, text, label, split, instruction,",
        "2: the text has the label 'B' here and 'A' above; keep one",
        "3: 'label' is missing or empty",
        "4: 'title + body' is missing or empty",
        "5: 'messages' does not end with a turn of the assistant, whi",
        "6: 'messages' must be a list of objects with role and conten",
        "7: the id 'instructed:x' begins with 'instructed:', which ha",
        "8: 'messages' has content that is not text",
        "9: 'messages' has content that is not text",
    ]


def test_a_split_is_a_column_or_a_file_of_the_folder(tmp_path: Path) -> None:
    rows = [
        {"id": str(i), "text": f"Text {i}.", "label": "AB"[i % 2], "part": "dev" if i > 3 else "train"}
        for i in range(6)
    ]
    path = write_jsonl(tmp_path / "all.jsonl", *rows)
    write_jsonl(tmp_path / "folder" / "dev.jsonl", *rows[4:])

    of_column = source(path, split="dev", fields={"split": "part"})
    of_folder = source(tmp_path / "folder", split="dev")
    for one in (of_column, of_folder):
        assert [i.question.id for i in one.open(WORLD, labelled=True).labelled] == ["4", "5"]
        assert one.size({}) == 2
    with pytest.raises(ConfigError) as refused:
        source(tmp_path / "folder", split="dev", n=9).open(WORLD, labelled=True)
    assert refused.value.problems == (
        f"{tmp_path}/folder/dev.jsonl: has 2 rows, but skip=0 and n=9 need 9; set n of the question set to 2 or less",
    )
    assert list(source(tmp_path / "folder", split="test").files()) == [("path", str(tmp_path / "folder/test.jsonl"))]


def test_skip_and_n_divide_one_draw_and_too_few_rows_are_refused(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": f"Text {i}.", "label": "A" if i < 8 else "B"} for i in range(10)]
    path = write_jsonl(tmp_path / "x.jsonl", *rows)
    taught, grown = source(path, n=4, draw="random"), source(path, skip=4, draw="random")
    ids = [i.question.id for one in (taught, grown) for i in one.open(WORLD, labelled=one is taught).labelled]
    assert sorted(ids) == [row["id"] for row in rows]
    for told, too_few in (
        ("has 10 rows, but skip=4 and n=7 need 11; set n of the question set to 6 or less", source(path, skip=4, n=7)),
        ("has 10 rows, of which skip=10 leaves none; lower skip of the question set", source(path, skip=10)),
        ("has 10 rows, of which skip=12 leaves none; lower skip of the question set", source(path, skip=12, n=1)),
        (
            "has 2 rows of the split 'B', but skip=0 and n=3 need 3; set n of the question set to 2 or less",
            source(path, split="B", fields={"split": "label"}, n=3),
        ),
    ):
        with pytest.raises(ConfigError) as refused:
            too_few.open(WORLD, labelled=True)
        assert refused.value.problems == (f"{path}: {told}",)
    with pytest.raises(ConfigError, match="draw=stratified uses the labels of unlabelled rows"):
        source(path, draw="stratified").open(WORLD, labelled=False)


def test_rows_that_the_policy_has_learnt_are_left_out_before_n_are_taken(tmp_path: Path, capsys) -> None:
    rows = [{"id": str(i), "text": f"Text {i}.", "label": "AB"[i % 2]} for i in range(10)]
    path = write_jsonl(tmp_path / "x.jsonl", *rows)
    learning = replace(WORLD, learnt=frozenset({"Text 1.", "Text 4.", "Text 5.", "Text 9."}))
    drawn = source(path, skip=2, n=4).open(learning, labelled=False).labelled
    assert drawn == [LabelledQuestion(Question(str(i), f"Text {i}."), ()) for i in (2, 3, 6, 7)]
    assert "2 rows are left out of Grow" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(ConfigError) as refused:
        source(path, skip=2, n=6).open(learning, labelled=False)
    (problem,) = refused.value.problems
    assert problem == (
        f"{path}: 3 of its 8 rows are rows of demonstrations.questions, whose labels the policy learns or is shown, "
        "which leaves 5 for n=6; lower that n, its skip or demonstrations.questions.n, or set iteration=0"
    )


@given(st.lists(st.sampled_from("ABC"), min_size=1, max_size=30), st.integers(0, 5), st.data())
def test_a_stratified_draw_is_balanced_until_a_label_runs_out(
    labels: list[str], seed: int, data: st.DataObject
) -> None:
    items = [LabelledQuestion(Question(f"q{i}", f"t{i}"), (label,)) for i, label in enumerate(labels)]
    drawn = draw_items(items, "stratified", seed)
    assert sorted(i.question.id for i in drawn) == sorted(i.question.id for i in items)
    assert drawn == draw_items(data.draw(st.permutations(items)), "stratified", seed)
    rounds = min(Counter(labels).values()) * len(set(labels))
    assert set(Counter(i.answers[0] for i in drawn[:rounds]).values()) == {min(Counter(labels).values())}


def test_an_unbalanced_draw_is_described_unless_its_answers_are_texts() -> None:
    def items(*answers: str) -> list[LabelledQuestion]:
        return [LabelledQuestion(Question(str(i), str(i)), (answer,)) for i, answer in enumerate(answers)]

    assert unbalanced(items("A", "A", "A", "B")) == "A: 3, B: 1"
    assert unbalanced(items("A", "A", "B", "B", "B")) == ""
    assert unbalanced(items("A", "A", "A", "B", "C", "D")) == ""
