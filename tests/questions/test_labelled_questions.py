import json
from pathlib import Path

import pytest

from rest_react.errors import ConfigError
from rest_react.judges.grader import rule_verdict
from rest_react.metrics.text_match import exact_match, f1
from rest_react.questions import read_questions
from rest_react.records import LabelledQuestion, Question
from tests.questions.sets import write_jsonl


def test_fields_reach_columns_of_other_names_and_nested_ones(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "set.jsonl", {"qid": 7, "q": {"text": "Who?"}, "answer": {"aliases": ["A", "B"]}, "a.b": "C"}
    )
    fields = {"id": "qid", "question": "q.text", "answers": "answer.aliases", "explanation": "a.b"}
    assert read_questions(path, fields) == [
        LabelledQuestion(question=Question(id="7", text="Who?"), answers=("A", "B"), explanation="C")
    ]


def test_yes_and_no_may_be_given_as_booleans_and_repeats_are_one(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", {"id": "a", "question": "Is it?", "answers": [True, "yes", " ", None]})
    assert read_questions(path)[0].answers == ("yes",)


def test_a_variant_in_brackets_is_a_gold_answer_and_other_brackets_are_left_alone(tmp_path: Path) -> None:
    """As BamTwoogle's CSV has them."""
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
    for said in ("Detroit Red Wings", "Red Wings"):
        verdict = rule_verdict(labelled, f"The {said} [link_id=1].").verdict
        assert (verdict, exact_match(said, labelled.answers), f1(said, labelled.answers)) == ("correct", 1.0, 1.0)


def test_a_missing_id_is_made_from_the_text_alone(tmp_path: Path) -> None:
    rows = [{"question": "Who?", "answer": "A"}, {"question": "Where?", "answer": "B"}]
    forward = read_questions(write_jsonl(tmp_path / "a.jsonl", *rows))
    backward = read_questions(write_jsonl(tmp_path / "b.jsonl", *reversed(rows)))
    assert forward == backward[::-1]
    assert forward[0].question == Question(id="qd991a24e8e04", text="Who?")


def test_all_bad_rows_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
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
    with pytest.raises(ConfigError) as told:
        read_questions(path)
    problems = [problem.removeprefix(f"{path}:") for problem in told.value.problems]
    assert sorted(int(problem.partition(":")[0]) for problem in problems) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert "5: nothing under 'question'" in problems
    assert "6: no answer under 'answers or answer'" in problems
    assert f"7: id 'a' is already that of {path}:1; ids must be unique" in problems
    assert "8: 'hops' holds 'two', no count" in problems
    assert "9: 'question' holds a list, no text" in problems


def test_the_same_question_twice_without_ids_is_refused(tmp_path: Path) -> None:
    row = {"question": "Who?", "answer": "A"}
    with pytest.raises(ConfigError, match="already that of"):
        read_questions(write_jsonl(tmp_path / "set.jsonl", row, row))


def test_a_wrong_column_name_is_one_problem_that_lists_the_columns(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", *[{"id": i, "prompt": "Who?", "answer": "A"} for i in range(500)])
    with pytest.raises(ConfigError) as told:
        read_questions(path, {"kind": "type"})
    way_out = "in any row; set it to the right one of its columns: id, prompt, answer"
    assert told.value.problems == (
        f"fields.kind: {path} has nothing under 'type' {way_out}",
        f"fields.question: {path} has nothing under 'question' {way_out}",
    )


def test_an_unknown_field_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fields\.questoin: no field of a question; did you mean question\?"):
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
    told = read_questions(path, {"answers": "answer + answer_aliases + more.text"})
    assert [item.answers for item in told] == [("Ada", "A. Mell", "Mell"), ("1931",)]


def test_a_question_asked_twice_is_grown_on_once_and_a_broken_benchmark(tmp_path: Path) -> None:
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
def test_gold_answers_are_the_members_of_whatever_holds_them(
    row: dict[str, object], golds: tuple[str, ...], tmp_path: Path
) -> None:
    (read,) = read_questions(write_jsonl(tmp_path / "set.jsonl", {"question": "Who?", **row}))
    assert read.answers == golds


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"answers": "[Paris, Lyon]"}, "'answers' holds '[Paris, Lyon]', which looks like a list and cannot"),
        ({"answers": "['a' 'b' ... 'z']"}, "which looks like a list and cannot be read as one"),
        ({"answers": "(list (description Ada))"}, "which looks like a list and cannot be read as one"),
        ({"answers": [{"label": "Paris", "qid": 9}]}, "'answers' holds an object of label, qid; name the one to read"),
        ({"answers": float("inf")}, "'answers' holds inf, no text"),
        ({"answers": []}, "no answer under 'answers or answer'"),
    ],
)  # fmt: skip
def test_answers_that_cannot_be_told_are_refused_by_their_line(
    row: dict[str, object], told: str, tmp_path: Path
) -> None:
    good = {"question": "When?", "answer": "1931"}
    with pytest.raises(ConfigError) as refused:
        read_questions(write_jsonl(tmp_path / "set.jsonl", good, {"question": "Who?", **row}))
    (problem,) = refused.value.problems
    assert problem.startswith(f"{tmp_path}/set.jsonl:2: ") and told in problem


def test_a_path_reaches_into_lists_of_objects_and_into_text(tmp_path: Path) -> None:
    rows = [
        {"question": "1?", "a": [{"label": "Ada"}, {"label": "Bo"}, {}]},
        {"question": "2?", "a": "[{'label': 'Ada'}]"},
        {"question": "3?", "a": {"label": ["Ada"]}},
    ]
    read = read_questions(write_jsonl(tmp_path / "set.jsonl", *rows), {"answers": "a.label"})
    assert [one.answers for one in read] == [("Ada", "Bo"), ("Ada",), ("Ada",)]


def test_numbers_are_ids_and_the_same_number_in_another_spelling_is_the_same_id(tmp_path: Path) -> None:
    rows = [{"id": spelt, "question": f"Q{i}?", "answer": "x"} for i, spelt in enumerate([7, "7", 7.0, 8])]
    path = write_jsonl(tmp_path / "set.jsonl", *rows)
    with pytest.raises(ConfigError) as refused:
        read_questions(path)
    assert refused.value.problems == tuple(
        f"{path}:{line}: id '7' is already that of {path}:1; ids must be unique" for line in (2, 3)
    )


def test_hotpotqas_own_file_is_read_without_naming_its_columns(tmp_path: Path) -> None:
    row = {"_id": "5a8b", "answer": "yes", "question": "Are both towns?", "supporting_facts": [["A", 0]], "type": "x"}
    (tmp_path / "hotpot.json").write_text(json.dumps([row | {"context": [["A", ["A is a town."]]]}]))
    assert read_questions(tmp_path / "hotpot.json", {"kind": "type"}) == [
        LabelledQuestion(Question("5a8b", "Are both towns?"), ("yes",), kind="x")
    ]


def test_columns_that_may_hold_answers_and_are_not_used_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    row = {
        "question": "Who?", "answer": "Ada", "answer_aliases": ["A. Mell"], "gold": "Ada", "answerable": True,
        "answer_type": "person", "answer_in_corpus": None, "aliases": [],
    }  # fmt: skip
    path = write_jsonl(tmp_path / "set.jsonl", row)
    read_questions(path)
    told = "answer_aliases and gold may hold gold answers and are not used"
    assert (
        f"note: {path}: {told}; to use them, set fields.answers: 'answer + answer_aliases + gold'"
        in capfd.readouterr().err
    )
    read_questions(path, {"answers": "answer + answer_aliases + gold"})
    read_questions(path, labelled=False)
    assert capfd.readouterr().err == ""


def test_rows_that_repeat_a_question_are_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", *[{"question": "Why?"}] * 3)
    assert len(read_questions(path, labelled=False)) == 1
    assert f"note: {path}: 2 rows repeat a question; each question is used once" in capfd.readouterr().err


def test_grow_reads_a_question_whatever_its_answers_are(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", {"question": "Why?", "answer": "[deleted]"})
    assert [(one.question.text, one.answers) for one in read_questions(path, labelled=False)] == [("Why?", ())]
