"""Combinations of settings that cannot work: one line each, with the setting and what to do.

    for problem in combination_problems(settings): ...

The settings of one client are checked beside the client (`problems`).
Not here: single values that are wrong (config.load).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from rest_react.config.settings import Questions, SameModel, Settings, TrainedModel, asks_reward_model, model_behind
from rest_react.judges.grader import RuleGraderSettings
from rest_react.metrics.prices import NO_PRICE
from rest_react.reporting.tracking.open_tracker import missing_tracker
from rest_react.search.pages import missing_package
from rest_react.selection.option_ranking import MOST_OPTIONS
from rest_react.selection.trajectory_filters import FEWEST_TRAJECTORIES, NEED_SEARCHES

# Question sets that their authors published for testing only, by a part of their names.
TEST_ONLY = ("bamtwoogle",)


def combination_problems(s: Settings) -> Iterator[str]:
    """One line for each combination that cannot work, with what to do."""
    if not _plain(s.run):
        yield f"run: {s.run!r} is not a plain folder name; leave out / and leading dots (`output` sets its parent)"
    if (length := len(s.run.encode())) > 255:
        yield f"run: the name is {length} bytes long, but a folder name has at most 255; shorten it"
    if s.output.startswith("~"):
        yield "output: ~ is not expanded; give the full path"
    if s.replay and s.cache is None:
        yield "replay: needs a cache; set cache=<folder>"
    if s.budget.max_usd is not None:
        yield from _unpriced(s)
    if not s.evaluate.benchmarks:
        yield "evaluate.benchmarks: is empty; add at least one benchmark"
    for name in s.evaluate.benchmarks:
        if not _plain(name):
            yield f"evaluate.benchmarks: {name!r} is not a plain folder name; leave out / and leading dots"
    yield from _impossible_questions(s)
    yield from _verifier_of_other_questions(s)
    yield from _impossible_for_task(s)
    yield from _impossible_students(s)
    yield from s.search.problems("search")
    yield from _problems_of_models(s)
    yield from s.finetune.problems("finetune")
    if s.grow.reuse == s.run:
        yield "grow.reuse: a run cannot reuse its own stages; give the name of another run"
    if s.grow.reuse_through and s.grow.reuse is None:
        yield "grow.reuse_through: needs the run to reuse; set grow.reuse=<name of a run>"
    if s.start == "demonstrations" and not (_demonstrated(s) or s.demonstrations.exemplars):
        yield "start: there are no demonstrations; set world.demonstrations above 0 or demonstrations.exemplars=true"
    shown = s.agent.exemplars == "always" or (s.agent.exemplars == "untuned" and s.start == "prompted")
    judged = asks_reward_model(s) or model_behind(s.grader, s.policy) is not None
    if s.agent.prompts and not (shown or judged or s.demonstrations.exemplars):
        yield "agent.prompts: is not used; set start=prompted, or demonstrations.exemplars=true to train on them"
    if isinstance(s.reward_model, TrainedModel) and s.iteration and asks_reward_model(s):
        yield from _impossible_trained_judge(s)
    if s.improve.reward == "options":
        yield from _impossible_options(s)
    if s.improve.only_grounded and not s.agent.self_checks:
        yield "improve.only_grounded: needs agent.self_checks=true; set it, or set improve.only_grounded=false"
    yield from _impossible_trajectory_filter(s)
    if s.improve.max_examples == 0 and not (s.start == "demonstrations" and s.finetune.mix_demonstrations):
        yield (
            "improve.max_examples: 0 trains on the demonstrations alone; set start=demonstrations and "
            "finetune.mix_demonstrations=true, or raise it"
        )
    if s.improve.equal_steps == "drop" and s.grow.samples == 1:
        yield "improve.equal_steps: drop needs several samples a step; set grow.samples=4, or improve.equal_steps=keep"
    if s.finetune.whole_epochs and s.start == "demonstrations" and (s.demonstrations.epochs or 1) % 1:
        yield f"demonstrations.epochs: {s.demonstrations.epochs:g}, but a hosted job trains for whole epochs; round it"
    yield from _impossible_tuning(s)
    if s.finetune.learns_from == "preferences" and s.iteration:
        yield from _impossible_preferences(s)
    for role, judge in (("reward_model", s.reward_model), ("grader", s.grader)):
        asked = model_behind(judge, s.policy)
        if asked is not None and asked.runs == "script" and (role == "grader" or asks_reward_model(s)):
            yield f"{role}: the scripted policy cannot judge; choose another {role}"


def _impossible_trajectory_filter(s: Settings) -> Iterator[str]:
    """Filters of trajectories that would keep none, or have no effect."""
    keep, asked = s.improve.keep_trajectories, s.grow.trajectories_per_question
    if asked < (fewest := FEWEST_TRAJECTORIES.get(keep, 1)):
        yield (
            f"improve.keep_trajectories: {keep} keeps no trajectory with grow.trajectories_per_question={asked}; set "
            f"{fewest} or more, for example 4"
        )
    if keep in NEED_SEARCHES and not s.task.searches:
        yield f"improve.keep_trajectories: {keep} needs search results, but task={s.task.kind} has none; set agreeing"
    if s.improve.rejected_trajectories == "good_steps":
        useless = {
            "improve.keep_trajectories=all rejects none": keep == "all",
            f"task={s.task.kind} does not search": not s.task.searches,
            "grow.trajectories_per_question=1 leaves no kept one to compare with": asked == 1,
        }
        if reason := next((reason for reason, holds in useless.items() if holds), ""):
            yield f"improve.rejected_trajectories: good_steps has no effect, because {reason}; set drop"


def _impossible_trained_judge(s: Settings) -> Iterator[str]:
    """A judge that has nothing to learn from, cannot be tuned, or is asked about answers."""
    if s.start != "demonstrations":
        yield "reward_model.kind: trained learns from demonstrations; set start=demonstrations, or another reward_model"
    if s.finetune.tunes != "here":
        yield (
            f"reward_model.kind: trained needs weights that are tuned here, but finetune.kind={s.finetune.kind}; "
            "choose another reward_model"
        )
    if s.improve.keep_trajectories == "judged_good":
        yield (
            "improve.keep_trajectories: judged_good, but reward_model=trained judges steps, not answers; set "
            "improve.keep=judged_good, or another reward_model"
        )


def _impossible_options(s: Settings) -> Iterator[str]:
    """A reward model that scores options but is not asked, or has too many options to score."""
    if not asks_reward_model(s):
        yield (
            "improve.reward: options, but no reward model is asked; set improve.selector=reward_model, "
            "improve.keep=judged_good or improve.keep_trajectories=judged_good, or improve.reward=generate"
        )
    if s.improve.selector == "reward_model" and s.grow.samples > MOST_OPTIONS:
        yield f"grow.samples: {s.grow.samples}, but improve.reward=options scores at most {MOST_OPTIONS} options"
    if s.task.judge_prompts and "best_option.txt" not in s.task.judge_prompts:
        yield f"improve.reward: task={s.task.kind} has no prompt for options; set improve.reward=generate"


def _problems_of_models(s: Settings) -> Iterator[str]:
    """The problems of each role's own settings."""
    roles = {"policy": s.policy, "reward_model": s.reward_model, "grader": s.grader, "teacher": s.teacher}
    for role, model in roles.items():
        if not isinstance(model, (SameModel, TrainedModel, RuleGraderSettings)):
            yield from model.problems(role)


def _impossible_tuning(s: Settings) -> Iterator[str]:
    """A policy that the trainer cannot tune, or that would be trained and sampled with different tokens."""
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
        way_out = "use finetune=hosted, policy=vllm, or policy.load_weights=[<command>] (docs/servers.md)"
        yield f"finetune.kind: {trainer.kind} cannot tune policy.kind={policy.kind}; {way_out}"
    if trainer.tunes == policy.tuned and trains:
        yield from policy.problems_when_tuned("policy")


def _impossible_preferences(s: Settings) -> Iterator[str]:
    """A trainer that learns from preferences needs several samples per step, and a tuned policy as reference model."""
    if s.grow.samples == 1:
        yield f"grow.samples: 1, but finetune.kind={s.finetune.kind} compares the samples of a step; set 2 or more"
    if s.start == "prompted" and s.agent.exemplars != "never":
        yield (
            f"finetune.kind: {s.finetune.kind} needs a tuned policy, but start=prompted gives none; set "
            "start=demonstrations or, if policy.model is already tuned, agent.exemplars=never"
        )


def _impossible_questions(s: Settings) -> Iterator[str]:
    """Question sets that may not be used, or that the policy or the search engine cannot work with."""
    grown = {"grow.questions": s.grow.questions}
    grown |= {f"grow.also.{name}": source for name, source in s.grow.also.items()}
    if s.demonstrations.questions is not None:
        grown["demonstrations.questions"] = s.demonstrations.questions
        if not s.task.demonstrates_rows:
            yield (
                f"demonstrations.questions: the expert of task={s.task.kind} knows only the built-in items; set it to "
                "null, or set start=prompted"
            )
        if s.demonstrations.questions.is_world:
            yield "demonstrations.questions: the built-in world's are demonstrated by default; set it to null"
    sources = grown | {f"evaluate.benchmarks.{name}": source for name, source in s.evaluate.benchmarks.items()}
    for path, source in grown.items():
        if _test_only(source.origin()):
            yield f"{path}: {source.origin()} is for testing only; use another question set in Grow"
    for name in s.grow.allow_overlap:
        if name in benchmarks_for_testing(s):
            yield f"grow.allow_overlap: {name} is for testing only; remove it, and use other questions in Grow"
    yield from dict.fromkeys(problem for path, source in sources.items() for problem in _missing_files(path, source, s))
    if s.policy.runs == "script":
        for path, source in sources.items():
            if not source.is_world and path != "demonstrations.questions":
                yield (
                    f"{path}: policy={s.policy.kind} can answer only questions of the built-in world; use kind: world, "
                    "or another policy"
                )
    if not s.task.searches:
        return
    if s.agent.read_pages and not s.search.gives_pages:
        yield f"agent.read_pages: the results of search={s.search.kind} are not web pages; set it to 0"
    elif s.agent.read_pages and (missing := missing_package()):
        yield f"agent.read_pages: {missing}"
    if lacking := s.search.lacks_world():
        for path, source in sources.items():
            if source.is_world and (s.iteration or path not in grown):
                yield f"{path}: {lacking}"
    if s.search.wants_passages():
        for path, source in sources.items():
            if own := source.setting_of_passages(path):
                yield (
                    f"{path}: has no corpus, but search={s.search.kind} needs one; set {own}=<passages.jsonl> (or the "
                    "question file itself if its rows contain contexts), or use experiment=web"
                )


def _verifier_of_other_questions(s: Settings) -> Iterator[str]:
    """`verified` with questions for which its rules (tasks.search_qa.judging.verifier) are not valid."""
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
    yield from s.task.problems("task", _question_sets(s))
    for role, own in s.task.models().items():
        yield from own.problems(role)
    if s.synthetic.per_label:
        yield from _impossible_synthetic(s)
    if s.task.baseline_names() and s.demonstrations.questions is None:
        yield "task.baselines: answer from the rows of demonstrations.questions, which is not set; set it"
    if not s.task.has_items:
        yield from _impossible_without_items(s)
    trained = isinstance(s.reward_model, TrainedModel)
    if asks_reward_model(s) and not trained and "ranking.txt" not in s.task.judge_prompts:
        way_out = "set improve.selector=perplexity improve.keep=all improve.keep_trajectories=all"
        yield f"improve.selector: task={s.task.kind} has no prompt for a reward model; {way_out}"
    if s.task.searches:
        return
    if s.improve.only_grounded:
        yield f"improve.only_grounded: task={s.task.kind} has no grounding check; set improve.only_grounded=false"
    if s.improve.max_searches is not None:
        yield f"improve.max_searches: task={s.task.kind} does not search; set improve.max_searches=null"
    if s.task.rating_prompt() is not None and s.grader.kind == "rule":
        yield "grader: rule cannot rate answers; choose a model, such as grader=openai or grader=same"
    if s.task.rating_prompt() is None and s.grader.kind != "rule":
        yield f"grader: task={s.task.kind} compares answers with the labels; set grader=rule"


def _impossible_synthetic(s: Settings) -> Iterator[str]:
    """Texts of a teacher that the run could not use."""
    if s.task.teacher_prompt is None:
        yield f"synthetic.per_label: task={s.task.kind} has no labels to write texts of; set it to 0"
    if s.start != "demonstrations":
        yield "synthetic.per_label: the texts are what iteration 0 learns; set start=demonstrations"
    if s.synthetic.judged and isinstance(s.reward_model, TrainedModel):
        yield "reward_model: trained cannot judge the texts it is made of; choose another, or synthetic.judged=false"
    judges = (s.teacher, s.reward_model) if s.synthetic.judged else (s.teacher,)
    if any((s.policy if isinstance(one, SameModel) else one).kind == "scripted" for one in judges):
        yield "teacher: the scripted policy can neither write nor judge texts; choose another teacher and reward_model"


def _impossible_without_items(s: Settings) -> Iterator[str]:
    """What needs the built-in items of a task, or their scripted policy."""
    asked = {"grow.questions": s.grow.questions} | {f"grow.also.{name}": one for name, one in s.grow.also.items()}
    asked |= {f"evaluate.benchmarks.{name}": one for name, one in s.evaluate.benchmarks.items()}
    for path, source in asked.items():
        if source.is_world and (s.iteration or not path.startswith("grow.")):
            yield f"{path}: task={s.task.kind} has no built-in items; give a set of your own (questions/file.yaml)"
    if s.policy.runs == "script":
        yield f"policy.kind: task={s.task.kind} has no scripted policy; choose another policy"
    if s.start == "demonstrations" and s.world.demonstrations and s.demonstrations.questions is None:
        yield f"start: task={s.task.kind} has no demonstrations; set start=prompted"


def _impossible_students(s: Settings) -> Iterator[str]:
    """Students whose runs would have no name, or the same name."""
    names = [student.name for student in s.students]
    for student, name in zip(s.students, names, strict=True):
        if not name or not _plain(name):
            yield f"students: {student.model!r} gives no name for the run of the student; give a model name or a folder"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"students: {names.count(name)} of them have the same run {s.run}_{name}; use one command for each"


def benchmarks_for_testing(s: Settings) -> set[str]:
    """The names in `evaluate.benchmarks` of the sets that Grow must not use, whatever the settings."""
    return {name for name, source in s.evaluate.benchmarks.items() if _test_only(name) or _test_only(source.origin())}


def _test_only(name: str) -> bool:
    return any(word in name.casefold() for word in TEST_ONLY)


def _unpriced(s: Settings) -> Iterator[str]:
    """Prices that a limit in dollars needs and that are not set."""
    for role, part in _used(s).items():
        price = getattr(part, "price", NO_PRICE)
        for side in ("input", "output"):
            if getattr(price, side) is None:
                yield f"{role}.price.{side}: budget.max_usd needs this price; give US dollars per million tokens"


def missing_keys(s: Settings) -> list[str]:
    """One line for each API key whose environment variable is not set. With `replay` only the trainer needs a key."""
    problems = []
    for role, part in _used(s).items():
        name, needed = getattr(part, "api_key_env", None), role == "finetune" or not s.replay
        if name and needed and not os.environ.get(name, "").strip():
            optional = not getattr(part, "always_needs_key", False)
            out = f", or set {role}.api_key_env=null if the server needs none" if optional else ""
            problems.append(f"{role}.api_key_env: the environment variable {name} is not set; set it to your key{out}")
    return problems


def lacking_here(s: Settings) -> list[str]:
    """One line for each setting of the trainer or tracker that this machine cannot follow: a GPU or a package is
    missing."""
    missing = missing_tracker(s.tracking.kind)
    tracking = [f"tracking.kind: {missing}"] if missing else []
    return [*(s.finetune.lacks("finetune") if "finetune" in _used(s) else ()), *tracking]


def _used(s: Settings) -> dict[str, object]:
    """The settings of the models, trainers and search engines that the run uses, by role."""
    used: dict[str, object] = {"policy": s.policy, "grader": s.grader}
    if s.task.searches:
        used["search"] = s.search
    if s.iteration > 0 and asks_reward_model(s):
        used["reward_model"] = s.reward_model
    if s.iteration > 0 or s.start == "demonstrations":
        used["finetune"] = s.finetune
    if s.synthetic.per_label:
        used["teacher"] = s.teacher
        used |= {"reward_model": s.reward_model} if s.synthetic.judged else {}
    return used | dict(s.task.models())


def _question_sets(s: Settings) -> dict[str, Questions]:
    """The question sets that the run asks, by their settings' name."""
    grown = {"grow.questions": s.grow.questions} | {f"grow.also.{name}": one for name, one in s.grow.also.items()}
    asked = {f"evaluate.benchmarks.{name}": one for name, one in s.evaluate.benchmarks.items()}
    return asked if s.iteration == 0 else grown | asked


def _demonstrated(s: Settings) -> bool:
    return s.demonstrations.questions is not None or s.world.demonstrations > 0


def _plain(name: str) -> bool:
    return not (name.startswith(".") or set(name) & {"/", "\\", "\0"})


def _missing_files(path: str, source: Questions, s: Settings) -> Iterator[str]:
    needed = next((name for name in ("data", "evaluate_data") if getattr(s, name) is None), None)
    for name, file in source.files():
        if f"{file}/".startswith("None/") and needed:  # what `${data}/...` makes of null
            named = "train and validation files" if source.kind == "items" else "questions.jsonl and corpus.jsonl"
            yield f"{needed}: is not set; give {needed}=<folder with {named}>"
        elif not Path(file).is_file():
            yield f"{path}.{name}: there is no file {file}; check the path"
