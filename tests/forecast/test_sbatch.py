import os
import subprocess
from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.forecast.sbatch import sbatch_script, why_no_script
from rest_react.run import run

SMALL = "run=it's experiment=smoke finetune=dry_run iteration=0 start=prompted world.evaluation=2".split()


def test_dry_run_prints_the_script_that_a_run_writes_and_it_runs_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, body in (("sbatch", "exit 0"), ("srun", "printf '%s\\n' \"$@\"")):
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    words = [*SMALL, f"output={tmp_path / 'out'}"]
    run(compose([*words, "dry_run=true"]), [*words, "dry_run=true"])
    assert not (tmp_path / "out").exists()
    printed = capsys.readouterr().out
    run(compose(words), words)
    script = tmp_path / "out" / "it's" / "sbatch.sh"
    assert script.read_text().strip() in printed
    asked = subprocess.run(["bash", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert asked[0].startswith("--cpus-per-task=")
    assert asked[2:] == ["-m", "rest_react.run", *words]


def test_the_script_runs_nothing_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "srun").write_text("#!/usr/bin/env bash\necho ran\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = sbatch_script(compose(SMALL), [], 1.0).replace(f"cd {Path.cwd()}", f"cd {tmp_path}/gone")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def test_the_limit_is_twice_the_forecast_and_gpus_are_those_of_the_training() -> None:
    settings = compose(["experiment=paper_gpu", "finetune.num_processes=8", "finetune.micro_batch_size=1"])
    script = sbatch_script(settings, ["experiment=paper_gpu"], 430.0)
    assert "#SBATCH --time=14:20:00" in script and "#SBATCH --gpus=8" in script
    assert "#SBATCH --time=24:00:00" in sbatch_script(settings, [], None)
    assert "#SBATCH --cpus-per-task=64" in script and "srun --cpus-per-task=64 " in script
    sharded = compose(["experiment=paper_gpu", "policy.replicas=4", "+policy.extra_args=[--tensor-parallel-size,2]"])
    assert "#SBATCH --gpus=8" in sbatch_script(sharded, [], 1.0)
    judged = ["reward_model=vllm", "+reward_model.extra_args=[--tensor-parallel-size,4]"]
    assert "#SBATCH --gpus=4" in sbatch_script(compose(["experiment=paper_gpu", *judged]), [], 1.0)
    remote = ["policy=vllm_remote", "policy.load_weights=[./load.sh]", "finetune=local", "finetune.accelerate=fsdp2"]
    trained_here = compose([*remote, "finetune.num_processes=2", "finetune.micro_batch_size=1"])
    assert "#SBATCH --gpus=2" in sbatch_script(trained_here, [], 1.0)
    assert "--gpus" not in sbatch_script(compose(SMALL), [], 1.0)
    served = compose(["policy=openai", "finetune=hosted"])
    assert "--gpus" not in sbatch_script(served, [], 1.0) and "--time=1:00:00" in sbatch_script(served, [], 1.0)


def gpu_lines(*words: str) -> list[str]:
    """The lines of the script that name GPUs."""
    return [line for line in sbatch_script(compose(words), [], 1.0).splitlines() if "GPU" in line or "gpus" in line]


@pytest.mark.parametrize(
    ("words", "gpus"),
    [
        (("policy.device=cuda",), 1),
        (("finetune.liger_kernel=true",), 1),
        (("finetune.accelerate=fsdp2", "finetune.num_processes=2", "finetune.micro_batch_size=1"), 2),
        (("search=dense", "search.model=m", "search.corpus=questions", "search.device=cuda"), 1),
    ],
)
def test_a_setting_that_needs_a_gpu_asks_for_it(words: tuple[str, ...], gpus: int) -> None:
    assert gpu_lines("finetune=local", *words) == [f"#SBATCH --gpus={gpus}"]


def test_the_embedded_policy_does_not_ask_for_a_gpu_and_a_comment_says_how_to() -> None:
    (line,) = gpu_lines()
    assert not line.startswith("#SBATCH") and line.endswith("#SBATCH --gpus=1")
    (line,) = gpu_lines("finetune.num_processes=2", "finetune.batch_size=2", "finetune.micro_batch_size=1")
    assert not line.startswith("#SBATCH") and line.endswith("#SBATCH --gpus=2")
    assert gpu_lines("policy.device=cpu") == []


MACHINES = (
    "experiment=paper_gpu finetune.accelerate=fsdp2 finetune.num_processes=16 finetune.num_machines=2 "
    "finetune.main_process_ip=10.0.0.7 finetune.micro_batch_size=1"
).split()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (MACHINES, ("finetune.num_machines=2", "join.sh")),
        (
            ["experiment=paper_gpu", "policy.extra_args=[--data-parallel-size,'4',--data-parallel-backend=ray]"],
            ("policy.extra_args", "Start Ray on each machine"),
        ),
        (
            ["experiment=paper_gpu", "reward_model=vllm", "reward_model.extra_args=[-dpb,ray]"],
            ("reward_model.extra_args", "Start Ray on each machine"),
        ),
    ],
)
def test_a_run_over_several_machines_has_no_script_and_the_dry_run_says_what_to_do(
    words: list[str],
    told: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("rest_react.run.has_slurm", lambda: True)
    words = [*words, f"output={tmp_path}", "dry_run=true"]
    run(compose(words), words)
    said = capsys.readouterr()
    assert "#SBATCH" not in said.out
    (note,) = (part for part in " ".join(said.err.split()).split("note: ") if part.startswith("no script for sbatch"))
    assert all(word in note for word in (*told, "docs/scaling.md"))


def test_a_run_without_a_training_over_several_machines_has_a_script() -> None:
    assert why_no_script(compose([*MACHINES, "iteration=0", "start=prompted"])) == ""


def test_a_command_over_several_machines_leaves_no_script_of_an_earlier_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rest_react.run.has_slurm", lambda: True)
    words = [*SMALL, f"output={tmp_path}"]
    run(compose(words), words)
    script = tmp_path / "it's" / "sbatch.sh"
    assert script.is_file()
    monkeypatch.setattr("rest_react.run.why_no_script", lambda _: "no script")
    run(compose(words), words)
    assert not script.exists()
