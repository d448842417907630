import os
import subprocess
from pathlib import Path

import pytest

from rest_react.config.compose import compose
from rest_react.forecast.sbatch import sbatch_script
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
    assert "#SBATCH --gpus=1" in sbatch_script(compose([]), [], 1.0)
    assert "--gpus" not in sbatch_script(compose(["policy.device=cpu"]), [], 1.0)
    served = compose(["policy=openai", "finetune=hosted"])
    assert "--gpus" not in sbatch_script(served, [], 1.0) and "--time=1:00:00" in sbatch_script(served, [], 1.0)
