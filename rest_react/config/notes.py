"""Notes on settings that can work and may not be meant: one line each, printed before the run starts.

    for note in notes(settings): say(f"note: {note}")

Not here: combinations that cannot work (config.checks).
"""

from collections.abc import Iterator

from rest_react.config.settings import Settings


def notes(s: Settings) -> Iterator[str]:
    """One line for each, with the figure that was measured for it and a way out."""
    if _trains_on_unjudged_samples(s):
        yield (
            "improve.selector: perplexity trains on the likeliest sample of each step, and nothing judges it. Measured "
            "in the built-in world, one training: -5.0 points [-13.2, +2.5] after one iteration; after three -0.5 "
            "[-8.8, +7.8] against the control, which trains on the demonstrations alone (docs/log.md). To ask a reward "
            "model: improve.selector=reward_model improve.reward=options"
        )


def _trains_on_unjudged_samples(s: Settings) -> bool:
    """Whether likelihood alone decides what trains: no filter, no reward model, no vote."""
    i = s.improve
    filtered = i.keep != "all" or i.keep_trajectories != "all" or i.only_grounded
    return s.iteration > 0 and i.max_examples != 0 and i.selector == "perplexity" and not filtered
