"""The `>>>` examples in docstrings give the results that stand below them."""

import asyncio
import doctest
import importlib
from pathlib import Path

import pytest

import rest_react
from rest_react import records
from rest_react.judges.answer_matching.canonical_text import cased_words

ROOT = Path(rest_react.__file__).parent
# Parts whose examples need neither files nor a model.
PARTS = ("judges", "questions", "search", "model_output", "text_safety", "errors.py")


def modules() -> list[str]:
    files = [
        file for part in PARTS for file in ([ROOT / part] if part.endswith(".py") else (ROOT / part).rglob("*.py"))
    ]
    return sorted(
        ".".join(("rest_react", *file.relative_to(ROOT).with_suffix("").parts))
        for file in files
        if ">>>" in file.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    module = importlib.import_module(name)
    names = {**vars(records), "asyncio": asyncio, "cased_words": cased_words, **vars(module)}
    runner = doctest.DocTestRunner(verbose=False)
    for example in doctest.DocTestFinder().find(module, extraglobs=names):
        runner.run(example)
    attempted = runner.summarize(verbose=False)
    assert (attempted.failed, attempted.attempted > 0) == (0, True)
