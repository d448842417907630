import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.errors import ConfigError
from rest_react.questions import read_questions
from rest_react.questions.file_formats import read_rows
from tests.questions.sets import SET, write_jsonl


def as_jsonl(folder: Path) -> Path:
    return write_jsonl(
        folder / "set.jsonl",
        {
            "id": "q1",
            "question": "Who wrote Middlemarch?",
            "answers": ["George Eliot", "Mary Ann Evans"],
            "kind": "bridge",
            "hops": 2,
            "passages": ["p1", "p2"],
            "more": {"is": "let be"},
        },
        {"id": "q2", "question": " Is the Nile longer, or the Rhine?\n", "answer": "Nile"},
    )


def as_csv(folder: Path) -> Path:
    path = folder / "set.csv"
    path.write_text(
        "\ufeffid,question,answers,kind,hops,passages\r\n"
        'q1,Who wrote Middlemarch?,"[""George Eliot"", ""Mary Ann Evans""]",bridge,2,"[""p1"", ""p2""]"\r\n'
        'q2,"Is the Nile longer, or the Rhine?",Nile,,,\r\n',
        encoding="utf-8",
    )
    return path


def as_parquet(folder: Path) -> Path:
    import pyarrow
    import pyarrow.parquet

    rows: list[dict[str, Any]] = [
        {
            "id": "q1",
            "question": "Who wrote Middlemarch?",
            "answers": ["George Eliot", "Mary Ann Evans"],
            "kind": "bridge",
            "hops": 2.0,
            "passages": ["p1", "p2"],
        },
        {
            "id": "q2",
            "question": "Is the Nile longer, or the Rhine?",
            "answers": ["Nile"],
            "kind": None,
            "hops": float("nan"),
            "passages": None,
        },
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "set.parquet")
    return folder / "set.parquet"


@pytest.mark.parametrize("write", [as_jsonl, as_csv, as_parquet])
def test_jsonl_csv_and_parquet_give_the_same_questions(write: Callable[[Path], Path], tmp_path: Path) -> None:
    assert read_questions(write(tmp_path)) == SET


def test_a_thousand_bad_rows_give_at_most_a_hundred_messages(tmp_path: Path) -> None:
    rows = [{"id": 1, "question": "Who?", "answer": "A"}] * 1001
    with pytest.raises(ConfigError) as refused:
        read_questions(write_jsonl(tmp_path / "set.jsonl", *rows))
    assert (len(refused.value.problems), refused.value.problems[-1]) == (101, "... and 900 more")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("set.jsonl", b"", "no rows"),
        ("set.csv", b"id,question\n", "no rows"),
        ("set.csv", b"id,question,answer\na,Who, what?,x\n", "set.csv:2: .* more cells"),
        ("set.csv", b'id,question,answer\na,"Who?,x\n', "set.csv:3: invalid CSV"),
        ("set.csv", b"id,question,answer\na,\xff,x\n", "set.csv:2: .*not UTF-8"),
        ("set.parquet", b"PAR1 not really", "not a Parquet file"),
        ("set.txt", b"", ".txt is not supported; use .json, .jsonl, .csv"),
    ],
)
def test_an_unreadable_file_is_a_config_error(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_questions(tmp_path / name)


def test_a_missing_file_and_a_folder_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; check the path"):
        read_questions(tmp_path / "none.jsonl")
    (tmp_path / "set.jsonl").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        read_questions(tmp_path / "set.jsonl")


def test_a_csv_text_may_start_with_a_bracket(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("id,question,answer\na,[sic] who?,x\n")
    assert read_questions(tmp_path / "set.csv")[0].question.text == "[sic] who?"


def read(path: Path) -> list[tuple[str, Any]]:
    """The rows with their places, below the file's name."""
    problems: list[str] = []
    found = [(place.removeprefix(str(path)), row) for place, row in read_rows(path, problems)]
    assert problems == []
    return found


def problems_of(path: Path) -> list[str]:
    problems: list[str] = []
    list(read_rows(path, problems))
    return [problem.removeprefix(str(path)) for problem in problems]


ROWS = [{"id": "a", "question": "Who?"}, {"id": "b", "question": "Where?"}]
IN_LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("set.json", json.dumps(ROWS), [":1 item 1", ":1 item 2"]),
        ("set.json", json.dumps(ROWS, indent=1), [":2 item 1", ":6 item 2"]),
        ("set.json", IN_LINES, [":1", ":2"]),
        ("set.jsonl", "\n" + IN_LINES + "\n", [":2", ":3"]),
        ("set.ndjson", IN_LINES.replace("\n", "\r\n"), [":1", ":2"]),
        ("set.jsonl", json.dumps(ROWS), [":1 item 1", ":1 item 2"]),
        ("set.json", json.dumps({"version": 1, "data": ROWS}, indent=2), [" data[0]", " data[1]"]),
        ("set.json", json.dumps({"Data": ROWS, "Domain": "web"}), [" Data[0]", " Data[1]"]),
        ("set.csv", "id,question\na,Who?\n\nb,Where?\n", [":2", ":3"]),
        ("set.tsv", "id\tquestion\na\tWho?\nb\tWhere?\n", [":2", ":3"]),
    ],
)
@pytest.mark.parametrize("write", ["plain", "mark", "gzip", "gzip under a plain name"])
def test_rows_are_read_from_every_supported_format(
    write: str, name: str, content: str, places: list[str], tmp_path: Path
) -> None:
    raw = content.encode("utf-8-sig" if write == "mark" else "utf-8")
    path = tmp_path / (f"{name}.gz" if write == "gzip" else name)
    path.write_bytes(gzip.compress(raw) if write.startswith("gzip") else raw)
    assert [row for _, row in read(path)] == ROWS
    if name != "set.csv":  # its blank line shifts the places
        assert [place for place, _ in read(path)] == places


def test_one_object_is_one_row_on_one_line_or_on_several(tmp_path: Path) -> None:
    row = {"id": "a", "question": "Who?", "answers": [{"text": "Ada"}]}
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    for one in (row, chat):
        for content in (json.dumps(one), json.dumps(one, indent=2)):
            (tmp_path / "set.json").write_text(content)
            assert [row for _, row in read(tmp_path / "set.json")] == [one]


@pytest.mark.parametrize("key", ["question", "Text", "instruction"])
def test_an_object_with_a_question_of_its_own_is_one_row_whatever_list_it_holds(key: str, tmp_path: Path) -> None:
    row = {"id": "q1", key: "Who?", "answers": "A", "examples": [{"question": "Where?", "answers": "B"}]}
    (tmp_path / "set.json").write_text(json.dumps(row))
    assert read(tmp_path / "set.json") == [(":1", row)]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_characters_that_only_some_readers_treat_as_line_ends_stay_in_a_text(separator: str, tmp_path: Path) -> None:
    question = {"question": f"Who{separator}wrote?"}
    for name, content in (
        ("a.json", json.dumps([question], ensure_ascii=False)),
        ("a.csv", f"question\n{question['question']}\n"),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        assert [row for _, row in read(tmp_path / name)] == [question]
    assert [row for _, row in read(write_jsonl(tmp_path / "a.jsonl", question))] == [question]


def test_a_quoted_line_break_is_part_of_a_cell_and_the_place_is_the_first_line_of_the_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('question,answer\n"Who\nwrote?",Ada\nWhen?,"1931"\n')
    assert read(tmp_path / "a.csv") == [
        (":2", {"question": "Who\nwrote?", "answer": "Ada"}),
        (":4", {"question": "When?", "answer": "1931"}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"id;question;answer\na;Who?;x\n", ":1: the separator seems to be a semicolon"),
        ("a.csv", b"id\tquestion\na\tWho?\n", ":1: the separator seems to be a tab"),
        ("a.tsv", b"id,question\na,Who?\n", ":1: the separator seems to be a comma"),
        ("a.csv", b"id,id\na,b\n", ":1: two columns have the name 'id'"),
        ("a.csv", b"id,question\na,Who?\nb\n", ":3: 1 cells, but the header has 2 columns"),
        ("a.tsv", b'q\ta\n"Heroes\tBowie\nWho?\tAda"\tx\n', ':2: a cell that begins with " spans several rows'),
        ("a.csv", b"id\n" + b"a\n" * 9999 + b"\xe9\n", ":10001: invalid CSV or not UTF-8"),
        ("a.json", b'[{"id": 1},\n{"id": 2, }]', ":2 item 2: invalid JSON"),
        ("a.json", b'[{"id": 1}\n{"id": 2}]', ":1 item 1: invalid JSON (a comma or the end"),
        ("a.json", b'[{"id": 1}, {"id": 2}', ":1 item 2: invalid JSON"),
        ("a.json", b'[{"id": 1},', ": the JSON list has no end, or text follows it"),
        ("a.json", b'[{"id": 1}] [{"id": 2}]', ": the JSON list has no end, or text follows it"),
        ("a.json", b'[{"id": 1},\n7]', ":2 item 2: not a JSON object"),
        ("a.json", b'[{"id": 1},\n{"id": "\xff"}]', ":2: the text is not UTF-8"),
        ("a.json", b"[" * 100_000, ":1 item 1: invalid JSON"),
        ("a.jsonl", b'{"id": 1, "answer": "a", "answer": "b"}\n', ":1: invalid JSON (the key 'answer' is repeated"),
        ("a.jsonl", '{"id": 1}\n'.encode("utf-16"), ": the text is UTF-16, not UTF-8"),
        ("a.json", '[{"id": 1}]'.encode("utf-16-le"), ": the text is UTF-16, not UTF-8"),
        ("a.json", b'{"id": {"0": 1}, "question": {"0": "Who?"}}', ": the file is one object with all columns"),
        ("a.json", b'{"columns": ["id"], "data": [[1]]}', ": the file is one object with all columns"),
        ("a.csv", "id\n1\n".encode("utf-16"), ": the text is UTF-16, not UTF-8"),
        ("a.jsonl.gz", gzip.compress(b'{"id": 1}\n' * 99, mtime=0)[:-9], ": the gzip file is damaged"),
        ("a.jsonl.zip", b"PK", ": the file type .zip is not supported"),
        ("a", b"", ": the file type (none) is not supported"),
    ],
)  # fmt: skip
def test_every_unreadable_row_is_one_message_with_its_line(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    problems = problems_of(tmp_path / name)
    assert len(problems) == 1 and problems[0].startswith(message), problems


@given(
    st.lists(
        st.dictionaries(st.text(max_size=4), st.text(max_size=9) | st.integers() | st.none(), max_size=3), min_size=2
    )
)
def test_json_lines_and_a_json_list_give_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, written: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    (folder / "a.json").write_text(
        json.dumps(written, ensure_ascii=False), encoding="utf-8", errors="replace", newline=""
    )
    lines = "".join(json.dumps(row) + "\n" for row in written)
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    assert [row for _, row in read(folder / "a.jsonl")] == written
    assert len(read(folder / "a.json")) == len(written)


def parquet(path: Path, **columns: Any) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_a_parquet_row_that_python_has_no_value_for_is_one_message_with_its_number(tmp_path: Path) -> None:
    import pyarrow

    texts = pyarrow.array([b"a", b"\xff", b"c"]).view(pyarrow.string())
    assert problems_of(parquet(tmp_path / "a.parquet", id=texts))[0].startswith(" row 2: a value cannot be read")
    dates = pyarrow.array([0, 2**30, -(2**30)], pyarrow.date32())
    assert [told[:7] for told in problems_of(parquet(tmp_path / "b.parquet", day=dates))] == [" row 2:", " row 3:"]
    rows: list[str] = []
    assert [place[-5:] for place, _ in read_rows(tmp_path / "b.parquet", rows)] == ["row 1"]


def test_a_parquet_map_is_an_object(tmp_path: Path) -> None:
    import pyarrow

    kind = pyarrow.map_(pyarrow.string(), pyarrow.string())
    once = parquet(tmp_path / "a.parquet", answers=pyarrow.array([[("text", "Ada")]], kind))
    assert read(once) == [(" row 1", {"answers": {"text": "Ada"}})]
    twice = parquet(tmp_path / "b.parquet", answers=pyarrow.array([[("text", "Ada"), ("text", "Bo")]], kind))
    assert problems_of(twice)[0].startswith(" row 1: a value cannot be read")


@pytest.mark.parametrize("answers", [b"Paris", [b"Paris"]])
def test_a_binary_column_is_refused_where_it_is_read_and_only_there(answers: object, tmp_path: Path) -> None:
    asked = {"id": ["a"], "question": ["Where?"]}
    with pytest.raises(ConfigError, match=r"row 1: 'answers' is binary; write the column as text"):
        read_questions(parquet(tmp_path / "a.parquet", **asked, answers=[answers]))
    unused = parquet(tmp_path / "b.parquet", **asked, answers=["Paris"], image=[answers])
    assert read_questions(unused)[0].answers == ("Paris",)


@pytest.mark.parametrize("depth", [700, 950, 20_000])
def test_a_row_nested_too_deep_is_one_message_with_its_line(depth: int, tmp_path: Path) -> None:
    """How deep is too deep, for JSON or for what reads its rows, depends on the version of Python."""
    nested = f'{"[" * depth}"x"{"]" * depth}'
    path = tmp_path / "a.jsonl"
    path.write_text(
        f'{{"question": "Who?", "answers": {nested}}}\n{{"question": "Where?", "answers": "y", "more": {nested}}}\n'
        '{"question": "When?", "answers": "z"}\n[]\n'
    )
    with pytest.raises(ConfigError) as refused:
        read_questions(path)
    lines = [told.removeprefix(f"{path}:")[:2] for told in refused.value.problems]
    assert sorted(lines) == sorted({*lines, "4:"}) and {*lines} <= {"1:", "2:", "4:"}
