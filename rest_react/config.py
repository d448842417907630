"""Reading the settings: every wrong value, missing key and impossible combination at once, before any work is done.

    settings = load_settings(values)     # values: a composed config as nested dicts and lists

Each problem is a line with its path and the way out. `sealed_view` is what a run folder holds on to.
Not here: the settings themselves (settings), their values (configs/*.yaml), building parts from them (build).
"""

import difflib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rest_react.errors import ConfigError
from rest_react.settings import Bm25, FileQuestions, HubQuestions, LocalFinetune, Settings

# What cannot change a result, and so may differ between two runs of one folder. `*` stands for one level.
UNSEALED = (
    "run", "iteration", "dry_run", "output", "tracking", "speed", "*.in_flight", "*.device", "*.threads",
    "*.timeout_s", "*.start_timeout_s", "*.tries", "*.requests_per_minute", "*.price", "*.port", "*.poll_s",
    "*.tolerate_outside_faults", "*.command", "*.cache_tokens", "*.batch_requests", "*.batch_tokens", "*.save_every",
)  # fmt: skip


def load_settings(values: object) -> Settings:
    """Checks a config, given as a plain nested mapping. Raises ConfigError with every problem at once."""
    try:
        settings = _adapter().validate_python(values)
    except ValidationError as error:
        raise ConfigError([_explain(dict(problem)) for problem in error.errors(include_url=False)]) from None
    problems = list(_impossible(settings))
    if problems:
        raise ConfigError(problems)
    return settings


@cache
def _adapter() -> Any:
    """Pydantic over the plain dataclasses, unknown keys forbidden and `kind` telling members of a union apart."""
    for kind in _dataclasses_of(Settings):
        kind.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    return TypeAdapter(Settings)


def _dataclasses_of(root: type) -> Iterator[type]:
    seen: set[type] = set()
    pending: list[Any] = [root]
    while pending:
        node = pending.pop()
        if is_dataclass(node) and isinstance(node, type):
            if node not in seen:
                seen.add(node)
                yield node
                pending += typing.get_type_hints(node, include_extras=True).values()
        else:
            pending += typing.get_args(node)


def _explain(problem: dict[str, Any]) -> str:
    """One line of ours for one problem of pydantic's: path, what is wrong, what would be right."""
    path = _path(problem["loc"])
    given = problem.get("input")
    match problem["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{path}: there is no such setting"
        case "missing" | "missing_argument":
            return f"{path}: is missing"
        case "union_tag_invalid":
            return f"{path}.kind: {problem['ctx']['tag']!r} is none of {problem['ctx']['expected_tags']}"
    return f"{path}: {problem['msg'].lower()} (given: {given!r:.80})"


_UNIONS = {"policy", "reward_model", "grader", "search", "questions", "finetune"}


def _path(location: tuple[str | int, ...]) -> str:
    """The dotted path of a problem, without the union tag that pydantic puts behind a union's field."""
    parts = [str(part) for part in location]
    tags = {i for i in range(1, len(parts)) if parts[i - 1] in _UNIONS or (i > 1 and parts[i - 2] == "benchmarks")}
    if parts[-1:] == ["kind"]:
        tags.discard(len(parts) - 1)
    return ".".join(part for i, part in enumerate(parts) if i not in tags)


def _impossible(s: Settings) -> Iterator[str]:
    """Combinations that cannot work, each with its way out."""
    if "/" in s.run or s.run.startswith("."):
        yield f"run: {s.run!r} must be a plain folder name (the folder above it is `output`)"
    if not s.evaluate.benchmarks:
        yield "evaluate.benchmarks: name at least one"
    sources = {"grow.questions": s.grow.questions}
    sources |= {f"evaluate.benchmarks.{name}": source for name, source in s.evaluate.benchmarks.items()}
    for path, source in sources.items():
        if isinstance(source, FileQuestions):
            yield from _missing_files(path, source)
    if s.policy.kind == "scripted":
        if s.policy.right + s.policy.wrong + s.policy.unparsable + s.policy.empty <= 0:
            yield "policy: right, wrong, unparsable and empty are all 0; give at least one a share"
        for path, source in sources.items():
            if source.kind != "world":
                yield f"{path}: policy=scripted knows the built-in world alone; use kind: world, or another policy"
    if isinstance(s.search, Bm25) and s.search.corpus == "questions":
        for path, source in sources.items():
            if isinstance(source, HubQuestions) or (isinstance(source, FileQuestions) and source.corpus is None):
                yield f"{path}: has no corpus for search=bm25; set search.corpus=<passages.jsonl>, or search=duckduckgo"
    if s.start == "demonstrations" and s.world.demonstrations == 0 and not s.demonstrations.exemplars:
        yield "start: demonstrations needs world.demonstrations above 0 or demonstrations.exemplars=true"
    if s.finetune.kind == "hosted" and s.policy.kind not in ("openai", "gemini"):
        yield f"finetune.kind: hosted cannot tune policy.kind={s.policy.kind}; use finetune=local, or policy=openai"
    if s.finetune.kind == "local" and s.policy.kind in ("openai", "gemini"):
        yield f"finetune.kind: local cannot tune policy.kind={s.policy.kind}; use finetune=hosted, or policy=vllm"
    if isinstance(s.finetune, LocalFinetune) and s.finetune.batch_size % s.finetune.micro_batch_size:
        yield "finetune.batch_size: must be a multiple of finetune.micro_batch_size"
    for role, model in (("reward_model", s.reward_model), ("grader", s.grader)):
        if model.kind == "same" and s.policy.kind == "scripted" and (role == "grader" or _asks_reward_model(s)):
            yield f"{role}: policy=scripted has no weights to judge with; choose another {role}"


def _missing_files(path: str, source: FileQuestions) -> Iterator[str]:
    for name, file in (("path", source.path), ("corpus", source.corpus)):
        if file is not None and file.startswith("None/"):
            yield f"data: is needed; give data=<folder with questions.jsonl and corpus.jsonl> (for {path}.{name})"
        elif file is not None and not Path(file).is_file():
            yield f"{path}.{name}: there is no file {file}"


def _asks_reward_model(s: Settings) -> bool:
    return s.improve.selector == "reward_model" or s.improve.keep == "judged_good"


def sealed_view(settings: Settings) -> dict[str, object]:
    """The settings that can change a result, flat, as settings.yaml keeps them."""
    return {path: value for path, value in flatten(settings) if not _unsealed(path)}


def flatten(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Dotted paths and plain leaf values."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def _unsealed(path: str) -> bool:
    parts = path.split(".")
    return parts[0] in UNSEALED or any(f"*.{part}" in UNSEALED for part in parts[1:])


def nearest(name: str, names: list[str]) -> str:
    """A hint at the most similar of `names`, or at where to find them."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "see --help for the groups and --cfg job for every setting"
