"""Settings of local training that cannot go together, or that this machine lacks something for."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rest_react.config.checks.needs import lacking_here
from rest_react.config.compose import compose
from rest_react.errors import ConfigError
from rest_react.run import run
from rest_react.training import local_settings
from rest_react.training.local import LocalFinetune

BITS, LIGER = "finetune.load_in_4bit=true", "finetune.liger_kernel=true"


def local(**changed: Any) -> LocalFinetune:
    finetune = compose([]).finetune
    assert isinstance(finetune, LocalFinetune)
    return replace(finetune, **changed)


def test_weights_in_4_bits_need_adapters() -> None:
    with pytest.raises(ConfigError, match=r"finetune.load_in_4bit: weights in 4 bits cannot be trained; set .*=lora"):
        compose([BITS, "finetune.method=full"])


def test_a_machine_without_a_gpu_refuses_both_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_settings, "_has_cuda", lambda: False)
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
    monkeypatch.setattr(local_settings, "_has_cuda", lambda: True)
    monkeypatch.setattr(local_settings, "find_spec", lambda name: None)
    (told,) = lacking_here(compose([LIGER]))
    assert told.startswith("finetune.liger_kernel: needs the package liger-kernel; pip install liger-kernel")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"accelerate": "fsdp3"}, "finetune.accelerate: fsdp3 cannot be read"),
        ({"accelerate": __file__}, "finetune.accelerate: "),
        ({"num_machines": 2, "main_process_ip": "10.0.0.7", "num_processes": 3}, "finetune.num_processes: 3 processes"),
        ({"num_machines": 2, "num_processes": 2}, "finetune.main_process_ip: needed"),
    ],
)
def test_what_cannot_go_together(changed: dict[str, Any], problem: str) -> None:
    (told,) = local(batch_size=6, micro_batch_size=1, **changed).problems("finetune")
    assert told.startswith(problem)


def test_a_machine_without_gpus_cannot_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_settings, "_has_cuda", lambda: False)
    assert [told.split(";")[0] for told in local(accelerate="fsdp2").lacks("finetune")] == [
        "finetune.accelerate: sharding needs CUDA GPUs, and PyTorch finds none here"
    ]
    assert list(local().lacks("finetune")) == []
    assert os.environ.get("ACCELERATE_USE_FSDP") is None
