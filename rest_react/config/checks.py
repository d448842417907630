"""Settings that cannot go together, each as a line with its path and the way out.

    for problem in combination_problems(settings): ...

What concerns one client alone is checked by its settings (`problems`), beside the client.
Not here: values that are wrong by themselves (load).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from rest_react.config.settings import Questions, SameModel, Settings, model_behind
from rest_react.judges.grader import RuleGraderSettings
from rest_react.metrics.costs import NO_PRICE

# Question sets that their authors made for testing alone, by a part of their names.
TEST_ONLY = ("bamtwoogle",)


def combination_problems(s: Settings) -> Iterator[str]:
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
    yield from s.search.problems("search")
    for role, model in (("policy", s.policy), ("reward_model", s.reward_model), ("grader", s.grader)):
        if not isinstance(model, (SameModel, RuleGraderSettings)):
            yield from model.problems(role)
    yield from s.finetune.problems("finetune")
    if s.grow.reuse == s.run:
        yield "grow.reuse: a run cannot take over from itself; name another one"
    if s.grow.reuse_through and s.grow.reuse is None:
        yield "grow.reuse_through: names iterations of another run; name the run as well (grow.reuse)"
    if s.start == "demonstrations" and s.world.demonstrations == 0 and not s.demonstrations.exemplars:
        yield "start: demonstrations needs world.demonstrations above 0 or demonstrations.exemplars=true"
    shown = s.agent.exemplars == "always" or (s.agent.exemplars == "untuned" and s.start == "prompted")
    judged = _asks_reward_model(s) or model_behind(s.grader, s.policy) is not None
    if s.agent.prompts and not (shown or judged or s.demonstrations.exemplars):
        yield "agent.prompts: nobody reads them; give start=prompted, or demonstrations.exemplars=true to train on them"
    if s.improve.only_grounded and not s.agent.self_checks:
        yield "improve.only_grounded: there is no grounding check with agent.self_checks=false; turn one of them round"
    if s.finetune.whole_epochs and s.start == "demonstrations" and (s.demonstrations.epochs or 1) % 1:
        yield f"demonstrations.epochs: {s.demonstrations.epochs:g}, but a hosted job takes whole epochs; round it"
    yield from _impossible_tuning(s)
    if s.finetune.learns_from == "preferences" and s.iteration:
        yield from _impossible_preferences(s)
    for role, judge in (("reward_model", s.reward_model), ("grader", s.grader)):
        asked = model_behind(judge, s.policy)
        if asked is not None and asked.runs == "script" and (role == "grader" or _asks_reward_model(s)):
            yield f"{role}: the scripted policy knows plans, it cannot judge; choose another {role}"


def _impossible_tuning(s: Settings) -> Iterator[str]:
    """A policy that the trainer cannot tune, or would tune on other tokens than it is asked with."""
    trains = s.iteration > 0 or s.start == "demonstrations"
    policy, trainer = s.policy, s.finetune
    if policy.tuned == "nowhere" and trains:
        yield (
            f"policy.kind: {policy.kind} cannot be fine-tuned; evaluate it with iteration=0 start=prompted, or "
            "policy=openai"
        )
    if trainer.tunes == "provider" and policy.tuned == "here":
        way_out = "use finetune=local, or policy=openai"
        yield f"finetune.kind: {trainer.kind} cannot tune policy.kind={policy.kind}; {way_out}"
    if trainer.tunes == "here" and policy.tuned == "provider":
        way_out = "use finetune=hosted, or policy=vllm"
        yield f"finetune.kind: {trainer.kind} cannot tune policy.kind={policy.kind}; {way_out}"
    if trainer.tunes == policy.tuned and trains:
        yield from policy.problems_when_tuned("policy")


def _impossible_preferences(s: Settings) -> Iterator[str]:
    """A trainer of preferences needs samples to compare, and a policy that is tuned already: its reference model."""
    if s.grow.samples == 1:
        yield f"grow.samples: 1, but finetune.kind={s.finetune.kind} compares samples of a step; set it to 2 or more"
    if s.start == "prompted" and s.agent.exemplars != "never":
        yield (
            f"finetune.kind: {s.finetune.kind} starts from a tuned policy, and with start=prompted there is none; use "
            "start=demonstrations or, for a policy.model that is tuned already, agent.exemplars=never"
        )


def _impossible_questions(s: Settings) -> Iterator[str]:
    """The same of question sets: what is asked of whom, and where its passages are."""
    grown = {"grow.questions": s.grow.questions}
    grown |= {f"grow.also.{name}": source for name, source in s.grow.also.items()}
    sources = grown | {f"evaluate.benchmarks.{name}": source for name, source in s.evaluate.benchmarks.items()}
    for path, source in grown.items():
        if _test_only(source.origin()):
            yield f"{path}: {source.origin()} is for testing only; grow on another set"
    for name in s.grow.allow_overlap:
        if name in benchmarks_for_testing(s):
            yield f"grow.allow_overlap: {name} is for testing only; leave it out and grow on other questions"
    yield from dict.fromkeys(problem for path, source in sources.items() for problem in _missing_files(path, source, s))
    if s.policy.runs == "script":
        for path, source in sources.items():
            if not source.is_world:
                way_out = "use kind: world, or another policy"
                yield f"{path}: policy={s.policy.kind} knows the built-in world alone; {way_out}"
    if not s.task.searches:
        return
    if lacking := s.search.lacks_world():
        for path, source in sources.items():
            if source.is_world and (s.iteration or path not in grown):
                yield f"{path}: {lacking}"
    if s.search.wants_passages():
        for path, source in sources.items():
            if own := source.setting_of_passages(path):
                yield (
                    f"{path}: has no corpus for search={s.search.kind}; set {own}=<passages.jsonl> (or to the question "
                    "file, where its rows hold their contexts), or use experiment=web"
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
        others = [name for name, source in sources.items() if not source.is_world]
        if chosen == "verified" and not s.task.searches:
            yield f"{path}: task={s.task.kind} has no verifier; set {path}={other}"
            continue
        if chosen == "verified" and others:
            yield (
                f"{path}: the rules of `verified` are valid only for questions of the built-in world; they would "
                f"reject most correct answers of {' and '.join(others)}; set {path}={other}"
            )


def _impossible_for_task(s: Settings) -> Iterator[str]:
    """Settings that the task cannot follow: it has no such items, prompts, searches or checks."""
    if not s.task.has_items:
        yield from _impossible_without_items(s)
    if _asks_reward_model(s) and "ranking.txt" not in s.task.judge_prompts:
        way_out = "set improve.selector=perplexity improve.keep=all"
        yield f"improve.selector: task={s.task.kind} has no prompt for a reward model; {way_out}"
    if s.task.searches:
        return
    if s.improve.only_grounded:
        yield f"improve.only_grounded: task={s.task.kind} has no grounding check; set improve.only_grounded=false"
    if s.improve.max_searches is not None:
        yield f"improve.max_searches: task={s.task.kind} does not search; set improve.max_searches=null"
    if s.grader.kind != "rule":
        yield f"grader: task={s.task.kind} compares answers with the labels; set grader=rule"


def _impossible_without_items(s: Settings) -> Iterator[str]:
    """What needs the built-in items of a task, or their scripted policy."""
    asked = {"grow.questions": s.grow.questions} | {f"grow.also.{name}": one for name, one in s.grow.also.items()}
    asked |= {f"evaluate.benchmarks.{name}": one for name, one in s.evaluate.benchmarks.items()}
    for path, source in asked.items():
        if source.is_world and (s.iteration or not path.startswith("grow.")):
            yield f"{path}: task={s.task.kind} has no built-in items; give a set of your own (questions/file.yaml)"
    if s.policy.runs == "script":
        yield f"policy.kind: task={s.task.kind} has no scripted policy; choose another policy"
    if s.start == "demonstrations" and s.world.demonstrations:
        yield f"start: task={s.task.kind} has no demonstrations; set start=prompted"


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
    return {name for name, source in s.evaluate.benchmarks.items() if _test_only(name) or _test_only(source.origin())}


def _test_only(name: str) -> bool:
    return any(word in name.casefold() for word in TEST_ONLY)


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
            needed = getattr(part, "always_needs_key", False)
            out = "" if needed else f", or give {role}.api_key_env=null if none is wanted"
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


def _missing_files(path: str, source: Questions, s: Settings) -> Iterator[str]:
    needed = next((name for name in ("data", "evaluate_data") if getattr(s, name) is None), None)
    for name, file in source.files():
        if file.startswith("None/") and needed:  # what `${data}/...` makes of null
            yield f"{needed}: is needed; give {needed}=<folder with questions.jsonl and corpus.jsonl>"
        elif not Path(file).is_file():
            yield f"{path}.{name}: there is no file {file}"


def _asks_reward_model(s: Settings) -> bool:
    return s.improve.selector == "reward_model" or s.improve.keep == "judged_good"
