"""Solved questions of a user's own families: what is read, and what is refused."""

import json
from pathlib import Path

import pytest

from rest_react.errors import ConfigError
from rest_react.records import LabelledQuestion, Question
from rest_react.tasks.tool_maker.solved import solved_families


def written(folder: Path, sizes: dict[str, int]) -> Path:
    rows = [
        {"id": f"{kind}{n}", "kind": kind, "question": f"{kind}, {n} and 1?", "answers": [str(n + 1)]}
        for kind, size in sizes.items()
        for n in range(size)
    ]
    path = folder / "solved.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_first_six_questions_of_each_family_are_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = solved_families(written(tmp_path, {"tips": 8, "fares": 6}))
    assert found == {
        kind: tuple(
            LabelledQuestion(Question(f"{kind}{n}", f"{kind}, {n} and 1?"), (str(n + 1),), kind=kind) for n in range(6)
        )
        for kind in ("tips", "fares")
    }


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"": 6}, "6 of its questions name no family"),
        ({"two words": 6}, "'two words' needs a name of letters"),
        ({"../up": 6}, "'../up' needs a name of letters"),
        ({"Remainders": 6}, "Remainders has the name of a built-in one"),
        ({"None": 6}, "None has the name of a built-in one, or of no tool"),
        ({"tips": 6, "Tips": 6}, "tips differs from another one in case alone"),
        ({"tips": 5}, "tips has 5 questions; a tool is made from 6 or more"),
    ],
)
def test_a_family_that_cannot_have_a_tool_is_refused(tmp_path: Path, sizes: dict[str, int], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        solved_families(written(tmp_path, sizes))
    assert told in refused.value.problems[0]


def test_every_wrong_family_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        solved_families(written(tmp_path, {"tips": 5, "fares": 6, "tolls": 1}))
    assert [problem.partition(" has ")[0].rpartition(" ")[2] for problem in refused.value.problems] == ["tips", "tolls"]
