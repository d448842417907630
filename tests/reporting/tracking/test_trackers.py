import pytest

from rest_react.reporting.tracking.trackers import numbers, tracker_mode


def test_the_numbers_of_a_summary_are_flat_finite_floats() -> None:
    summary = {
        "schema": 1,
        "run": "demo",
        "complete": True,
        "cost_usd": None,
        "loss": float("nan"),
        "accuracy": {"mean": 0.5, "by_hops": {"2": 1}},
        "shares": [1, 2],
    }
    assert numbers(summary) == {"schema": 1.0, "accuracy/mean": 0.5, "accuracy/by_hops/2": 1.0}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, ("offline", "")),
        ({"WANDB_MODE": "disabled"}, ("none", "WANDB_MODE=disabled")),
        ({"WANDB_MODE": "offline"}, ("offline", "")),
        ({"WANDB_MODE": "dryrun"}, ("offline", "")),
        ({"WANDB_MODE": "online"}, ("online", "WANDB_MODE=online")),
        ({"WANDB_MODE": "run"}, ("online", "WANDB_MODE=run")),
        ({"WANDB_MODE": ""}, ("offline", "")),
        ({"WANDB_DISABLED": "true"}, ("none", "WANDB_DISABLED=true")),
        ({"WANDB_DISABLED": "false"}, ("offline", "")),
        ({"WANDB_MODE": "online", "WANDB_DISABLED": "1"}, ("none", "WANDB_DISABLED=1")),
    ],
)
def test_the_environment_variable_overrides_the_setting(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: tuple[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracker_mode("wandb", "offline") == told
    assert tracker_mode("none", "online") == ("none", "")
