"""Settings that the task cannot follow: it has no such items, prompts, searches or checks.

    improve.only_grounded: task=completion has no grounding check; set improve.only_grounded=false

Not here: the settings of one task (`problems` of its settings).
"""

from collections.abc import Iterator

from rest_react.config.checks.question_sets import benchmark_sets, grown_sets
from rest_react.config.settings import SameModel, Settings, TrainedModel, asks_reward_model


def task_problems(s: Settings) -> Iterator[str]:
    """Settings that the task cannot follow: it has no such items, prompts, searches or checks."""
    yield from s.task.problems("task", (grown_sets(s) if s.iteration else {}) | benchmark_sets(s))
    for role, own in s.task.models().items():
        yield from own.problems(role)
    if s.synthetic.n:
        yield from _impossible_synthetic(s)
    if s.task.baseline_names() and s.demonstrations.questions is None:
        yield (
            "task.baselines: answer from the rows of demonstrations.questions, which is not set; set "
            "demonstrations.questions=items demonstrations.questions.path=<file>, or task.baselines=[]"
        )
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
    if s.improve.min_passages is not None:
        yield f"improve.min_passages: task={s.task.kind} does not search; set improve.min_passages=null"
    if s.task.rating_prompt() is not None and s.grader.kind == "rule":
        yield "grader: rule cannot rate answers; choose a model, such as grader=openai or grader=same"
    if s.task.rating_prompt() is None and s.grader.kind != "rule":
        yield f"grader: task={s.task.kind} compares answers with the labels; set grader=rule"


def _impossible_synthetic(s: Settings) -> Iterator[str]:
    """Texts of a teacher that the run could not use."""
    if s.task.teacher_prompt is None:
        yield f"synthetic.n: task={s.task.kind} has no labels to write texts of; set it to 0"
    if s.start != "demonstrations":
        yield "synthetic.n: the texts are what iteration 0 learns; set start=demonstrations"
    if s.synthetic.judged and isinstance(s.reward_model, TrainedModel):
        yield "reward_model: trained cannot judge the texts it is made of; choose another, or synthetic.judged=false"
    judges = (s.teacher, s.reward_model) if s.synthetic.judged else (s.teacher,)
    if any((s.policy if isinstance(one, SameModel) else one).kind == "scripted" for one in judges):
        yield "teacher: the scripted policy can neither write nor judge texts; choose another teacher and reward_model"


def _impossible_without_items(s: Settings) -> Iterator[str]:
    """What needs the built-in items of a task, or their scripted policy."""
    for path, source in (grown_sets(s) | benchmark_sets(s)).items():
        if source.is_world and (s.iteration or not path.startswith("grow.")):
            yield (
                f"{path}: task={s.task.kind} has no built-in items; give a set of your own, for example "
                f"questions@{path}=file {path}.path=<file>"
            )
    if s.policy.runs == "script":
        yield f"policy.kind: task={s.task.kind} has no scripted policy; choose another, such as policy=smollm2"
    if s.start == "demonstrations" and s.world.demonstrations and s.demonstrations.questions is None:
        yield f"start: task={s.task.kind} has no demonstrations; set start=prompted"
