"""Sets `speed`, the tokens per second of this machine, if the settings do not give it.

    with_speed(settings, folder).speed      # SpeedSettings(prefill=910.0, decode=240.0, train=130.0)

Not here: the measurement (forecast.speed_probe).
"""

from dataclasses import replace

from rest_react.config.settings import Settings, SpeedSettings
from rest_react.forecast.estimate import forecast
from rest_react.forecast.speed_probe import PROBED, Probed, measured_speed
from rest_react.storage.run_folder import RunFolder
from rest_react.weights.number_type import compute_type


def with_speed(settings: Settings, folder: RunFolder) -> Settings:
    """The settings with the speed of this machine, if `speed` is null, the policy is an embedded model and a stage is
    left. Measuring takes about ten seconds: once a day, on a busy machine at each call."""
    speed, policy = settings.speed, settings.policy
    threads = policy.cpu_threads()
    if None not in (speed.prefill, speed.decode, speed.train) or policy.model not in PROBED or threads is None:
        return settings
    if not any(forecast(settings, folder)):
        return settings
    probed = Probed(
        policy.model,
        threads,
        lora=getattr(settings.finetune, "method", "full") == "lora",
        engine=compute_type(getattr(policy, "dtype", "auto"), gpu=False),
        training=compute_type(getattr(settings.finetune, "dtype", "auto"), gpu=False),
    )
    rates = measured_speed(probed)
    if rates is None:
        return settings
    known = (speed.prefill or rates.prefill, speed.decode or rates.decode, speed.train or rates.train)
    return replace(settings, speed=SpeedSettings(*known))
