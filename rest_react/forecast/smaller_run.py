"""Names smaller sizes of the built-in world where this machine takes long for those of the settings.

    smaller_run_line(settings, folder)
    # "In about 24 minutes: run=small world.train=35 world.evaluation=42 (fewer questions, wider intervals)."

The sizes never change by themselves: runs of two machines could then not be compared.
Not here: the estimate (forecast.estimate).
"""

from dataclasses import replace

from rest_react.config.settings import Settings
from rest_react.forecast.estimate import forecast
from rest_react.storage.run_folder import RunFolder

LONG_MINUTES = 25.0
_SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)


def smaller_run_line(settings: Settings, folder: RunFolder) -> str:
    """Smaller sizes with which a command to iteration 1 takes at most 25 minutes; empty if its own do, if none of ours
    does, or if the run has begun. `settings` has the speed of this machine."""
    asked = (settings.grow.questions, *settings.grow.also.values(), *settings.evaluate.benchmarks.values())
    begun = any(folder.root.glob("iter_*")) or settings.grow.reuse is not None
    if begun or settings.iteration > 1 or not all(source.is_world for source in asked):
        return ""
    if _minutes(settings, folder) <= LONG_MINUTES:
        return ""
    world = settings.world
    for share in _SHARES:
        train, evaluation = round(share * world.train), round(share * world.evaluation)
        smaller = replace(settings, world=replace(world, train=train, evaluation=evaluation))
        if (minutes := _minutes(smaller, folder)) <= LONG_MINUTES:
            return (
                f"In about {minutes:.0f} minutes: run=small world.train={train} world.evaluation={evaluation} (fewer "
                "questions, wider intervals)."
            )
    return ""


def _minutes(settings: Settings, folder: RunFolder) -> float:
    return sum(row.minutes or 0.0 for row in forecast(settings, folder))
