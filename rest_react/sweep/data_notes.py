"""Notes on data that changed during a sweep, between its runs or within one: their numbers are of different data.

    list(data_notes([Path("outputs/r_0"), Path("outputs/r_1")]))
    # ["the content of evaluate.validation changed during this sweep, ...: digest 9f2c01ab in r_0; 77d0e3b1 in r_1 ..."]

Compared are the digests in `environments` of settings.yaml, of runs whose settings name the same data. A run that is
complete gets the digests of new data too when its command is given again, so all its digests count, not the last.
Not here: how the digests are made (build.data_digests), what one run does about other data (storage.settings_file).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rest_react.storage.settings_file import read_environments, read_settings

# The settings, besides those below its own name, on which the content of all data may depend; and of Grow's questions,
# which leave out those that are demonstrated.
_OF_ALL = ("world.", "task.kind")
_OF_GROW = ("grow.also.", "demonstrations.questions.", "start", "synthetic.n")
_SHOWN = 8  # digits of a digest


def data_notes(runs: Sequence[Path]) -> Iterator[str]:
    """A note for each question set, corpus or model whose content changed."""
    found: dict[tuple[str, object], dict[str, list[str]]] = {}
    for run in runs:
        settings = read_settings(run)
        for environment in read_environments(run):
            for name, digest in environment.items():
                if "." in name:  # else a version or a hash of prompts
                    own = found.setdefault((name, _settings_of(name, settings)), {}).setdefault(run.name, [])
                    if own[-1:] != [digest]:
                        own.append(digest)
    for (name, _), by_run in found.items():
        if len({digest for digests in by_run.values() for digest in digests}) > 1:
            yield (
                f"the content of {name} changed during this sweep, so its runs may not be comparable: digest "
                f"{_by_digests(by_run)}. For runs on the same data, run the sweep again with other names (run=...)"
            )


def _settings_of(name: str, settings: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """The settings that say which data this is: with other ones other data are no surprise."""
    block, _, rest = name.partition(".")
    own = {"evaluate": f"evaluate.benchmarks.{rest}.", "search": "search."}.get(block, name)
    starts = (own, *_OF_ALL, *(_OF_GROW if block == "grow" else ()))
    return tuple(sorted((key, repr(value)) for key, value in settings.items() if key.startswith(starts)))


def _by_digests(by_run: Mapping[str, Sequence[str]]) -> str:
    """The digests in order of time, each with the runs that had them."""
    runs: dict[str, list[str]] = {}
    for run, digests in by_run.items():
        runs.setdefault(", then ".join(digest[:_SHOWN] for digest in digests), []).append(run)
    return "; ".join(f"{digests} in {', '.join(names)}" for digests, names in runs.items())
