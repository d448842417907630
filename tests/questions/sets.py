"""Two questions that several tests read from files of every kind, and a way to write such files."""

import json
from pathlib import Path

from rest_react.records import LabelledQuestion, Question

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
