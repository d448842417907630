"""Fills in `speed`, the tokens per second of this machine, where the settings leave it open.

    with_speed(settings).speed      # SpeedSettings(prefill=910.0, decode=240.0, train=130.0)

Not here: the measurement (speed_probe).
"""

from dataclasses import replace

from rest_react.config.settings import Settings, SpeedSettings
from rest_react.forecast.speed_probe import PROBED, measured_speed


def with_speed(settings: Settings) -> Settings:
    """The settings with the speed of this machine where it is asked for: `speed` is null and a packaged model is the
    policy. Takes some ten seconds where nothing was measured today."""
    speed, policy = settings.speed, settings.policy
    threads = policy.cpu_threads()
    if None not in (speed.prefill, speed.decode, speed.train) or policy.model not in PROBED or threads is None:
        return settings
    lora = getattr(settings.finetune, "method", "full") == "lora"
    rates = measured_speed(policy.model, threads=threads, lora=lora)
    if rates is None:
        return settings
    known = (speed.prefill or rates.prefill, speed.decode or rates.decode, speed.train or rates.train)
    return replace(settings, speed=SpeedSettings(*known))
