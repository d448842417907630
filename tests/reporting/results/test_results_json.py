"""The format of results.json: its records, its schema, and the published files."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from rest_react.errors import RunFolderError
from rest_react.reporting.results.results_json import (
    Results,
    json_schema,
    question_key,
    read_results,
    scores_of,
    verdicts_of,
)
from rest_react.storage.files import write_json
from rest_react.storage.run_folder import SCHEMA
from tests.runs import row

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA_FILE = DOCS / "results.schema.json"
PUBLISHED = sorted((DOCS / "results").glob("*.json"))


def results() -> Results:
    return Results(schema=SCHEMA, run="demo", rows=(row(0, 0.5), row(1, None)))


def test_the_schema_in_docs_is_up_to_date() -> None:
    told = "run: python -m rest_react.reporting.results.results_json > docs/results.schema.json"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json_schema(), told


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_file_matches_the_schema_and_is_read_without_loss(path: Path, tmp_path: Path) -> None:
    held = json.loads(path.read_text(encoding="utf-8"))
    validator().validate(held)
    write_json(tmp_path / "results.json", msgspec.json.decode(path.read_bytes(), type=Results))
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    later = {
        "rule_disagreement": None,
        "pass_at": {},
        "verdicts": None,
        "scores": {},
        "latency": {},
        "lost": 0,
        "answering_usd": None,
    }  # fields that older files do not have
    top = {"settings": {}, "baselines": [], "environments": []}
    compared = [one | {"row": later | one["row"]} for one in held.get("baselines", [])]
    assert written == top | held | {"rows": [later | one for one in held["rows"]], "baselines": compared}


def plain(held: Results) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(held))


def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def paths() -> Iterator[str]:
    """Every field of a row, and those of the records in it, as `accuracy.mean`."""
    definitions = json.loads(json_schema())["$defs"]
    for name, field in definitions["ResultRow"]["properties"].items():
        yield name
        kinds = [kind["$ref"].rpartition("/")[2] for kind in field.get("anyOf", [field]) if "$ref" in kind]
        yield from (f"{name}.{inner}" for kind in kinds for inner in definitions[kind]["properties"])


def test_every_field_is_defined_in_the_docs() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert {"accuracy.mean", "rule_disagreement.answers", "vs_start.detectable"} < set(paths())
    assert [path for path in paths() if f"`{path}`" not in text] == []


def test_a_written_file_matches_the_schema_and_is_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", results())
    validator().validate(json.loads((tmp_path / "results.json").read_text(encoding="utf-8")))
    assert read_results(tmp_path) == results()


def test_a_file_without_a_later_field_is_readable(tmp_path: Path) -> None:
    held = plain(results())
    for one in held["rows"]:
        del one["rule_disagreement"]
    (tmp_path / "results.json").write_text(json.dumps(held), encoding="utf-8")
    validator().validate(held)
    assert read_results(tmp_path) == results()


@pytest.mark.parametrize(
    ("change", "named"),
    [({"schema": 2}, "schema"), ({"rows": [{"iteration": 0}]}, "rows"), ({"run": None}, "run")],
)
def test_a_file_of_another_format_is_refused_with_the_field_that_differs(tmp_path: Path, change, named) -> None:
    held = plain(results()) | change
    assert not validator().is_valid(held)
    (tmp_path / "results.json").write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(RunFolderError, match=rf"results\.json is damaged \(.*\$\.{named}.*\); run the command"):
        read_results(tmp_path)


def test_a_folder_without_results_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"has no results\.json; run the command"):
        read_results(tmp_path)


def test_verdicts_are_read_back_as_scores_and_older_rows_have_none() -> None:
    scores = {question_key("w1", "Who?"): [1.0, 0.0, None], question_key("w1", "Where?"): [0.0]}
    assert len(scores) == 2  # one id in two worlds
    assert scores_of(row(0, 0.5, verdicts=verdicts_of(scores))) == scores
    assert scores_of(row(0, 0.5)) is None


def test_a_row_is_frozen() -> None:
    with pytest.raises(AttributeError):
        row(0, 0.5).accuracy = None  # type: ignore[misc]
    assert replace(row(0, 0.5), iteration=1) == row(1, 0.5)
