import json
from pathlib import Path

import pytest

from rest_react.errors import ConfigError
from rest_react.judges.grader import rule_verdict
from rest_react.metrics.text_match import exact_match, f1
from rest_react.questions import read_questions
from rest_react.records import LabelledQuestion, Question
from tests.questions.sets import write_jsonl


def test_fields_map_to_other_column_names_and_into_objects(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "set.jsonl", {"qid": 7, "q": {"text": "Who?"}, "answer": {"aliases": ["A", "B"]}, "a.b": "C"}
    )
    fields = {"id": "qid", "question": "q.text", "answers": "answer.aliases", "explanation": "a.b"}
    assert read_questions(path, fields) == [
        LabelledQuestion(question=Question(id="7", text="Who?"), answers=("A", "B"), explanation="C")
    ]


def test_booleans_are_yes_and_no_and_repetitions_count_once(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", {"id": "a", "question": "Is it?", "answers": [True, "yes", " ", None]})
    assert read_questions(path)[0].answers == ("yes",)


def test_a_variant_in_brackets_is_a_gold_answer_and_other_brackets_stay(tmp_path: Path) -> None:
    """The form of BamTwoogle's CSV."""
    answers = {
        "Detroit Red Wings (or Red Wings)": ("Detroit Red Wings", "Red Wings"),
        "Waka Kotahi NZ Transport Agency (NZTA)": ("Waka Kotahi NZ Transport Agency (NZTA)",),
        "Lake (or Loch) Ness": ("Lake (or Loch) Ness",),
        "Ada (organist)": ("Ada (organist)",),
        "(or nobody)": ("(or nobody)",),
    }
    path = tmp_path / "set.csv"
    path.write_text("question,answer\n" + "".join(f"Who is {i}?,{a}\n" for i, a in enumerate(answers)))
    assert [item.answers for item in read_questions(path)] == list(answers.values())


def test_both_variants_of_an_answer_are_right_and_score_in_full(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "set.jsonl", {"question": "Who won?", "answers": ["Detroit Red Wings (or Red Wings)"]}
    )
    (labelled,) = read_questions(path)
    for answer in ("Detroit Red Wings", "Red Wings"):
        verdict = rule_verdict(labelled, f"The {answer} [link_id=1].").verdict
        assert (verdict, exact_match(answer, labelled.answers), f1(answer, labelled.answers)) == ("correct", 1.0, 1.0)


def test_a_missing_id_depends_only_on_the_question(tmp_path: Path) -> None:
    rows = [{"question": "Who?", "answer": "A"}, {"question": "Where?", "answer": "B"}]
    forward = read_questions(write_jsonl(tmp_path / "a.jsonl", *rows))
    backward = read_questions(write_jsonl(tmp_path / "b.jsonl", *reversed(rows)))
    assert forward == backward[::-1]
    assert forward[0].question == Question(id="qd991a24e8e04", text="Who?")


def test_one_error_reports_all_bad_rows_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    lines = [
        b'{"id": "a", "question": "Who?", "answer": "x"}',
        b"",
        b'{"id": "b", "question": ',
        b"[1]",
        b'{"id": "c", "question": "  ", "answer": "x"}',
        b'{"id": "d", "question": "Who?"}',
        b'{"id": "a", "question": "Where?", "answer": "x"}',
        b'{"id": "e", "question": "Who?", "answer": "x", "hops": "two"}',
        b'{"id": "f", "question": ["Who?"], "answer": "x"}',
        b'{"id": "g", "question": "\\ud800", "answer": "x"}',
        b'{"id": "h", "question": "\xff", "answer": "x"}',
        b"[" * 100_000,
        b'{"id": "i", "question": "Who?", "answer": "x", "hops": "2-hop"}',
    ]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ConfigError) as refused:
        read_questions(path)
    problems = [problem.removeprefix(f"{path}:") for problem in refused.value.problems]
    assert sorted(int(problem.partition(":")[0]) for problem in problems) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    by_line = {int(problem.partition(":")[0]): problem for problem in problems}
    assert "'question' is missing" in by_line[5]
    assert "no answer in 'answers or answer'" in by_line[6]
    assert "id 'a'" in by_line[7] and f"{path}:1" in by_line[7]
    assert "'hops' is 'two'" in by_line[8]
    assert "'question' is a list" in by_line[9]


def test_a_repeated_question_without_ids_is_refused(tmp_path: Path) -> None:
    row = {"question": "Who?", "answer": "A"}
    with pytest.raises(ConfigError, match="ids must be unique"):
        read_questions(write_jsonl(tmp_path / "set.jsonl", row, row))


def test_a_wrong_column_name_is_one_problem_that_lists_the_columns(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", *[{"id": i, "prompt": "Who?", "answer": "A"} for i in range(500)])
    with pytest.raises(ConfigError) as refused:
        read_questions(path, {"kind": "type"})
    kind, question = refused.value.problems
    assert kind.startswith("fields.kind: ") and "'type'" in kind and kind.endswith(": id, prompt, answer")
    assert question.startswith("fields.question: ") and question.endswith(": id, prompt, answer")


def test_an_unknown_field_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fields\.questoin: .*did you mean question\?"):
        read_questions(
            write_jsonl(tmp_path / "set.jsonl", {"question": "Who?", "answer": "x"}), {"questoin": "question"}
        )


def test_questions_for_grow_need_no_answers(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", {"id": "a", "question": "Why is the sky blue?"})
    assert read_questions(path, labelled=False) == [
        LabelledQuestion(question=Question(id="a", text="Why is the sky blue?"), answers=())
    ]
    with pytest.raises(ConfigError, match=r"fields\.answers"):
        read_questions(path)


def test_answers_of_several_columns_are_joined(tmp_path: Path) -> None:
    row = {"question": "Who?", "answer": "Ada", "answer_aliases": ["A. Mell", "Ada"], "more": {"text": "Mell"}}
    path = write_jsonl(tmp_path / "set.jsonl", row, {"question": "When?", "answer": "1931", "answer_aliases": []})
    questions = read_questions(path, {"answers": "answer + answer_aliases + more.text"})
    assert [item.answers for item in questions] == [("Ada", "A. Mell", "Mell"), ("1931",)]


def test_columns_of_another_field_are_not_joined_and_not_left_out_silently(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", {"title": "Why?", "body": "At noon.", "answer": "x"})
    with pytest.raises(ConfigError, match=r"fields\.question: only answers may join columns"):
        read_questions(path, {"question": "title + body"})


def test_a_repeated_question_is_used_once_by_grow_and_refused_in_a_benchmark(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", *[{"question": "Why is the sky blue?", "answer": a} for a in "xy"])
    assert len(read_questions(path, labelled=False)) == 1
    with pytest.raises(ConfigError, match="ids must be unique"):
        read_questions(path)


@pytest.mark.parametrize(
    ("row", "golds"),
    [
        ({"answers": {"text": ["Paris", "the city of Paris"], "answer_start": [3, 9]}}, ("Paris", "the city of Paris")),
        (
            {"answer": {"value": "Ada", "type": "WikipediaEntity", "aliases": ["A. Mell", "Ada"], "matched": ""}},
            ("Ada", "A. Mell"),
        ),
        ({"answer": {"Value": "Ada", "Aliases": ["A. Mell"], "NormalizedAliases": ["a mell"]}}, ("Ada", "A. Mell")),
        ({"answers": [{"answer": "Paris"}, {"answer": "Lyon"}]}, ("Paris", "Lyon")),
        ({"answers": [{"text": ["Paris", "Lyon"]}, {"text": []}]}, ("Paris", "Lyon")),
        ({"answers": "['Paris', 'Lyon']"}, ("Paris", "Lyon")),
        ({"answers": "['Paris' 'Lyon']"}, ("Paris", "Lyon")),
        ({"answers": '["Paris", "Lyon"]'}, ("Paris", "Lyon")),
        ({"answers": ["['Paris', 'Lyon']"]}, ("Paris", "Lyon")),
        ({"answers": "{'text': array(['Paris'], dtype=object), 'answer_start': array([1])}"}, ("Paris",)),
        ({"answers": [float("nan"), "Paris", None, ""]}, ("Paris",)),
        ({"answers": ["[REC]"]}, ("[REC]",)),
        ({"answer": 1998.0}, ("1998",)),
        ({"answer": 1.5}, ("1.5",)),
        ({"answer": False}, ("no",)),
    ],
)
def test_gold_answers_are_read_from_every_usual_structure(
    row: dict[str, object], golds: tuple[str, ...], tmp_path: Path
) -> None:
    (read,) = read_questions(write_jsonl(tmp_path / "set.jsonl", {"question": "Who?", **row}))
    assert read.answers == golds


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"answers": "[Paris, Lyon]"}, "'answers' is '[Paris, Lyon]', which looks like a list"),
        ({"answers": "['a' 'b' ... 'z']"}, "looks like a list"),
        ({"answers": "(list (description Ada))"}, "looks like a list"),
        ({"answers": [{"label": "Paris", "qid": 9}]}, "'answers' is an object with the keys label, qid"),
        ({"answers": float("inf")}, "'answers' is inf"),
        ({"answers": []}, "no answer in 'answers or answer'"),
    ],
)  # fmt: skip
def test_ambiguous_answers_are_refused_with_their_line(row: dict[str, object], message: str, tmp_path: Path) -> None:
    good = {"question": "When?", "answer": "1931"}
    with pytest.raises(ConfigError) as refused:
        read_questions(write_jsonl(tmp_path / "set.jsonl", good, {"question": "Who?", **row}))
    (problem,) = refused.value.problems
    assert problem.startswith(f"{tmp_path}/set.jsonl:2: ") and message in problem


def test_a_path_reaches_into_lists_of_objects_and_into_literals(tmp_path: Path) -> None:
    rows = [
        {"question": "1?", "a": [{"label": "Ada"}, {"label": "Bo"}, {}]},
        {"question": "2?", "a": "[{'label': 'Ada'}]"},
        {"question": "3?", "a": {"label": ["Ada"]}},
    ]
    read = read_questions(write_jsonl(tmp_path / "set.jsonl", *rows), {"answers": "a.label"})
    assert [one.answers for one in read] == [("Ada", "Bo"), ("Ada",), ("Ada",)]


def test_one_number_as_int_float_or_text_is_one_id(tmp_path: Path) -> None:
    rows = [{"id": id_, "question": f"Q{i}?", "answer": "x"} for i, id_ in enumerate([7, "7", 7.0, 8])]
    path = write_jsonl(tmp_path / "set.jsonl", *rows)
    with pytest.raises(ConfigError) as refused:
        read_questions(path)
    assert [problem.partition(": id '7'")[0] for problem in refused.value.problems] == [f"{path}:2", f"{path}:3"]


def test_a_kind_may_be_the_number_0(tmp_path: Path) -> None:
    rows = [{"id": str(kind), "question": f"Q{kind}?", "answer": "x", "kind": kind} for kind in (0, 1, None)]
    assert [one.kind for one in read_questions(write_jsonl(tmp_path / "set.jsonl", *rows))] == ["0", "1", ""]


def test_the_hotpotqa_file_is_read_without_column_names(tmp_path: Path) -> None:
    row = {"_id": "5a8b", "answer": "yes", "question": "Are both towns?", "supporting_facts": [["A", 0]], "type": "x"}
    (tmp_path / "hotpot.json").write_text(json.dumps([row | {"context": [["A", ["A is a town."]]]}]))
    assert read_questions(tmp_path / "hotpot.json", {"kind": "type"}) == [
        LabelledQuestion(Question("5a8b", "Are both towns?"), ("yes",), kind="x")
    ]


def test_unused_columns_that_may_hold_answers_are_named_in_a_note(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    row = {
        "question": "Who?", "answer": "Ada", "answer_aliases": ["A. Mell"], "gold": "Ada", "answerable": True,
        "answer_type": "person", "answer_in_corpus": None, "aliases": [],
    }  # fmt: skip
    path = write_jsonl(tmp_path / "set.jsonl", row)
    read_questions(path)
    note = capfd.readouterr().err
    assert note.startswith(f"note: {path}: answer_aliases and gold ")
    assert "fields.answers: 'answer + answer_aliases + gold'" in note
    read_questions(path, {"answers": "answer + answer_aliases + gold"})
    read_questions(path, labelled=False)
    assert capfd.readouterr().err == ""


def test_a_note_counts_the_rows_that_repeat_a_question(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", *[{"question": "Why?"}] * 3)
    assert len(read_questions(path, labelled=False)) == 1
    assert f"note: {path}: 2 rows repeat a question" in capfd.readouterr().err


def test_grow_reads_a_question_with_unreadable_answers(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", {"question": "Why?", "answer": "[deleted]"})
    assert [(one.question.text, one.answers) for one in read_questions(path, labelled=False)] == [("Why?", ())]
