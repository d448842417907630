import pytest

from rest_react.terminal.console import say


def test_a_line_is_printed_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    say("[red]x[/red] [link_id=1] \x1b[2J " + "long " * 60)
    assert capsys.readouterr().err == "[red]x[/red] [link_id=1] \\u001b[2J " + "long " * 60 + "\n"
