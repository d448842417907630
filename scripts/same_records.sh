#!/usr/bin/env bash
# scripts/same_records.sh [REVISION]   whether the working tree writes the same records as REVISION (default: main)
#
# Runs experiment=smoke with both and compares every file of records of the run folders byte by byte. A change that only
# moves or renames code must pass it. PYTHON names the interpreter (default: .venv/bin/python).
# Does not compare summaries, loss curves and pages, which hold durations.
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"
revision=${1:-main}
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
work=$(mktemp -d)
trap 'git worktree remove --force "$work/tree"; rm -rf "$work"' EXIT

git worktree add --quiet --detach "$work/tree" "$revision"
smoke() {
  (cd "$1" && PYTHONPATH=$1 "$python" -m rest_react.run experiment=smoke iteration=2 output="$work/$2") >"$work/$2.log" 2>&1 ||
    { cat "$work/$2.log"; echo "The run of $2 failed."; exit 1; }
}
smoke "$work/tree" before
smoke "$PWD" after

records() { (cd "$work/$1" && find . -name '*.jsonl' ! -name loss.jsonl | sort | xargs sha256sum); }
if ! diff <(records before) <(records after); then
  echo "The records differ from those of $revision (left: $revision, right: the working tree)."
  exit 1
fi
echo "The same $(records after | wc -l) files of records as $revision."
