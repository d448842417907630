"""What an export is asked for: format, place and filters, read from the words of the command.

    read_request(["run=default", "format=messages", "out=data", "iteration=[1,2]", "stage=world", "verdict=correct"])

Raises ConfigError with all problems at once. Not here: whether the run has what is asked for (export).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, get_args

from rest_react.errors import ConfigError

Format: TypeAlias = Literal["messages", "sts", "preferences", "prompt_completion", "model"]
FORMATS: tuple[str, ...] = get_args(Format)
OF_TRAJECTORIES = ("messages", "sts")
GROW, ALL = "grow", "all"
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "format": FORMATS,
    "outcome": ("finished", "failed", ALL),
    "verdict": ("correct", "incorrect", "unscored", ALL),
    "gold": ("true", "false"),
    "private": ("true", "false"),
}
_REPO = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The words of the command. `iterations` is None for all, `stage` is grow, a benchmark or all; `verdict` filters
    evaluated trajectories."""

    run: str
    format: str
    out: str = ""
    output: str = "outputs"
    iterations: tuple[int, ...] | None = None
    stage: str = GROW
    outcome: str = "finished"
    verdict: str = ALL
    gold: bool = False
    hub: str = ""
    private: bool = True

    @property
    def content(self) -> dict[str, object]:
        """What decides the content of the files."""
        names = ("run", "format", "iterations", "stage", "outcome", "verdict", "gold")
        listed = {name: getattr(self, name) for name in names}
        return listed | {"iterations": None if self.iterations is None else list(self.iterations)}


def read_request(words: Sequence[str]) -> ExportRequest:
    """The request in the words `key=value` of the command line."""
    given = {key: value.strip() for key, _, value in (word.partition("=") for word in words)}
    if problems := list(_problems(given)):
        raise ConfigError(problems)
    values: dict[str, object] = {key: value for key, value in given.items() if key != "iteration"}
    values |= {key: value == "true" for key, value in given.items() if key in ("gold", "private")}
    return ExportRequest(**values, iterations=_numbers(given.get("iteration", "all")))  # type: ignore[arg-type]


def _problems(given: Mapping[str, str]) -> Iterator[str]:
    known = [f.name.replace("iterations", "iteration") for f in fields(ExportRequest)]
    for key in given:
        if key not in known:
            yield f"{key}: there is no such word; use {', '.join(known)}"
    missing = [key for key in ("run", "format") if not given.get(key)]
    for key in missing:
        yield f"{key}: it is missing; give {key}=<{'name' if key == 'run' else '|'.join(FORMATS)}>"
    for key, choices in _CHOICES.items():
        # Also if it is empty: the word `private` alone must not publish.
        if key in given and key not in missing and given[key] not in choices:
            yield f"{key}: {given[key]!r} is not one of {', '.join(choices)}"
    kind, stage = given.get("format", ""), given.get("stage", GROW)
    if _numbers(given.get("iteration", "all")) == ():
        yield f"iteration: {given['iteration']!r} is not a number, a list such as [1,2], or all"
    if kind == "model":
        yield from _model_problems(given)
    elif not given.get("out"):
        yield "out: it is missing; give out=<a new folder>"
    if given.get("hub") and not _REPO.fullmatch(given["hub"]):
        yield f"hub: {given['hub']!r} is not the name of a repository; give hub=<user>/<name>"
    if kind in FORMATS and kind not in OF_TRAJECTORIES:
        for key in ("stage", "outcome", "verdict", "gold"):
            if key in given:
                yield f"{key}: format={kind} has no trajectories to filter; remove it"
    elif given.get("verdict", ALL) != ALL and stage == GROW:
        yield "verdict: trajectories of Grow are not graded; add stage=<a benchmark> or stage=all"
    elif given.get("gold") == "true" and stage == GROW:
        yield "gold: trajectories of Grow have no gold answers; add stage=<a benchmark> or stage=all"


def _model_problems(given: Mapping[str, str]) -> Iterator[str]:
    if not given.get("hub"):
        yield "hub: it is missing; format=model uploads the weights, so give hub=<user>/<name>"
    if len(_numbers(given.get("iteration", "all")) or ()) != 1:
        yield "iteration: format=model uploads the model of one iteration; give iteration=<its number>"
    if given.get("out"):
        yield "out: format=model uploads the weights from the run folder; remove it"


def _numbers(text: str) -> tuple[int, ...] | None:
    """The iterations in `1`, `[1,2]` or `all` (None); empty if the text is none of these."""
    if text == ALL:
        return None
    parts = text.removeprefix("[").removesuffix("]").split(",")
    return tuple(int(part) for part in parts) if all(part.strip().isdecimal() for part in parts) else ()
