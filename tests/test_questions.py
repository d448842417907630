import json
import unicodedata
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rest_react.cli import CONFIGS
from rest_react.errors import ConfigError, OutsideFault, UsageError
from rest_react.judges.grader import rule_verdict
from rest_react.judges.metrics import exact_match, f1
from rest_react.questions import (
    overlap,
    read_corpus,
    read_hub,
    read_questions,
    sample,
    unlabelled,
)
from rest_react.records import LabelledQuestion, Passage, Question
from rest_react.world import build_world

PINNED = "d" * 40

NOVEL = LabelledQuestion(
    question=Question(id="q1", text="Who wrote Middlemarch?"),
    answers=("George Eliot", "Mary Ann Evans"),
    options=(),
    kind="bridge",
    hops=2,
    passages=("p1", "p2"),
)
RIVER = LabelledQuestion(question=Question(id="q2", text="Is the Nile longer, or the Rhine?"), answers=("Nile",))
SET = [NOVEL, RIVER]


def write_jsonl(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


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
def test_the_three_kinds_of_file_give_the_same_questions(write: Callable[[Path], Path], tmp_path: Path) -> None:
    assert read_questions(write(tmp_path)) == SET


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
        read_questions(as_jsonl(tmp_path), {"questoin": "question"})


def test_a_thousand_bad_rows_do_not_flood_the_terminal(tmp_path: Path) -> None:
    rows = [{"id": 1, "question": "Who?", "answer": "A"}] * 1001
    with pytest.raises(ConfigError) as told:
        read_questions(write_jsonl(tmp_path / "set.jsonl", *rows))
    assert (len(told.value.problems), told.value.problems[-1]) == (101, "... and 900 more")


def test_questions_for_grow_need_no_answers(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "set.jsonl", {"id": "a", "question": "Why is the sky blue?"})
    assert read_questions(path, labelled=False) == [
        LabelledQuestion(question=Question(id="a", text="Why is the sky blue?"), answers=())
    ]
    with pytest.raises(ConfigError, match=r"fields\.answers"):
        read_questions(path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("set.jsonl", b"", "no rows at all"),
        ("set.csv", b"id,question\n", "no rows at all"),
        ("set.csv", b"id,question,answer\na,Who, what?,x\n", "set.csv:2: more cells than the header"),
        ("set.csv", b'id,question,answer\na,"Who?,x\n', "no CSV in UTF-8"),
        ("set.csv", b"id,question,answer\na,\xff,x\n", "no CSV in UTF-8"),
        ("set.parquet", b"PAR1 not really", "no Parquet file"),
        ("set.txt", b"", "a .txt file cannot be read; give .jsonl, .csv or .parquet"),
    ],
)
def test_a_file_that_is_none_is_told(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        read_questions(tmp_path / name)


def test_a_missing_file_and_a_folder_in_its_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; check the path"):
        read_questions(tmp_path / "none.jsonl")
    (tmp_path / "set.jsonl").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        read_questions(tmp_path / "set.jsonl")


def test_a_csv_text_may_start_with_a_bracket(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("id,question,answer\na,[sic] who?,x\n")
    assert read_questions(tmp_path / "set.csv")[0].question.text == "[sic] who?"


def test_a_corpus_gives_its_passages_or_all_its_problems(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "corpus.jsonl", {"id": 1, "title": "Nile", "text": "A river."}, {"id": "p2", "text": "Rhine."}
    )
    assert read_corpus(path) == [
        Passage(id="1", title="Nile", text="A river."),
        Passage(id="p2", title="", text="Rhine."),
    ]
    write_jsonl(path, {"id": "p1", "text": "A"}, {"id": "p1", "text": "B"}, {"title": "C"})
    with pytest.raises(ConfigError) as told:
        read_corpus(path)
    assert told.value.problems == (
        f"{path}:2: id 'p1' is already that of {path}:1; ids must be unique",
        f"{path}:3: nothing under 'id'",
    )


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


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local folder laid out as a data set; nothing is asked of the network."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [{"_id": f"h{i}", "question": f"Who is {i}?", "gold": str(i), "huge": ["x"] * 100} for i in range(20)]
    write_jsonl(tmp_path / "set" / "train.jsonl", *rows)
    return tmp_path / "set"


def test_a_data_set_gives_its_questions(hub: Path) -> None:
    questions = read_hub(str(hub), None, "train", "main", {"id": "_id", "answers": "gold"})
    assert questions[3] == LabelledQuestion(question=Question(id="h3", text="Who is 3?"), answers=("3",))
    assert len(questions) == 20


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache as `datasets` leaves it: the set owner/Some, its validation split, at a commit; and no network."""
    import datasets
    from huggingface_hub import constants

    rows = [{"id": f"h{i}", "question": f"Who is {i}?", "answer": str(i)} for i in range(5)]
    path = write_jsonl(tmp_path / "validation.jsonl", *rows)
    read = datasets.load_dataset("json", data_files={"validation": str(path)}, cache_dir=str(tmp_path / "read"))
    made = Path(read["validation"].cache_files[0]["filename"])
    kept = tmp_path / "datasets" / "owner___some" / "default" / "0.0.0" / PINNED
    kept.mkdir(parents=True)
    made.rename(kept / "some-validation.arrow")
    info = json.loads((made.parent / "dataset_info.json").read_text()) | {"dataset_name": "some"}
    (kept / "dataset_info.json").write_text(json.dumps(info))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    for module in (datasets.config, constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    return kept


def test_a_set_that_was_loaded_once_is_read_without_a_network(cached: Path) -> None:
    questions = read_hub("owner/Some", None, "validation", PINNED)
    assert [(item.question.id, item.answers) for item in questions] == [(f"h{i}", (str(i),)) for i in range(5)]


def test_another_revision_than_the_pinned_one_is_refused(cached: Path) -> None:
    """`datasets` itself would take it, with a line in the log."""
    with pytest.raises(UsageError, match=f"holds another revision than {'e' * 40}; load it once where"):
        read_hub("owner/Some", None, "validation", "e" * 40)
    assert len(read_hub("owner/Some", None, "validation", "main")) == 5


def test_a_file_at_a_url_is_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "twoogle.csv").write_text('question,answer\n"Who, and when?",Ada\n')
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/twoogle.csv"
        (question,) = read_hub(url, None, "test", "f" * 40)
        server.shutdown()
    assert (question.question.text, question.answers) == ("Who, and when?", ("Ada",))
    assert read_hub(url, None, "test", "f" * 40) == [question]  # the server is gone
    with pytest.raises(OutsideFault, match=r"question set .*other\.csv: .*refused"):
        read_hub(url.replace("twoogle", "other"), None, "test", "f" * 40)


@pytest.mark.parametrize(("config", "split"), [(None, "nope"), ("nope", "train")])
def test_a_wrong_config_or_split_is_a_usage_error_with_the_right_ones(
    hub: Path, config: str | None, split: str
) -> None:
    with pytest.raises(UsageError, match=r"'?(train|default)'?.*check name, config, split and revision"):
        read_hub(str(hub), config, split, "main", {"answers": "gold"})


def test_the_hops_of_musique_are_read_from_its_ids(hub: Path) -> None:
    """Laid out as on the Hub, shortened."""
    hop = {"id": 1, "question": "Q", "answer": "A", "paragraph_support_idx": 0}
    rows = [
        {
            "id": id_, "paragraphs": [{"idx": 0, "title": "T", "paragraph_text": "P", "is_supporting": True}],
            "question": f"Who is {id_}?", "question_decomposition": [hop], "answer": "Ada",
            "answer_aliases": ["A. Mell"], "answerable": True,
        }
        for id_ in ("2hop__482757_12019", "3hop1__9285_5188_23307", "4hop3__1_2_3_4")
    ]  # fmt: skip
    musique = write_jsonl(hub.parent / "musique" / "validation.jsonl", *rows).parent
    fields = yaml.safe_load((CONFIGS / "questions" / "musique.yaml").read_text())["fields"]
    assert read_hub(str(musique), None, "validation", "main", fields) == [
        LabelledQuestion(Question(row["id"], row["question"]), ("Ada", "A. Mell"), hops=hops)
        for row, hops in zip(rows, (2, 3, 4), strict=True)
    ]


def test_a_wrong_column_of_a_data_set_is_told(hub: Path) -> None:
    with pytest.raises(ConfigError, match=r"fields\.answers: .* has nothing under 'label' in any row"):
        read_hub(str(hub), None, "train", "main", {"answers": "label"})


def test_without_a_network_the_hub_says_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OutsideFault, match=r"where there is a network.*a file of your own"):
        read_hub("no-such-owner/no-such-set", None, "train", "0" * 40)


def numbered(n: int) -> list[LabelledQuestion]:
    return [LabelledQuestion(question=Question(id=f"q{i}", text=f"Who is {i}?"), answers=(str(i),)) for i in range(n)]


@given(order=st.permutations(numbered(12)), n=st.integers(0, 12), seed=st.integers(0, 5))
def test_a_sample_depends_on_ids_and_seed_alone(order: list[LabelledQuestion], n: int, seed: int) -> None:
    drawn = sample(order, n, seed)
    assert drawn == sample(numbered(12), n, seed)
    assert len({item.question.id for item in drawn}) == n


def test_another_seed_draws_another_sample_and_a_larger_one_extends_it() -> None:
    questions = numbered(100)
    assert sample(questions, 10, 0) != sample(questions, 10, 1)
    assert sample(questions, 20, 0)[:10] == sample(questions, 10, 0)


def test_more_questions_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="5 questions asked for, there are only 3"):
        sample(numbered(3), 5, 0)


def test_unlabelled_questions_hold_nothing_but_id_and_text() -> None:
    assert unlabelled(SET) == [NOVEL.question, RIVER.question]


def benchmark(*texts: str) -> list[Question]:
    return [Question(f"b{i}", text) for i, text in enumerate(texts)]


def overlapping(grow: str, other: str) -> bool:
    return bool(overlap([Question("g", grow)], benchmark(other)))


def test_overlap_finds_a_question_whatever_its_spelling() -> None:
    held = benchmark("Who founded Café Zürich, the café?", "who wrote  MIDDLEMARCH", "Who wrote Middlemarch 2?")
    decomposed = Question("g2", unicodedata.normalize("NFD", "who founded CAFÉ ZÜRICH the café"))
    assert overlap([NOVEL.question, decomposed, RIVER.question], held) == [
        (NOVEL.question, held[1]), (decomposed, held[0]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other", ["When was İstanbul founded?", "when was i\u0307stanbul FOUNDED", "When was Istanbul founded?"]
)
def test_a_capital_that_is_two_characters_in_lower_case_hides_no_overlap(other: str) -> None:
    assert overlapping("When was İstanbul founded?", other)


@pytest.mark.parametrize(
    "longer",
    [
        "Who wrote the novel Middlemarch?",
        "Who really wrote Middlemarch?",
        "So who wrote Middlemarch?",
        "Who wrote Middlemarch first?",
    ],
)
def test_overlap_finds_a_short_question_with_one_word_put_in(longer: str) -> None:
    assert overlapping(longer, "Who wrote Middlemarch?")
    assert overlapping("Who wrote Middlemarch?", longer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who wrote Middlemarch?", "Who wrote Middlemarch 2?"),
        ("Who wrote Middlemarch?", "Who read Middlemarch?"),
        ("When was Ada Mell born?", "When was Ada Mell's wife born?"),
        ("When was Ada Mell born?", "When was the wife of Ada Mell born?"),
        ("When was Ada Mell born?", "Where was Ada Mell born?"),
        ("Is the Nile longer, or the Rhine?", "Is the Rhine longer, or the Nile?"),
        ("Who?", "What?"),
    ],
)
def test_overlap_passes_short_questions_that_ask_something_else(one: str, other: str) -> None:
    assert not overlapping(one, other)
    assert not overlapping(other, one)


@pytest.mark.parametrize(
    "near",
    [
        "So in which country was the author of The Trial born?",
        "In which country was the author of the novel The Trial born?",
        "In which country was the writer of The Trial born?",
    ],
)
def test_overlap_finds_a_question_that_was_reworded_a_little(near: str) -> None:
    assert overlapping(near, "In which country was the author of The Trial born?")


@pytest.mark.parametrize(
    "other",
    [
        "In which country was the author of The Castle born?",  # one template, another thing
        "In which country was the author of The Trial 2 born?",
        "When was the author of The Trial first married, and to whom?",
        "",
    ],
)
def test_overlap_passes_questions_about_something_else(other: str) -> None:
    assert not overlapping(other, "In which country was the author of The Trial born?")


def test_no_questions_of_one_world_overlap() -> None:
    world = build_world(0, passages=1000, demonstrations=10, train=100, evaluation=100)
    assert overlap(unlabelled([*world.train, *world.demonstrations]), unlabelled(world.evaluation)) == []


@given(st.lists(st.text(max_size=40) | st.text("iIİßŉǅé\u0307 ", max_size=9), max_size=5))
def test_every_question_overlaps_with_itself(texts: list[str]) -> None:
    found = overlap([Question(f"b{i}", text) for i, text in enumerate(texts)], benchmark(*texts))
    assert {(f"b{i}", f"b{i}") for i in range(len(texts))} <= {(ours.id, theirs.id) for ours, theirs in found}
