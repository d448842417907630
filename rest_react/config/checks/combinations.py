"""Combinations of settings that cannot work: one line each, with the setting and what to do.

    for problem in combination_problems(settings): ...

Not here: single values that are wrong (config.load); what this machine lacks (needs).
"""

from collections.abc import Iterator

from rest_react.config.checks.finetune import choice_problems, preference_problems, tuning_problems
from rest_react.config.checks.improve import (
    option_problems,
    reading_problems,
    scoring_problems,
    trained_judge_problems,
    trajectory_filter_problems,
)
from rest_react.config.checks.needs import missing_prices
from rest_react.config.checks.ports import port_problems
from rest_react.config.checks.question_sets import question_problems, verifier_problems
from rest_react.config.checks.task import task_problems
from rest_react.config.settings import SameModel, Settings, TrainedModel, asks_reward_model, model_behind
from rest_react.config.students import settings_of_student
from rest_react.judges.grader import RuleGraderSettings
from rest_react.tasks.agent_settings import shows_exemplars

_SHARED = {"tools": "tools (task=tool_maker)", "multirun": "sweeps"}


def combination_problems(s: Settings) -> Iterator[str]:
    """One line for each combination that cannot work, with what to do."""
    yield from _folder_problems(s)
    if s.replay and s.cache is None:
        yield "replay: needs a cache; set cache=<folder>"
    if s.budget.max_usd is not None:
        yield from missing_prices(s)
    if not s.evaluate.benchmarks:
        yield "evaluate.benchmarks: is empty; add one with +questions@evaluate.benchmarks.<name>=<set>"
    for name in s.evaluate.benchmarks:
        if not _plain(name):
            yield f"evaluate.benchmarks: {name!r} is not a plain folder name; leave out / and leading dots"
        if name in ("grow", "all"):
            yield f"evaluate.benchmarks: {name!r} has a meaning of its own in exports and reports; choose another name"
    yield from question_problems(s)
    yield from verifier_problems(s)
    yield from task_problems(s)
    yield from _student_problems(s)
    yield from s.search.problems("search")
    yield from _problems_of_models(s)
    yield from port_problems(s)
    yield from s.finetune.problems("finetune")
    if s.grow.reuse == s.run:
        yield "grow.reuse: a run cannot reuse its own stages; give the name of another run"
    if s.grow.reuse_through and s.grow.reuse is None:
        yield "grow.reuse_through: needs the run to reuse; set grow.reuse=<name of a run>"
    if s.start == "demonstrations" and not (_demonstrated(s) or s.demonstrations.exemplars):
        yield "start: there are no demonstrations; set world.demonstrations above 0 or demonstrations.exemplars=true"
    if s.agent.prompts and not _reads_prompts(s):
        yield "agent.prompts: is not used; set start=prompted, or demonstrations.exemplars=true to train on them"
    if isinstance(s.reward_model, TrainedModel) and s.iteration and asks_reward_model(s):
        yield from trained_judge_problems(s)
    if s.improve.reward == "options":
        yield from option_problems(s)
    if s.improve.only_grounded and not s.agent.self_checks:
        yield "improve.only_grounded: needs agent.self_checks=true; set it, or set improve.only_grounded=false"
    yield from trajectory_filter_problems(s)
    yield from reading_problems(s)
    yield from scoring_problems(s)
    if s.improve.max_examples == 0 and not (s.start == "demonstrations" and s.finetune.mix_demonstrations):
        yield (
            "improve.max_examples: 0 trains on the demonstrations alone; set start=demonstrations and "
            "finetune.mix_demonstrations=true, or raise it"
        )
    if s.improve.equal_steps == "drop" and s.grow.samples == 1:
        yield "improve.equal_steps: drop needs several samples a step; set grow.samples=4, or improve.equal_steps=keep"
    yield from tuning_problems(s)
    yield from choice_problems(s)
    if s.finetune.learns_from == "preferences" and s.iteration:
        yield from preference_problems(s)
    for role, judge in (("reward_model", s.reward_model), ("grader", s.grader)):
        asked = model_behind(judge, s.policy)
        if asked is not None and asked.runs == "script" and (role == "grader" or asks_reward_model(s)):
            other = "rule" if role == "grader" and s.task.rating_prompt() is None else "smollm2"
            yield f"{role}: the scripted policy cannot judge; choose another {role}, such as {role}={other}"


def _reads_prompts(s: Settings) -> bool:
    """Whether the files in `agent.prompts` are shown to the policy, a baseline or a judge, or trained on."""
    shown = shows_exemplars(s.agent.exemplars, tuned=s.start == "demonstrations")
    compared = any(s.task.baseline_shots(name) is not None for name in s.task.baseline_names())
    judged = asks_reward_model(s) or model_behind(s.grader, s.policy) is not None
    return shown or compared or judged or s.demonstrations.exemplars


def _folder_problems(s: Settings) -> Iterator[str]:
    """The problems of the names of folders."""
    if not _plain(s.run):
        yield f"run: {s.run!r} is not a plain folder name; leave out / and leading dots (`output` sets its parent)"
    if (length := len(s.run.encode())) > 255:
        yield f"run: the name is {length} bytes long, but a folder name has at most 255; shorten it"
    if s.run in _SHARED:
        yield f"run: {s.run!r} is the folder of all runs' {_SHARED[s.run]}; choose another name"
    folders = {"output": s.output, "cache": s.cache, "task.tools": getattr(s.task, "tools", None)}
    for name, folder in folders.items():
        if folder is not None and folder.startswith("~"):
            yield f"{name}: ~ is not expanded; give the full path"


def _problems_of_models(s: Settings) -> Iterator[str]:
    """The problems of each role's own settings."""
    roles = {"policy": s.policy, "reward_model": s.reward_model, "grader": s.grader, "teacher": s.teacher}
    for role, model in roles.items():
        if not isinstance(model, (SameModel, TrainedModel, RuleGraderSettings)):
            yield from model.problems(role)


def _student_problems(s: Settings) -> Iterator[str]:
    """Students without data, or whose runs would have no name, or the same name."""
    if s.students and s.improve.max_examples == 0:
        yield "students: improve.max_examples=0 leaves no trajectories that they could learn from; raise it"
    names = [student.name for student in s.students]
    for student, name in zip(s.students, names, strict=True):
        if not name or not _plain(name):
            yield f"students: {student.model!r} gives no name for the run of the student; give a model name or a folder"
        elif student.model == getattr(s.policy, "model", None):
            yield (
                f"students: {student.model} is the policy itself; a student is another model that learns from its "
                "trajectories"
            )
        elif (length := len(f"{s.run}_{name}".encode())) > 255:
            yield f"students: the folder {s.run}_{name} would have {length} bytes, but at most 255 are possible"
        price = settings_of_student(s, student).policy.price
        if s.budget.max_usd is not None and None in (price.input, price.output):
            yield (
                f"students: budget.max_usd needs the price of {student.model}; give it as "
                f"{{model: {student.model}, price: {{input: 0.4, output: 1.6}}}}, in US dollars per million tokens"
            )
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"students: {names.count(name)} of them have the same run {s.run}_{name}; use one command for each"


def _demonstrated(s: Settings) -> bool:
    return s.demonstrations.questions is not None or s.world.demonstrations > 0


def _plain(name: str) -> bool:
    return not (name.startswith(".") or set(name) & {"/", "\\", "\0"})
