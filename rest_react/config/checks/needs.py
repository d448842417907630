"""What the settings need and do not have: keys in the environment, prices, packages, a GPU.

    policy.api_key_env: the environment variable OPENAI_API_KEY is not set; set it to your key, or ...

Not here: combinations that cannot work anywhere (combinations).
"""

import os
from collections.abc import Iterator
from dataclasses import replace

from rest_react.config.settings import Settings, asks_reward_model
from rest_react.metrics.prices import NO_PRICE
from rest_react.reporting.tracking.open_tracker import missing_tracker


def missing_keys(s: Settings) -> list[str]:
    """One line for each API key whose environment variable is not set. With `replay` only the trainer needs a key."""
    problems = []
    for role, part in used_parts(s).items():
        name, needed = getattr(part, "api_key_env", None), role == "finetune" or not s.replay
        if name and needed and not os.environ.get(name, "").strip():
            optional = not getattr(part, "always_needs_key", False)
            out = f", or set {role}.api_key_env=null if the server needs none" if optional else ""
            problems.append(f"{role}.api_key_env: the environment variable {name} is not set; set it to your key{out}")
    return problems


def missing_prices(s: Settings) -> Iterator[str]:
    """Prices that a limit in dollars needs and that are not set."""
    for role, part in used_parts(s).items():
        price = getattr(part, "price", NO_PRICE)
        for side in ("input", "output"):
            if getattr(price, side) is None:
                yield f"{role}.price.{side}: budget.max_usd needs this price; give US dollars per million tokens"


def lacking_here(s: Settings) -> list[str]:
    """One line for each setting of a model, the trainer or the tracker that this machine cannot follow: a GPU, a
    command or a package is missing."""
    missing = missing_tracker(s.tracking.kind)
    tracking = [f"tracking.kind: {missing}"] if missing else []
    parts = {role: part for role, part in used_parts(s).items() if role == "finetune" or not s.replay}
    lacking = (problem for role, part in parts.items() if hasattr(part, "lacks") for problem in part.lacks(role))
    return [*lacking, *tracking]


def used_parts(s: Settings) -> dict[str, object]:
    """The settings of the models, trainers and search engines that the run uses, by role."""
    used: dict[str, object] = {"policy": s.policy, "grader": s.grader}
    if s.task.searches:
        used["search"] = s.search
    if s.iteration > 0 and asks_reward_model(s):
        used["reward_model"] = s.reward_model
    if s.iteration > 0 or s.start == "demonstrations":
        used["finetune"] = s.finetune
    if s.synthetic.n:
        used["teacher"] = s.teacher
        used |= {"reward_model": s.reward_model} if s.synthetic.judged else {}
    return used | dict(s.task.models())


def parts_of_all_iterations(s: Settings) -> dict[str, object]:
    """The same, whatever `iteration` is now: a run that goes on uses these."""
    return used_parts(replace(s, iteration=max(s.iteration, 1)))
