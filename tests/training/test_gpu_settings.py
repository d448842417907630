"""Settings of local training that need a GPU."""

from pathlib import Path

import pytest

from rest_react.config.checks.needs import lacking_here
from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.run import run
from rest_react.training import gpu_settings
from rest_react.training.local import LocalFinetune

BITS, LIGER = "finetune.load_in_4bit=true", "finetune.liger_kernel=true"


def test_weights_in_4_bits_need_adapters() -> None:
    with pytest.raises(ConfigError, match=r"finetune.load_in_4bit: weights in 4 bits cannot be trained; set .*=lora"):
        compose([BITS, "finetune.method=full"])


def test_a_machine_without_a_gpu_refuses_both_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_settings, "_has_cuda", lambda: False)
    settings = compose([BITS, LIGER, f"output={tmp_path}", "run=x"])
    assert isinstance(settings.finetune, LocalFinetune)
    with pytest.raises(ConfigError) as error:
        run(settings)
    assert [told.partition(",")[0] for told in error.value.problems] == [
        "finetune.load_in_4bit: needs a CUDA GPU",
        "finetune.liger_kernel: needs a CUDA GPU",
    ]
    assert not (tmp_path / "x").exists()


def test_a_gpu_without_the_package_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_settings, "_has_cuda", lambda: True)
    monkeypatch.setattr(gpu_settings, "find_spec", lambda name: None)
    (told,) = lacking_here(compose([LIGER]))
    assert told.startswith("finetune.liger_kernel: needs the package liger-kernel; pip install liger-kernel")
