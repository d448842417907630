"""docs/settings.md: every setting with a line, as it is declared."""

from dataclasses import fields
from pathlib import Path

import pytest

from rest_react.config.documentation import SettingLine, page, sections, setting_lines
from rest_react.config.load import records_of
from rest_react.config.settings import AgentSettings, Settings
from rest_react.metrics.prices import Price

ROOT = Path(__file__).resolve().parents[2]
RECORDS = [record for record in records_of(Settings) if record is not Price]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_setting_has_a_description(record: type) -> None:
    names = [field.name for field in fields(record) if field.name != "kind"]
    lines = setting_lines(record)
    assert [line.name for line in lines] == names
    assert [line.name for line in lines if not line.meaning or not line.type] == []


def test_the_page_has_every_group_and_part() -> None:
    assert {record for _, record, _ in sections()} == set(RECORDS)


def test_the_page_is_current() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m rest_react.config.documentation > docs/settings.md"


def test_a_line_has_the_type_in_words_and_the_comment_of_the_declaration() -> None:
    lines = {line.name: line for line in setting_lines(AgentSettings)}
    assert lines["max_searches"] == SettingLine(
        "max_searches", "whole number above 0", "per question; then the agent must answer"
    )
    assert lines["prompts"].type == "text or null"
    assert lines["exemplars"].type == "untuned, always, never"
