"""Settings of Improve that would keep nothing, or whose reward model cannot do what it is asked.

    improve.keep_trajectories: agreeing keeps no trajectory with grow.trajectories_per_question=1; set 2 or more, ...

Not here: the filters and selectors (selection).
"""

from collections.abc import Iterator

from rest_react.config.settings import Settings, TrainedModel, model_behind
from rest_react.selection.option_ranking import MOST_OPTIONS
from rest_react.selection.trajectory_filters import (
    ANSWER_AGAIN,
    COMPARE_SCORES,
    JUDGE_ANSWERS,
    READ_TEXTS,
    TRAJECTORY_FILTERS,
)


def trajectory_filter_problems(s: Settings) -> Iterator[str]:
    """Filters of trajectories that would keep none, or have no effect."""
    keep, asked = s.improve.keep_trajectories, s.grow.trajectories_per_question
    if asked < (fewest := TRAJECTORY_FILTERS[keep].fewest):
        yield (
            f"improve.keep_trajectories: {keep} keeps no trajectory with grow.trajectories_per_question={asked}; set "
            f"{fewest} or more, for example 4"
        )
    searches = (
        s.agent.max_searches if s.improve.max_searches is None else min(s.improve.max_searches, s.agent.max_searches)
    )
    if s.task.searches and (s.improve.min_passages or 0) > (most := searches * s.agent.hits_per_search):
        yield (
            f"improve.min_passages: {s.improve.min_passages} keeps no trajectory, since {searches} searches "
            f"of {s.agent.hits_per_search} results show {most} passages at most; lower it"
        )
    if keep in ANSWER_AGAIN and s.task.searches and "read_answer.txt" not in s.task.judge_prompts:
        yield (
            f"improve.keep_trajectories: {keep} asks with read_answer.txt, which task={s.task.kind} has not; add it to "
            "the task's prompts and judge_prompts, or set agreeing"
        )
    if TRAJECTORY_FILTERS[keep].needs_searches and not s.task.searches:
        yield f"improve.keep_trajectories: {keep} needs search results, but task={s.task.kind} has none; set agreeing"
    if s.improve.likeliest is not None and s.iteration and getattr(s.policy, "logprobs", True) is False:
        yield (
            "improve.likeliest: compares log-probabilities, but policy.logprobs=false; set improve.likeliest=null, or "
            "policy.logprobs=true if the model gives them"
        )
    if s.improve.rejected_trajectories == "good_steps":
        useless = {
            "improve.keep_trajectories=all rejects none": keep == "all" and s.improve.likeliest is None,
            f"task={s.task.kind} does not search": not s.task.searches,
            "grow.trajectories_per_question=1 leaves no kept one to compare with": asked == 1,
        }
        if reason := next((reason for reason, holds in useless.items() if holds), ""):
            yield f"improve.rejected_trajectories: good_steps has no effect, because {reason}; set drop"


def trained_judge_problems(s: Settings) -> Iterator[str]:
    """A judge that has nothing to learn from, cannot be tuned, or is asked about answers."""
    if s.start != "demonstrations":
        yield "reward_model.kind: trained learns from demonstrations; set start=demonstrations, or another reward_model"
    if s.finetune.tunes != "here":
        yield (
            f"reward_model.kind: trained needs weights that are tuned here, but finetune.kind={s.finetune.kind}; "
            "choose another reward_model"
        )
    own, folds = s.demonstrations.questions is not None, getattr(s.reward_model, "folds", 0)
    if s.improve.keep_trajectories in JUDGE_ANSWERS and not own and 0 < s.world.demonstrations < folds:
        yield (
            f"reward_model.folds: {folds}, but there are {s.world.demonstrations} demonstrations; raise "
            f"world.demonstrations to {folds} or more, or lower it (2 at least)"
        )
    if getattr(s.policy, "logprobs", True) is False:
        yield (
            "reward_model.kind: trained is asked by log-probabilities with the settings of the policy, but "
            "policy.logprobs=false; set policy.logprobs=true if the server gives them, or another reward_model"
        )
    keep, steps = s.improve.keep_trajectories, s.improve.selector == "reward_model" or s.improve.keep == "judged_good"
    if keep not in JUDGE_ANSWERS and not s.task.judge_prompts:
        yield (
            "reward_model.kind: trained learns to judge steps by worse outputs for the same state, which "
            f"task={s.task.kind} does not give; set improve.selector=perplexity improve.keep=all "
            "improve.keep_trajectories=judged_good, or another reward_model"
        )
    elif keep not in JUDGE_ANSWERS and not own and s.world.demonstrations == 1:
        yield (
            "reward_model.kind: trained holds out some of the demonstrated questions, but there is one; set "
            "world.demonstrations=2 or more"
        )
    if keep not in JUDGE_ANSWERS and s.agent.exemplars == "always":
        yield (
            "agent.exemplars: always shows the policy exemplars in Grow, but reward_model=trained learns from samples "
            "without them; set agent.exemplars=untuned, or another reward_model"
        )
    if keep in ANSWER_AGAIN:
        yield (
            f"improve.keep_trajectories: {keep} has the reward model answer the question, but a trained judge writes "
            "no answers; set judged_good, or another reward_model"
        )
    elif keep in JUDGE_ANSWERS and steps:
        yield (
            f"improve.keep_trajectories: {keep}, but reward_model=trained judges either answers or steps; for "
            "answers set improve.selector=perplexity improve.keep=all, for steps improve.keep_trajectories=all"
        )
    elif keep in READ_TEXTS:
        yield (
            f"improve.keep_trajectories: {keep} reads whole texts, which a trained judge has not learnt; set "
            "judged_good, or another reward_model"
        )


def scoring_problems(s: Settings) -> Iterator[str]:
    """A filter that compares scores, with a reward model that writes or gives none."""
    keep = s.improve.keep_trajectories
    if keep not in COMPARE_SCORES or isinstance(s.reward_model, TrainedModel):
        return
    judge, other = model_behind(s.reward_model, s.policy), "reader_agrees" if keep in ANSWER_AGAIN else "judged_good"
    if judge is not None and (judge.kind == "gemini" or not getattr(judge, "logprobs", True)):
        yield (
            f"improve.keep_trajectories: {keep} compares scores, which reward_model={judge.kind} does not give "
            f"as it is set; choose another reward_model, or set improve.keep_trajectories={other}"
        )
    elif s.improve.reward == "generate":
        yield (
            f"improve.keep_trajectories: {keep} compares scores, but with improve.reward=generate the reward "
            f"model writes; set improve.reward=options, or improve.keep_trajectories={other}"
        )


def reading_problems(s: Settings) -> Iterator[str]:
    """A filter that needs log-probabilities of whole texts, with a reward model that gives none."""
    keep, judge = s.improve.keep_trajectories, model_behind(s.reward_model, s.policy)
    if keep not in READ_TEXTS or isinstance(s.reward_model, TrainedModel) or judge is None:
        return
    in_completions = getattr(s.reward_model, "mode", None) == "completion" and getattr(judge, "logprobs", True)
    if judge.kind == "openai":
        reads = in_completions and judge.base_url is not None  # OpenAI's own API repeats no prompts
    else:
        reads = judge.kind == "transformers" or (judge.kind == "vllm" and in_completions)
    if reads or judge.runs == "script":
        return
    yield (
        f"improve.keep_trajectories: {keep} reads whole texts, which reward_model={judge.kind} cannot as it is set; "
        "choose a model in this process (transformers), or a server of vLLM (reward_model=vllm_remote) with "
        "reward_model.mode=completion reward_model.logprobs=true"
    )


def option_problems(s: Settings) -> Iterator[str]:
    """A reward model that has too many options to score, or no prompt for them."""
    if s.improve.selector == "reward_model" and s.grow.samples > MOST_OPTIONS:
        yield (
            f"grow.samples: {s.grow.samples}, but improve.reward=options scores at most {MOST_OPTIONS} options; set "
            f"{MOST_OPTIONS} or less, or improve.reward=generate"
        )
    if s.task.judge_prompts and "best_option.txt" not in s.task.judge_prompts:
        yield f"improve.reward: task={s.task.kind} has no prompt for options; set improve.reward=generate"
