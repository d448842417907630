"""What accelerate's own parser makes of our command and configuration. Nothing is trained: on a CPU accelerate falls
back to plain data parallelism without a word, so a green training there would prove nothing."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rest_react.records import ModelRef
from rest_react.training.accelerate_configuration import PACKAGED, accelerate_configuration
from rest_react.training.process.job import prepare_job
from rest_react.training.process.launch import _command, _environment, _join_script
from tests.serving import TRAINING


def launched(tmp_path: Path, rank: int = 0, **changed: Any) -> Any:
    """The arguments of `accelerate launch`, as it understands them, with the variables that it gives its processes."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import prepare_multi_gpu_env
    from accelerate.utils.launch import prepare_deepspeed_cmd_env

    training = replace(TRAINING, **changed)
    base = ModelRef(str(tmp_path), "base", tuned=False)
    assert not prepare_job({}, base, tmp_path / "job", 1, training, tmp_path)
    command = _command("rest_react.training.worker.supervised", training, tmp_path / "job" / "job.json")
    words = command[command.index("accelerate.commands.launch") + 1 :]
    if rank:
        words[words.index("--machine_rank") + 1] = str(rank)
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(words))
    if arguments.use_deepspeed:
        arguments.deepspeed_fields_from_accelerate_config = ""  # set later by its command
        return arguments, prepare_deepspeed_cmd_env(arguments)[1]
    return arguments, prepare_multi_gpu_env(arguments)


def test_fsdp2_reaches_the_processes(tmp_path: Path) -> None:
    arguments, variables = launched(tmp_path, num_processes=8, accelerate="fsdp2")
    assert (arguments.use_fsdp, arguments.multi_gpu, arguments.num_processes) == (True, False, 8)
    told = ("ACCELERATE_USE_FSDP", "FSDP_VERSION", "FSDP_STATE_DICT_TYPE", "FSDP_CPU_RAM_EFFICIENT_LOADING")
    assert [variables[name] for name in told] == ["true", "2", "FULL_STATE_DICT", "false"]
    assert variables["FSDP_RESHARD_AFTER_FORWARD"] == "true"


def test_zero3_reaches_the_processes(tmp_path: Path) -> None:
    arguments, variables = launched(tmp_path, num_processes=8, accelerate="zero3")
    assert (arguments.use_deepspeed, arguments.use_fsdp) == (True, False)
    told = (
        "ACCELERATE_USE_DEEPSPEED",
        "ACCELERATE_DEEPSPEED_ZERO_STAGE",
        "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL",
    )
    assert [variables[name] for name in told] == ["true", "3", "true"]


def test_several_machines_get_the_same_command_with_their_rank(tmp_path: Path) -> None:
    many = {"num_processes": 16, "num_machines": 2, "main_process_ip": "10.0.0.7", "accelerate": "fsdp2"}
    for rank in (0, 1):
        arguments, _ = launched(tmp_path, rank, **many)
        assert (arguments.num_machines, arguments.machine_rank, arguments.num_processes) == (2, rank, 16)
        assert (arguments.main_process_ip, str(arguments.main_process_port)) == ("10.0.0.7", "29500")
    script = tmp_path / "join.sh"
    written = _join_script("the.module", replace(TRAINING, **many), tmp_path / "it's here")
    assert written.rstrip().endswith("</dev/null")  # a worker ends when a pipe at its standard input closes
    script.write_text(written.replace("exec ", "echo "))
    said = subprocess.run(["bash", script, "1"], capture_output=True, text=True, check=True).stdout.split()
    assert said[said.index("--machine_rank") + 1] == "1"
    assert f"{tmp_path}/it's here/job.json" in " ".join(said)
    assert subprocess.run(["bash", script], capture_output=True, check=False).returncode != 0


def test_without_a_file_processes_are_data_parallel_on_one_machine(tmp_path: Path) -> None:
    arguments, variables = launched(tmp_path, num_processes=2)
    assert (arguments.multi_gpu, arguments.use_fsdp, arguments.num_machines) == (True, False, 1)
    assert "ACCELERATE_USE_FSDP" not in variables


def test_one_process_is_started_without_the_launcher_and_with_its_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    job = tmp_path / "job.json"
    assert _command("the.module", TRAINING, job) == [sys.executable, "-m", "the.module", str(job)]
    environment = _environment(TRAINING)
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["OMP_NUM_THREADS"]) == ("3", "1")
    # What the launcher would set, but for the defaults that accelerate itself takes.
    config = tmp_path / "accelerate.json"
    config.write_text(json.dumps(accelerate_configuration(None)))
    words = ["--config_file", str(config), "--num_processes", "1", "--num_machines", "1", "--gpu_ids", "3"]
    words += ["--num_cpu_threads_per_process", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args([*words, "-m", "the.module", str(job)]))
    command, launched = prepare_simple_launcher_cmd_env(arguments)
    assert command == _command("the.module", TRAINING, job)
    told = {name: value for name, value in launched.items() if os.environ.get(name) != value}
    assert {name: value for name, value in told.items() if environment.get(name) != value} == {
        "ACCELERATE_DYNAMO_MODE": "default", "ACCELERATE_DYNAMO_USE_FULLGRAPH": "False",
        "ACCELERATE_DYNAMO_USE_DYNAMIC": "False", "ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION": "False",
    }  # fmt: skip


def test_a_configuration_of_accelerate_on_this_machine_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "default_config.yaml"
    own.write_text("distributed_type: FSDP\nnum_processes: 3\nmixed_precision: fp16\ngpu_ids: '0'\n")
    for module in ("accelerate.commands.launch", "accelerate.commands.config.config_args"):
        monkeypatch.setattr(f"{module}.default_config_file", str(own))
    arguments, _ = launched(tmp_path, num_processes=2)
    assert (arguments.use_fsdp, arguments.multi_gpu, arguments.num_processes) == (False, True, 2)
    assert (arguments.mixed_precision, arguments.gpu_ids) == ("no", "all")


def test_numbers_of_processes_in_a_file_of_ones_own_do_not_count(tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    own = tmp_path / "mine.yaml"
    own.write_text("distributed_type: FSDP\nnum_processes: 3\nnum_machines: 7\nfsdp_config: {fsdp_version: 2}\n")
    assert accelerate_configuration(str(own)) == {"distributed_type": "FSDP", "fsdp_config": {"fsdp_version": 2}}
    for packaged in PACKAGED.glob("*.yaml"):
        text = packaged.with_suffix(".yaml")
        assert load_config_from_file(str(text)).distributed_type in ("FSDP", "DEEPSPEED")
