"""The counts of Improve's summary.json, and the notes on the terminal.

    summary_of(rankings, counted, selector="perplexity", judged=False)["targets_changed"]     # 12
    list(notes_of(summary))      # one note for many fallbacks, one for many truncated samples

Not here: the stage (stages.improve.improve), and the definitions of the numbers (docs/metrics.md).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rest_react.errors import short_reason
from rest_react.records import OptionRanking, Ranking
from rest_react.selection.rank_step import REFUSED
from rest_react.storage.jsonl import read_lines

TOLD_FROM = 0.1
FEWEST_CHOICES = 20  # steps with a choice below which a selector is not called idle
IDLE_UP_TO = 0.02  # of the training targets differ from the rollout's own choice


def summary_of(rankings: Path, counted: Counter[str], *, selector: str, judged: bool) -> dict[str, Any]:
    """The counts of ranked, kept and dropped steps (docs/metrics.md). `counted` are those of the trajectories, the
    steps and the examples."""
    tally = Counter(counted)
    fallbacks: dict[str, tuple[int, str]] = {}  # by reason: count and example
    for ranking in read_lines(rankings, Ranking):
        tally[ranking.status] += 1
        if ranking.status == "fallback":
            refused = ranking.reply.startswith(REFUSED)
            reason = short_reason(ranking.reply.removeprefix(REFUSED)) if refused else ""
            example = ranking.reply if refused else f"no ranking in the reply {ranking.reply[:80]!r}"
            fallbacks[reason] = (fallbacks.get(reason, (0, ""))[0] + 1, example)
        tally["judged_bad"] += ranking.good is False
        tally["not_judged"] += judged and ranking.good is None
        tally.update(prompt_tokens=ranking.prompt_tokens, completion_tokens=ranking.completion_tokens)
    names = (
        "examples examples_changed unfinished_trajectories filtered_trajectories rejected_trajectories candidates "
        "candidates_cut_off steps steps_of_rejected steps_with_a_choice equal_steps targets_changed targets_respelled "
        "ranked fallback errored judged_bad not_judged prompt_tokens completion_tokens"
    )
    return {
        "selector": selector,
        "dropped_steps": tally["steps"] - tally["ranked_steps"],
        **{name: tally[name] for name in names.split()},
        "fallback_reason": _most_frequent_reason(fallbacks),
    }


def option_counts(rankings: Path) -> dict[str, Any]:
    """The counts of a reward model that scores options."""
    tally = Counter(written=0, floored_options=0)
    for one in read_lines(rankings, OptionRanking):
        tally.update(written=one.written, floored_options=one.floored)
    return dict(tally)


def _most_frequent_reason(fallbacks: Mapping[str, tuple[int, str]]) -> str:
    """An example of the most frequent reason, with its count."""
    if not fallbacks:
        return ""
    times, example = max(fallbacks.values(), key=lambda found: found[0])
    return f"{example[:200]} ({times} times)"


def notes_of(summary: Mapping[str, Any]) -> Iterator[str]:
    """The notes on a summary for the terminal."""
    yield from filter(None, (nothing_trains_note(summary), fallback_note(summary), idle_selector_note(summary)))
    if written := summary.get("written"):
        yield (
            f"{written} steps have written replies, although improve.reward=options, because the reward model gives no "
            "log-probabilities of options"
        )
    if "written" in summary and (judged := summary.get("trajectories_judged_in_writing")):
        yield (
            f"{judged} trajectories have written verdicts without a score, although improve.reward=options, because "
            "the reward model gives no log-probabilities of yes and no; judged_better and reader_and_judge leave out "
            "those called bad and keep the others"
        )
    judged = sum(summary.get(name, 0) for name in ("trajectories_judged", "trajectories_not_judged"))
    if (missing := summary.get("trajectories_not_judged", 0)) > TOLD_FROM * judged:
        yield (
            f"{missing} of {judged} trajectories have no verdict and are kept: the reward model refused, or its reply "
            "was empty or unclear. One that thinks needs a larger improve.max_tokens (about 4096)"
        )
    if summary["candidates_cut_off"] > TOLD_FROM * summary["candidates"]:
        yield (
            f"{summary['candidates_cut_off']} of {summary['candidates']} samples were cut off at their token limit and "
            "do not train; raise agent.max_tokens"
        )


def nothing_trains_note(summary: Mapping[str, Any]) -> str:
    """A note if no step of the trajectories trains: with demonstrations in the mixture the iteration would train on
    these alone."""
    if summary["examples"] or not (summary.get("candidates") or summary["unfinished_trajectories"]):
        return ""
    lost = (
        f"{summary['unfinished_trajectories']} unfinished, {summary['filtered_trajectories']} filtered, "
        f"{summary.get('rejected_trajectories', 0)} rejected by improve.keep_trajectories or likeliest"
    )
    return (
        f"no step trains: of the trajectories {lost}; of the steps of the others {summary['dropped_steps']} dropped, "
        f"{summary['judged_bad']} judged bad. If demonstrations or exemplars are mixed in, the model trains on these "
        "alone; loosen the settings of improve, or set improve.max_examples=0"
    )


def fallback_note(summary: Mapping[str, Any]) -> str:
    """A note if more than a tenth of the steps with a choice have no ranking; else empty."""
    fallback, choices = summary["fallback"], summary["steps_with_a_choice"]
    if fallback <= TOLD_FROM * choices:
        return ""
    reason = summary.get("fallback_reason") or "not recorded"
    return (
        f"the reward model decided {choices - fallback} of {choices} steps with a choice; for the other {fallback} the "
        f"rollout's own choice is the training target (fallback). Most frequent reason: {reason}"
    )


def idle_selector_note(summary: Mapping[str, Any]) -> str:
    """A note if hardly any of the samples that train differ from those of the rollout; else empty. So it is if the
    rollout chose by the rule that selects. Empty for demonstrations, whose steps have one sample."""
    trained, changed = summary["examples"], summary.get("examples_changed")
    if not trained or changed is None or summary["steps_with_a_choice"] < FEWEST_CHOICES:
        return ""
    if changed > IDLE_UP_TO * trained:
        return ""
    return (
        f"improve.selector={summary['selector']} decided little: {changed} of {trained} training targets differ from "
        "the sample that the rollout had chosen"
    )
