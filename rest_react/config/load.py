"""Reads the settings, and reports all wrong values, missing keys and impossible combinations at once.

    settings = load_settings(values)     # values: a composed config as nested dicts and lists

Each problem is one line with the setting and what to do.
Not here: the settings themselves (config.settings), their values (configs/*.yaml), the combinations (config.checks).
"""

import difflib
import re
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rest_react.config.checks.combinations import combination_problems
from rest_react.config.settings import Settings
from rest_react.config.training_part import with_training_part
from rest_react.errors import ConfigError
from rest_react.storage.locked_settings import flatten
from rest_react.text_safety.redaction import secret_in

_LIKE = 0.6  # from this likeness on a name is suggested
_QUESTIONS = re.compile(r"^(?:grow|evaluate)\.")
# Fields of extra_body, and headers and parameters of a search engine, whose value is a key. `sort_key` is no such one.
_KEY_SETTING = re.compile(
    r"(?:.*[_-])?(?:api[_-]?key|authorization|secret|passwor[dt]|(?:access|auth|bearer|subscription)[_-]?token)",
    re.IGNORECASE,
)
_KEY_OF_ENGINE = re.compile(
    r"(?:.*\.)?(?:headers\.(?:.*[_-])?(?:key|token|cookie)"
    r"|parameters\.(?:.*\.)?(?:(?:access|app|auth|client|private|subscription|user)[_-]?)?(?:key|token))",
    re.IGNORECASE,
)


def load_settings(values: object) -> Settings:
    """Checks a config, given as a plain nested mapping. Raises ConfigError with every problem at once."""
    if problems := [*_not_utf8(values), *secrets_in(values)]:
        raise ConfigError(problems)
    try:
        settings: Settings = _adapter().validate_python(values)
    except ValidationError as error:
        told = [_explain(dict(problem), values) for problem in error.errors(include_url=False)]
        raise ConfigError(list(dict.fromkeys(told))) from None
    problems = list(combination_problems(settings))
    if problems:
        raise ConfigError(problems)
    return with_training_part(settings)


@cache
def _adapter() -> Any:
    """Pydantic over the plain dataclasses, unknown keys forbidden and `kind` telling members of a union apart."""
    # Hydra reads `run=2` as a number.
    rules = ConfigDict(extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)
    for kind in records_of(Settings):
        kind.__pydantic_config__ = rules  # type: ignore[attr-defined]
    return TypeAdapter(Settings)


def records_of(root: type) -> Iterator[type]:
    """The dataclass and all those that its fields may hold."""
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


def _explain(problem: dict[str, Any], values: object) -> str:
    """Our message for one pydantic error in these values: the path, what is wrong, what to do."""
    path = _path(problem["loc"])
    given = problem.get("input")
    match problem["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            name = path.rpartition(".")[2]
            if name in _field_names() and (_UNIONS | _NAMED_UNIONS) & set(path.split(".")[:-1]):
                return f"{path}: the kind chosen here has no such setting; remove it with '~{path}'"
            return f"{path}: there is no such setting; {nearest(name, _field_names())}"
        case "dict_type" | "missing" | "missing_argument" if path in ("evaluate.benchmarks", "grow.also"):
            return (
                f"{path}: holds question sets by name; add one with +questions@{path}.<name>=<set>, remove one with "
                f"'~questions@{path}.<name>'"
            )
        case "string_type" if given is None and "items" in problem["loc"] and (folder := _unset_folder(values)):
            return f"{folder}: is not set; give {folder}=<folder with train and validation files>"
        case "tuple_type":
            items = given if isinstance(given, (str, int, float)) else "a,b"
            return f"{path}: should be a list, such as [{items}] (given: {given!r:.80})"
        case "dataclass_type":
            return f"{path}: is a group; give one of its settings as {path}.<setting>=... (given: {given!r:.80})"
        case "bool_parsing" | "bool_type":
            return f"{path}: should be true or false (given: {given!r:.80})"
        case "missing" | "missing_argument":
            return f"{path}: is missing; give {path}=..."
        case "union_tag_not_found":
            return f"{path}.kind: is missing; give {path}.kind=... and the settings of that kind"
        case "union_tag_invalid":
            return (
                f"{path}.kind: there is no {problem['ctx']['tag']!r}; choose one of {problem['ctx']['expected_tags']}"
            )
    message = problem["msg"][:1].lower() + problem["msg"][1:]
    return f"{path}: {message} (given: {given!r:.80})"


def _unset_folder(values: object) -> str:
    """Which folder of question files is null: `data`, or else `evaluate_data`; empty if neither is."""
    given = values if isinstance(values, dict) else {}
    return next((name for name in ("data", "evaluate_data") if given.get(name, "") is None), "")


@cache
def _field_names() -> list[str]:
    return sorted({field.name for kind in records_of(Settings) for field in fields(kind)})


_UNIONS = {
    "task",
    "policy",
    "reward_model",
    "grader",
    "teacher",
    "search",
    "questions",
    "finetune",
    "maker",
    "dispatcher",
}
_NAMED_UNIONS = {"benchmarks", "also"}


def _path(location: tuple[str | int, ...]) -> str:
    """The dotted path of a setting, without the union tags that pydantic adds to it."""
    parts = [str(part) for part in location]
    tags = {i for i in range(1, len(parts)) if parts[i - 1] in _UNIONS or (i > 1 and parts[i - 2] in _NAMED_UNIONS)}
    if parts[-1:] == ["kind"]:
        tags.discard(len(parts) - 1)
    return ".".join(part for i, part in enumerate(parts) if i not in tags)


def _not_utf8(values: object) -> Iterator[str]:
    """Texts with bytes that are not UTF-8: they cannot be saved in the run's files."""
    for path, value in flatten(values):
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and text.encode("utf-8", "replace") != text.encode("utf-8", "surrogatepass"):
                yield f"{path}: {text!r} is not valid UTF-8; write it in UTF-8"


def secrets_in(values: object) -> Iterator[str]:
    """Passwords and keys inside addresses, and in settings for keys."""
    for path, value in flatten(values):
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (problem := secret_problem(path, text)):
                yield problem


def secret_problem(path: str, text: str) -> str:
    """The message for a setting that contains a secret, without the secret; empty if it contains none."""
    part, _, name = path.rpartition(".")
    is_key = _KEY_SETTING.fullmatch(name) or _KEY_OF_ENGINE.fullmatch(path)
    if is_key and text not in ("", "null") and "{key}" not in text:
        return (
            f"{path}: holds a key, and settings are saved in files; store it in an environment variable, and name that "
            "in api_key_env (in a header or a parameter of a search engine, {key} stands for it)"
        )
    address = name in ("base_url", "url")
    if not (secret := secret_in(text, address=address)):
        return ""
    action = "remove it from the address"
    if name == "base_url":
        action = f"store it in an environment variable, and set {part}.api_key_env to its name"
    elif address:
        action = "use an address without it, such as a tunnel to the server on this machine"
    elif _QUESTIONS.search(path):
        action = "download the file and give its path"
    return f"{path}: holds {secret}, and settings are saved in files; {action}"


def nearest(name: str, names: list[str]) -> str:
    """A hint: the most similar of `names`; else the settings of its group, or where to find all of them."""
    close = max(names, key=lambda other: _likeness(name, other), default="")
    if close and _likeness(name, close) >= _LIKE:
        return f"did you mean {close}?"
    group = name.rpartition(".")[0]
    siblings = [other.removeprefix(f"{group}.") for other in names if group and other.startswith(f"{group}.")]
    if siblings:
        return f"{group} has {', '.join(siblings)}"
    return "see --help for the groups and --cfg job for every setting"


def _likeness(name: str, other: str) -> float:
    """How alike two settings are, 0 to 1. In the same group their last words count, and in a name without a group
    those of any group: `lr` is the initials of `finetune.learning_rate`, `device` the end of `policy.device`."""
    (group, _, word), (other_group, _, other_word) = name.rpartition("."), other.rpartition(".")
    if group not in ("", other_group):
        return 0.0 if name.startswith(f"{other}.") else difflib.SequenceMatcher(None, name, other).ratio()
    initials = "".join(part[0] for part in other_word.split("_") if len(part) > 1)
    likeness = _LIKE + 0.05 if len(word) > 1 and word == initials else 0.0
    if len(word) > 3 and other_word.startswith(word):
        likeness = 0.9
    likeness = max(likeness, difflib.SequenceMatcher(None, word, other_word).ratio())
    return likeness if group == other_group else likeness - 0.05
