"""Notes on data and prompts that changed between runs, or within one: their numbers are of different data.

    list(data_notes([("r_0", settings, environments), ("r_1", settings, environments)]))
    # ["the content of evaluate.world changed between these runs, ...: digest 9f2c01ab in r_0; 77d0e3b1 in r_1 ..."]

Compared are the digests in `environments` of settings.yaml or results.json, of runs whose settings name the same data.
A run that is complete gets the digests of new data too when its command is given again, so all its digests count, not
the last. Prompts of judges are compared where a judge is asked.
Not here: how the digests are made (build.data_digests, build.run_prompts), what one run does about other data
(storage.settings_file).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from rest_react.selection.trajectory_filters import ASK_REWARD_MODEL
from rest_react.storage.settings_file import JUDGE_PROMPTS, STEP_PROMPTS

Settings: TypeAlias = Mapping[str, object]
Environments: TypeAlias = Sequence[Mapping[str, str]]

# The settings, besides those below its own name, on which the content of all data may depend; and of Grow's questions,
# which leave out those that are demonstrated.
_OF_ALL = ("world.", "task.kind")
_OF_GROW = ("grow.also.", "demonstrations.questions.", "start", "synthetic.n")
_OF_PROMPTS = {
    STEP_PROMPTS: ("agent.prompts", "task.", "demonstrations.questions.", "synthetic.n"),
    JUDGE_PROMPTS: ("agent.prompts", "task.", "improve.reward", "improve.keep_trajectories"),
}
_NAMES = {STEP_PROMPTS: "the prompts of the steps", JUDGE_PROMPTS: "the prompts of the judges"}
_SHOWN = 8  # digits of a digest


def data_notes(runs: Iterable[tuple[str, Settings, Environments]]) -> Iterator[str]:
    """A note for each question set, corpus, model or kind of prompt whose content changed. Each run has its name."""
    found: dict[tuple[str, object], dict[str, list[str]]] = {}
    for run, settings, environments in runs:
        for name, digest in ((name, digest) for one in environments for name, digest in one.items()):
            if "." in name or name == STEP_PROMPTS or (name == JUDGE_PROMPTS and _asks_judges(settings)):
                own = found.setdefault((name, _settings_of(name, settings)), {}).setdefault(run, [])
                if own[-1:] != [digest]:
                    own.append(digest)
    for (name, _), by_run in found.items():
        if len({digest for digests in by_run.values() for digest in digests}) > 1:
            what = _NAMES.get(name, f"the content of {name}")
            yield (
                f"{what} changed between these runs, or within one, so they may not be comparable: digest "
                f"{_by_digests(by_run)}. For runs on the same data and prompts, run them again with other names "
                "(run=...)"
            )


def _settings_of(name: str, settings: Settings) -> tuple[tuple[str, str], ...]:
    """The settings that say which data this is: with other ones other data are no surprise."""
    block, _, rest = name.partition(".")
    own = {"evaluate": f"evaluate.benchmarks.{rest}.", "search": "search."}.get(block, name)
    starts = _OF_PROMPTS.get(name) or (own, *_OF_ALL, *(_OF_GROW if block == "grow" else ()))
    return tuple(sorted((key, repr(value)) for key, value in settings.items() if key.startswith(starts)))


def _asks_judges(settings: Settings) -> bool:
    """Whether a model grades, chooses training targets, or judges trajectories or the texts of a teacher."""
    return bool(
        settings.get("grader.kind") != "rule"
        or settings.get("improve.selector") == "reward_model"
        or settings.get("improve.keep") == "judged_good"
        or settings.get("improve.keep_trajectories") in ASK_REWARD_MODEL
        or (settings.get("synthetic.n") and settings.get("synthetic.judged"))
    )


def _by_digests(by_run: Mapping[str, Sequence[str]]) -> str:
    """The digests in order of time, each with the runs that had them."""
    runs: dict[str, list[str]] = {}
    for run, digests in by_run.items():
        runs.setdefault(", then ".join(digest[:_SHOWN] for digest in digests), []).append(run)
    return "; ".join(f"{digests} in {', '.join(names)}" for digests, names in runs.items())
