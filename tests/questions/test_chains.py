import re
from pathlib import Path

import pytest

from rest_react.errors import ConfigError
from rest_react.questions import read_questions
from rest_react.records import Lookup
from tests.questions.sets import write_jsonl

ASKED = {"question": "Where was the author of Emma born?", "answers": ["Steventon"]}
TRIPLES = [["Emma", "author", "Jane Austen"], ["Jane Austen", "place of birth", "Steventon"]]
STEPS = [
    {"question": "Emma >> author", "answer": "Jane Austen"},
    {"question": "Where was #1 born?", "answer": "Steventon"},
]


def test_both_forms_of_a_chain_are_read_also_as_their_publishers_write_them(tmp_path: Path) -> None:
    titled = [{**STEPS[0], "support_title": "Emma (novel)"}, STEPS[1]]
    placed = [{**step, "paragraph_support_idx": i} for i, step in enumerate(STEPS)]
    paragraphs = [{"idx": 1, "title": "Jane Austen"}, {"idx": 0, "title": "Emma"}]
    path = write_jsonl(
        tmp_path / "set.jsonl",
        {"id": "a", **ASKED, "evidence": TRIPLES, "evidence_ids": ["p1", "p1"]},
        {"id": "b", **ASKED, "evidences": TRIPLES, "evidence_ids": ["p2"]},
        {"id": "c", **ASKED, "decomposition": titled, "supporting_ids": ["p1", "p2"]},
        {"id": "d", **ASKED, "question_decomposition": placed, "paragraphs": paragraphs},
        {"id": "e", **ASKED},
    )
    born = "Where was Jane Austen born?"
    assert [item.chain for item in read_questions(path, chains=True)] == [
        (Lookup("Emma", "author", "Jane Austen", "p1", "Emma"),
         Lookup("Jane Austen", "place of birth", "Steventon", "p1", "Jane Austen")),
        (Lookup("Emma", "author", "Jane Austen", "", "Emma"),
         Lookup("Jane Austen", "place of birth", "Steventon", "", "Jane Austen")),
        (Lookup("Emma", "author", "Jane Austen", "p1", "Emma (novel)"), Lookup("", born, "Steventon", "p2", "")),
        (Lookup("Emma", "author", "Jane Austen", "", "Emma"), Lookup("", born, "Steventon", "", "Jane Austen")),
        (),
    ]  # fmt: skip


def test_every_malformed_chain_is_refused_with_its_line_and_a_way_out(tmp_path: Path) -> None:
    rows = {
        "write [subject, relation, value]": {"evidence": [["Emma", "author"]]},
        "item 2 of evidence' is missing or empty": {"evidence": [TRIPLES[0], ["Jane Austen", "", "Steventon"]]},
        "'evidence' must be a list, not a str": {"evidence": "Emma was written by Jane Austen"},
        "leave one of them out": {"evidence": TRIPLES, "decomposition": STEPS},
        "give one for each, in their order": {"evidence": TRIPLES, "evidence_ids": ["p1", "p2", "p3"]},
        "write an object with question and answer": {"decomposition": ["Who wrote Emma?"]},
        "answer of item 1 of decomposition' is missing": {"decomposition": [{"question": "Who wrote Emma?"}]},
        "it may refer only to items before it": {"decomposition": [{"question": "Who is #1?", "answer": "Ada"}]},
        "refers to #99999999999999999999;": {"decomposition": [{"question": f"#{'9' * 5000}", "answer": "Ada"}]},
        "correct paragraph_support_idx": {"decomposition": [{**STEPS[0], "paragraph_support_idx": 7}]},
    }
    path = write_jsonl(tmp_path / "set.jsonl", *({"id": str(i), **ASKED, **row} for i, row in enumerate(rows.values())))
    with pytest.raises(ConfigError) as refused:
        read_questions(path, chains=True)
    told = str(refused.value).splitlines()
    for number, way_out in enumerate(rows, start=1):
        assert [line for line in told if re.search(rf"set\.jsonl:{number}: ", line) and way_out in line], way_out
    assert [item.chain for item in read_questions(path, labelled=False)] == [()] * len(rows)
