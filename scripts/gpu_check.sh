#!/usr/bin/env bash
# One small iteration on one GPU, and a Markdown table to paste.
#
#   scripts/gpu_check.sh [setting=value ...]      the settings go to the real iteration
#   CHECK_ONLY=1 scripts/gpu_check.sh             only validates both commands; needs no GPU
#
# PYTHON: the interpreter (.venv's, as `make install` makes it). OUTPUT: the folder of the runs (outputs).
# CUDA_VISIBLE_DEVICES: which GPU (the first). If it is interrupted, the same command resumes.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
output=${OUTPUT:-outputs}
gpu=${CUDA_VISIBLE_DEVICES:-0}
gpu=${gpu%%,*}

stop() { printf 'gpu_check: %s\n' "$1" >&2; exit 1; }

command -v "$python" >/dev/null || stop "there is no $python; run \`make install\` first, or set PYTHON"

smoke=(experiment=smoke iteration=1 run=gpu_check_smoke "output=$output")
real=(policy=smollm2 policy.device=cuda iteration=1 run=gpu_check "output=$output" tracking=none
  world.passages=300 world.demonstrations=14 world.train=10 world.evaluation=10 "$@")

if [ "${CHECK_ONLY:-0}" = 1 ]; then
  "$python" -m rest_react.run "${smoke[@]}" dry_run=true
  "$python" -m rest_react.run "${real[@]}" dry_run=true
  exit
fi

command -v nvidia-smi >/dev/null ||
  stop "there is no nvidia-smi here, so no NVIDIA GPU to check; CHECK_ONLY=1 validates without one"
card=$(nvidia-smi --id="$gpu" --query-gpu=name,driver_version,memory.total --format=csv,noheader) ||
  stop "nvidia-smi finds no GPU $gpu; is the driver loaded, and CUDA_VISIBLE_DEVICES right?"
export CUDA_VISIBLE_DEVICES=$gpu
versions=$("$python" - <<'EOF'
import sys

import torch
import transformers

if not torch.cuda.is_available():
    sys.exit(f"torch {torch.__version__} sees no GPU; is it a CPU build? pytorch.org names the one for this driver")
print(f"torch {torch.__version__} (CUDA {torch.version.cuda}), transformers {transformers.__version__}")
EOF
) || stop "see above"
printf 'GPU %s: %s\n%s\n' "$gpu" "$card" "$versions"

# The smoke run first: where something basic is broken, it says so in a minute.
"$python" -m rest_react.run "${smoke[@]}"

# Memory in use, twice a second; each line is matched with the stage that ran then.
mkdir -p "$output/gpu_check"
memory=$output/gpu_check/gpu_memory.txt
while sleep 0.5; do
  printf '%s %s\n' "$(date +%s)" "$(nvidia-smi --id="$gpu" --query-gpu=memory.used --format=csv,noheader,nounits)"
done >>"$memory" 2>/dev/null &
sampler=$!
trap 'kill "$sampler" 2>/dev/null || true' EXIT

"$python" -m rest_react.run "${real[@]}"

printf '\n%s; %s\n\n' "$card" "$versions"
"$python" - "$output/gpu_check" <<'EOF'
import json
import sys
from pathlib import Path

run = Path(sys.argv[1])
samples = [line.split() for line in (run / "gpu_memory.txt").read_text().splitlines()]
memory = [(float(words[0]), int(words[1])) for words in samples if len(words) == 2 and words[1].isdigit()]

print("| stage | seconds | tokens in | tokens out or trained | the latter per second | peak GPU memory, MiB |")
print("|---|---|---|---|---|---|")
for path in sorted(run.glob("iter_*/**/summary.json"), key=lambda path: path.stat().st_mtime):
    summary = json.loads(path.read_text())
    seconds = summary["seconds"]
    tokens, rate = summary.get("completion_tokens"), seconds
    losses = path.parent / "loss.jsonl"
    if losses.exists():
        last = json.loads(losses.read_text().splitlines()[-1])
        tokens, rate = last["tokens"], last["seconds"]
    # A stage ended when its summary was written.
    ended = path.stat().st_mtime
    # Of a resumed stage the seconds may be unknown.
    peak = max((used for at, used in memory if seconds is not None and ended - seconds <= at <= ended), default="")
    cells = [
        path.parent.relative_to(run).as_posix(),
        "resumed" if seconds is None else f"{seconds:.1f}",
        f"{summary['prompt_tokens']:,}" if "prompt_tokens" in summary else "",
        f"{tokens:,}" if tokens else "",
        f"{tokens / rate:,.0f}" if tokens and rate else "",
        f"{peak:,}" if peak else "",
    ]
    print("| " + " | ".join(cells) + " |")
print(f"\nAccuracy and the rest: {run}/report.md")
EOF
