"""Reading the settings: every wrong value, missing key and impossible combination at once, before any work is done.

    settings = load_settings(values)     # values: a composed config as nested dicts and lists

Each problem is a line with its path and the way out.
Not here: the settings themselves (settings), their values (configs/*.yaml), building parts from them (build).
"""

import difflib
import os
import re
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rest_react.config.settings import (
    Bm25,
    FileQuestions,
    GeminiModel,
    HubQuestions,
    OpenAIModel,
    QuestionSource,
    Settings,
    VllmModel,
)
from rest_react.errors import ConfigError
from rest_react.metrics.costs import NO_PRICE
from rest_react.redaction import secret_in
from rest_react.storage.locked_settings import flatten

# Of the call that renders a chat template, not of the template; and fields of a request that change what is rendered.
_NO_TEMPLATE_ARGUMENTS = {
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "messages", "padding",
    "return_dict", "return_tensors", "sanitize_control_tokens", "tokenize", "tools", "truncation",
}  # fmt: skip
_CHANGES_PROMPT = {
    "chat_template", "chat_template_kwargs", "template_kwargs", "add_generation_prompt", "continue_final_message",
    "add_special_tokens", "documents", "tools", "messages", "prompt", "enable_thinking", "thinking",
}  # fmt: skip
_OTHER_TEMPLATE = "serves another prompt than training sees; give the model's folder a tokenizer with that template"
_CHANGES_SERVED_PROMPT = {
    "--chat-template": _OTHER_TEMPLATE,
    "--default-chat-template-kwargs": "serves another prompt than training sees; use policy.chat_template_kwargs",
    "--tokenizer": "serves other tokens than training sees; name a model whose folder holds that tokenizer",
    "--tokenizer-mode": "serves other tokens than training sees; leave it out",
    "--tokenizer-revision": "serves other tokens than training sees; name a local copy of the model",
    "--revision": "serves other weights than training starts from; name a local copy of that revision",
}
_QUESTIONS = re.compile(r"^(?:grow|evaluate)\.")
# Question sets that their authors made for testing alone, by a part of their names.
TEST_ONLY = ("bamtwoogle",)


def load_settings(values: object) -> Settings:
    """Checks a config, given as a plain nested mapping. Raises ConfigError with every problem at once."""
    if problems := [*_not_utf8(values), *_secrets(values)]:
        raise ConfigError(problems)
    try:
        settings: Settings = _adapter().validate_python(values)
    except ValidationError as error:
        raise ConfigError([_explain(dict(problem)) for problem in error.errors(include_url=False)]) from None
    problems = list(_impossible(settings))
    if problems:
        raise ConfigError(problems)
    return settings


@cache
def _adapter() -> Any:
    """Pydantic over the plain dataclasses, unknown keys forbidden and `kind` telling members of a union apart."""
    # Hydra reads `run=2` as a number.
    rules = ConfigDict(extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)
    for kind in _dataclasses_of(Settings):
        kind.__pydantic_config__ = rules  # type: ignore[attr-defined]
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
            name = path.rpartition(".")[2]
            if name in _field_names() and (_UNIONS | _NAMED_UNIONS) & set(path.split(".")[:-1]):
                return f"{path}: there is no such setting for what is chosen here; leave it out: '~{path}'"
            return f"{path}: there is no such setting; {nearest(name, _field_names())}"
        case "missing" | "missing_argument":
            return f"{path}: is missing; give {path}=..."
        case "union_tag_not_found":
            return f"{path}.kind: is missing; give {path}.kind=... and what belongs to it"
        case "union_tag_invalid":
            return f"{path}.kind: {problem['ctx']['tag']!r} is none of {problem['ctx']['expected_tags']}"
    message = problem["msg"][:1].lower() + problem["msg"][1:]
    return f"{path}: {message} (given: {given!r:.80})"


@cache
def _field_names() -> list[str]:
    return sorted({field.name for kind in _dataclasses_of(Settings) for field in fields(kind)})


_UNIONS = {"task", "policy", "reward_model", "grader", "search", "questions", "finetune"}
_NAMED_UNIONS = {"benchmarks", "also"}


def _path(location: tuple[str | int, ...]) -> str:
    """The dotted path of a problem, without the union tag that pydantic puts behind a union's field."""
    parts = [str(part) for part in location]
    tags = {i for i in range(1, len(parts)) if parts[i - 1] in _UNIONS or (i > 1 and parts[i - 2] in _NAMED_UNIONS)}
    if parts[-1:] == ["kind"]:
        tags.discard(len(parts) - 1)
    return ".".join(part for i, part in enumerate(parts) if i not in tags)


def _not_utf8(values: object) -> Iterator[str]:
    """Bytes that Python could not read as text: no file of ours can hold them."""
    for path, value in flatten(values):
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and text.encode("utf-8", "replace") != text.encode("utf-8", "surrogatepass"):
                yield f"{path}: {text!r} holds bytes that are not UTF-8; write it in UTF-8"


def _secrets(values: object) -> Iterator[str]:
    """Passwords and keys inside addresses."""
    for path, value in flatten(values):
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (problem := secret_problem(path, text)):
                yield problem


def secret_problem(path: str, text: str) -> str:
    """What is wrong with a text setting that holds a secret, without the secret; empty if it holds none."""
    part, _, name = path.rpartition(".")
    address = name in ("base_url", "url")
    if not (secret := secret_in(text, address=address)):
        return ""
    way_out = "leave it out of the address"
    if name == "base_url":
        way_out = f"set an environment variable to it, and name that in {part}.api_key_env"
    elif address:
        way_out = "use an address that needs none, such as a tunnel to the server on this machine"
    elif _QUESTIONS.search(path):
        way_out = "download the file and give its path"
    return f"{path}: holds {secret}, and settings are written to files; {way_out}"


def _impossible(s: Settings) -> Iterator[str]:
    """Combinations that cannot work, each with its way out."""
    if not _plain(s.run):
        yield f"run: {s.run!r} must be a plain folder name (the folder above it is `output`)"
    if (length := len(s.run.encode())) > 255:
        yield f"run: is {length} bytes long, and a folder's name holds 255; shorten it"
    if s.output.startswith("~"):
        yield "output: write the folder out in full; ~ is not expanded here"
    if s.replay and s.cache is None:
        yield "replay: there is nothing to replay without a cache; give cache=<folder>"
    if s.budget.max_usd is not None:
        yield from _unpriced(s)
    if not s.evaluate.benchmarks:
        yield "evaluate.benchmarks: name at least one"
    for name in s.evaluate.benchmarks:
        if not _plain(name):
            yield f"evaluate.benchmarks: {name!r} must be a plain folder name"
    yield from _impossible_questions(s)
    yield from _verifier_of_other_questions(s)
    yield from _impossible_for_task(s)
    yield from _impossible_students(s)
    if isinstance(s.search, Bm25) and s.search.corpus != "questions" and not Path(s.search.corpus).is_file():
        yield f"search.corpus: there is no file {s.search.corpus}; give a JSONL of passages, or `questions`"
    if s.policy.kind == "scripted" and s.policy.right + s.policy.wrong + s.policy.unparsable + s.policy.empty <= 0:
        yield "policy: right, wrong, unparsable and empty are all 0; give at least one a share"
    if s.grow.reuse == s.run:
        yield "grow.reuse: a run cannot take over from itself; name another one"
    if s.grow.reuse_through and s.grow.reuse is None:
        yield "grow.reuse_through: names iterations of another run; name the run as well (grow.reuse)"
    if s.start == "demonstrations" and s.world.demonstrations == 0 and not s.demonstrations.exemplars:
        yield "start: demonstrations needs world.demonstrations above 0 or demonstrations.exemplars=true"
    shown = s.agent.exemplars == "always" or (s.agent.exemplars == "untuned" and s.start == "prompted")
    judged = _asks_reward_model(s) or s.grader.kind != "rule"
    if s.agent.prompts and not (shown or judged or s.demonstrations.exemplars):
        yield "agent.prompts: nobody reads them; give start=prompted, or demonstrations.exemplars=true to train on them"
    if s.improve.only_grounded and not s.agent.self_checks:
        yield "improve.only_grounded: there is no grounding check with agent.self_checks=false; turn one of them round"
    if s.finetune.whole_epochs and s.start == "demonstrations" and (s.demonstrations.epochs or 1) % 1:
        yield f"demonstrations.epochs: {s.demonstrations.epochs:g}, but a hosted job takes whole epochs; round it"
    if s.policy.kind == "gemini" and (s.iteration > 0 or s.start == "demonstrations"):
        yield "policy.kind: gemini cannot be fine-tuned; evaluate it with iteration=0 start=prompted, or policy=openai"
    if s.finetune.tunes == "provider" and s.policy.kind not in ("openai", "gemini"):
        way_out = "use finetune=local, or policy=openai"
        yield f"finetune.kind: {s.finetune.kind} cannot tune policy.kind={s.policy.kind}; {way_out}"
    if s.finetune.tunes == "here" and s.policy.kind == "openai":
        yield f"finetune.kind: {s.finetune.kind} cannot tune policy.kind=openai; use finetune=hosted, or policy=vllm"
    if s.finetune.learns_from == "preferences" and s.iteration:
        yield from _impossible_preferences(s)
    yield from _trained_otherwise(s)
    yield from s.finetune.problems("finetune")
    for role, model in (("reward_model", s.reward_model), ("grader", s.grader)):
        judge = s.policy.kind if model.kind == "same" else model.kind
        if judge == "scripted" and (role == "grader" or _asks_reward_model(s)):
            yield f"{role}: the scripted policy knows plans, it cannot judge; choose another {role}"


def _impossible_preferences(s: Settings) -> Iterator[str]:
    """A trainer of preferences needs samples to compare, and a policy that is tuned already: its reference model."""
    if s.grow.samples == 1:
        yield f"grow.samples: 1, but finetune.kind={s.finetune.kind} compares samples of a step; set it to 2 or more"
    if s.start == "prompted" and s.agent.exemplars != "never":
        yield (
            f"finetune.kind: {s.finetune.kind} starts from a tuned policy, and with start=prompted there is none; use "
            "start=demonstrations or, for a policy.model that is tuned already, agent.exemplars=never"
        )


def _trained_otherwise(s: Settings) -> Iterator[str]:
    """Settings under which a tuned model would be asked with other tokens than it was trained on."""
    for role, model in (("policy", s.policy), ("reward_model", s.reward_model), ("grader", s.grader)):
        for name in sorted({*getattr(model, "chat_template_kwargs", ())} & _NO_TEMPLATE_ARGUMENTS):
            yield f"{role}.chat_template_kwargs: {name} is not an argument of a template; leave it out"
    if not (s.iteration > 0 or s.start == "demonstrations"):
        return
    policy = s.policy
    if s.finetune.tunes == "provider" and isinstance(policy, OpenAIModel):
        if policy.mode == "completion":
            yield "policy.mode: completion, but a hosted job trains on chats; set policy.mode=chat"
        of_template = ["chat_template_kwargs"] if policy.chat_template_kwargs else []
        of_template += [f"extra_body.{name}" for name in policy.extra_body if name in _CHANGES_PROMPT]
        for name in of_template:
            yield (
                f"policy.{name}: changes the prompt, and a hosted job trains on the provider's own; leave it out, or "
                "tune the model yourself with policy=vllm policy.chat_template_kwargs=... finetune=local"
            )
    if s.finetune.tunes == "here" and isinstance(policy, VllmModel):
        for flag in policy.extra_args:
            name = flag.partition("=")[0].replace("_", "-")
            if name in _CHANGES_SERVED_PROMPT:
                yield f"policy.extra_args: {name} {_CHANGES_SERVED_PROMPT[name]}"


def _impossible_questions(s: Settings) -> Iterator[str]:
    """The same of question sets: what is asked of whom, and where its passages are."""
    grown = {"grow.questions": s.grow.questions}
    grown |= {f"grow.also.{name}": source for name, source in s.grow.also.items()}
    sources = grown | {f"evaluate.benchmarks.{name}": source for name, source in s.evaluate.benchmarks.items()}
    for path, source in grown.items():
        if _test_only(_origin(source)):
            yield f"{path}: {_origin(source)} is for testing only; grow on another set"
    for name in s.grow.allow_overlap:
        if name in benchmarks_for_testing(s):
            yield f"grow.allow_overlap: {name} is for testing only; leave it out and grow on other questions"
    yield from dict.fromkeys(
        problem
        for path, source in sources.items()
        if isinstance(source, FileQuestions)
        for problem in _missing_files(path, source, s)
    )
    if s.policy.kind == "scripted":
        for path, source in sources.items():
            if source.kind != "world":
                yield f"{path}: policy=scripted knows the built-in world alone; use kind: world, or another policy"
    if s.task.kind != "search_qa":
        return
    if s.search.kind == "duckduckgo" or (isinstance(s.search, Bm25) and s.search.corpus != "questions"):
        web = s.search.kind == "duckduckgo"
        where, back = ("the web", "search=bm25") if web else ("search.corpus", "it to questions")
        for path, source in sources.items():
            if source.kind == "world" and (s.iteration or path not in grown):
                yield f"{path}: {where} knows nothing of the built-in world; ask other questions, or set {back}"
    if isinstance(s.search, Bm25) and s.search.corpus == "questions":
        for path, source in sources.items():
            if isinstance(source, HubQuestions) or (isinstance(source, FileQuestions) and source.corpus is None):
                own = f"{path}.corpus" if isinstance(source, FileQuestions) else "search.corpus"
                yield (
                    f"{path}: has no corpus for search=bm25; set {own}=<passages.jsonl> (or to the question file, "
                    "where its rows hold their contexts), or use experiment=web"
                )


def _verifier_of_other_questions(s: Settings) -> Iterator[str]:
    """`verified` with questions that its rules (tasks.search_qa.verifier) were not written for."""
    grown = {"grow.questions": s.grow.questions} | {f"grow.also.{name}": one for name, one in s.grow.also.items()}
    asked = grown | {f"evaluate.benchmarks.{name}": one for name, one in s.evaluate.benchmarks.items()}
    for path, chosen, sources, other in (
        ("agent.select", s.agent.select, asked, "perplexity"),
        ("improve.selector", s.improve.selector, grown, "perplexity"),
        ("improve.keep", s.improve.keep, grown, "all"),
    ):
        others = [name for name, source in sources.items() if source.kind != "world"]
        if chosen == "verified" and s.task.kind != "search_qa":
            yield f"{path}: task={s.task.kind} has no verifier; set {path}={other}"
            continue
        if chosen == "verified" and others:
            yield (
                f"{path}: the rules of `verified` are valid only for questions of the built-in world; they would "
                f"reject most correct answers of {' and '.join(others)}; set {path}={other}"
            )


def _impossible_for_task(s: Settings) -> Iterator[str]:
    """Settings of search_qa that another task cannot follow."""
    if s.task.kind == "search_qa":
        return
    if s.improve.only_grounded:
        yield f"improve.only_grounded: task={s.task.kind} has no grounding check; set improve.only_grounded=false"
    if s.improve.max_searches is not None:
        yield f"improve.max_searches: task={s.task.kind} does not search; set improve.max_searches=null"
    if s.grader.kind != "rule":
        yield f"grader: task={s.task.kind} compares answers with the labels; set grader=rule"


def _impossible_students(s: Settings) -> Iterator[str]:
    """Students whose runs could not be told apart, or not be named."""
    names = [student.name for student in s.students]
    for student, name in zip(s.students, names, strict=True):
        if not name or not _plain(name):
            yield f"students: {student.model!r} ends in no name for its run; give a model's name or its folder"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"students: {names.count(name)} of them would share the run {s.run}_{name}; give them in several commands"


def benchmarks_for_testing(s: Settings) -> set[str]:
    """Benchmarks that no setting allows to be grown on, as `evaluate.benchmarks` calls them."""
    return {name for name, source in s.evaluate.benchmarks.items() if _test_only(name) or _test_only(_origin(source))}


def _test_only(name: str) -> bool:
    return any(word in name.casefold() for word in TEST_ONLY)


def _origin(source: QuestionSource) -> str:
    match source:
        case FileQuestions(path=path):
            return path
        case HubQuestions(name=name):
            return name
    return ""


def _unpriced(s: Settings) -> Iterator[str]:
    """What a limit in dollars cannot be kept without."""
    for role, part in _used(s).items():
        price = getattr(part, "price", NO_PRICE)
        for side in ("input", "output"):
            if getattr(price, side) is None:
                yield f"{role}.price.{side}: budget.max_usd needs it; give US dollars per million tokens"


def missing_keys(s: Settings) -> list[str]:
    """A problem for each key that is not in its environment variable; a replay asks no model."""
    problems = []
    for role, part in _used(s).items():
        name, asked = getattr(part, "api_key_env", None), role == "finetune" or not s.replay
        if name and asked and not os.environ.get(name, "").strip():
            # Gemini always wants one.
            out = "" if isinstance(part, GeminiModel) else f", or give {role}.api_key_env=null if none is wanted"
            problems.append(f"{role}.api_key_env: the environment variable {name} is not set; set it to your key{out}")
    return problems


def _used(s: Settings) -> dict[str, object]:
    """The parts that may cost something, by role."""
    used: dict[str, object] = {"policy": s.policy, "grader": s.grader}
    if s.iteration > 0 and _asks_reward_model(s):
        used["reward_model"] = s.reward_model
    if s.iteration > 0 or s.start == "demonstrations":
        used["finetune"] = s.finetune
    return used


def _plain(name: str) -> bool:
    return not (name.startswith(".") or set(name) & {"/", "\\", "\0"})


def _missing_files(path: str, source: FileQuestions, s: Settings) -> Iterator[str]:
    needed = next((name for name in ("data", "evaluate_data") if getattr(s, name) is None), None)
    for name, file in (("path", source.path), ("corpus", source.corpus)):
        if file is not None and file.startswith("None/") and needed:  # what `${data}/...` makes of null
            yield f"{needed}: is needed; give {needed}=<folder with questions.jsonl and corpus.jsonl>"
        elif file is not None and not Path(file).is_file():
            yield f"{path}.{name}: there is no file {file}"


def _asks_reward_model(s: Settings) -> bool:
    return s.improve.selector == "reward_model" or s.improve.keep == "judged_good"


def nearest(name: str, names: list[str]) -> str:
    """A hint at the most similar of `names`, or at where to find them."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "see --help for the groups and --cfg job for every setting"
