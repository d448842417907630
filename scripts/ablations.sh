#!/usr/bin/env bash
# Runs one family of ablations: its members one after another, with shared stages (grow.reuse).
#
#   scripts/ablations.sh selector                    reward model, perplexity, random on the embedded default
#   BASE=smoke scripts/ablations.sh trajectories     on another experiment
#   scripts/ablations.sh samples iteration=2         with overrides for every member
#   CHECK_ONLY=1 scripts/ablations.sh checks         only predicts the cost of each
#
# Families: selector, trajectories, samples, checks, start, data_size. Runs go to OUTPUT (outputs/ablations); the
# same command again resumes. The first member runs alone; the others reuse its stages that would be the same: iteration
# 0, and the first Grow if its settings are the same. docs/ablations.md has the question of each family.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-.venv/bin/python}
OUTPUT=${OUTPUT:-outputs/ablations}
BASE=${BASE:-}
family=${1:-}
[ $# -gt 0 ] && shift

case $family in
  selector)     first=selector_perplexity; others=(selector_reward_model selector_random) ;;
  trajectories) first=trajectories_4x; others=(trajectories_2x trajectories_1x) ;;
  samples)      first=samples_4; others=(samples_1 samples_16) ;;
  checks)       first=checks_revise; others=(checks_none checks_research) ;;
  start)        first=start_base; others=(start_previous) ;;
  data_size)    first=selector_perplexity; others=(data_size) ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

run() { "$PYTHON" -m rest_react.run "$@" output="$OUTPUT"; }  # Hydra wants -m first
on_base() { echo "experiment=[${BASE:+$BASE,}$1]"; }

dry=()  # written ${dry[@]+...} below: to the bash of macOS an empty array is unset
[ -n "${CHECK_ONLY:-}" ] && dry=(dry_run=true)
reuse=(grow.reuse=$first)
[ "$family" = checks ] && reuse=()  # another agent: no stage is the same

run "$(on_base "$first")" "$@" ${dry[@]+"${dry[@]}"}
if [ "$family" = data_size ]; then
  run -m "$(on_base data_size)" ${reuse[@]+"${reuse[@]}"} "$@" ${dry[@]+"${dry[@]}"}
else
  choices=$(for member in "${others[@]}"; do on_base "$member"; done | sed 's/experiment=//' | paste -sd, -)
  run -m "experiment=$choices" ${reuse[@]+"${reuse[@]}"} "$@" ${dry[@]+"${dry[@]}"}
fi
