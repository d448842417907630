#!/usr/bin/env bash
# scripts/with_qwen.sh COMMAND ...   runs a command while `make qwen` serves its model, and ends with its status
#
#   scripts/with_qwen.sh .venv/bin/python -m rest_react.run experiment=second_reader
#
# A model that is served already is used, and left as it is. The output of the server goes to outputs/qwen.log.
set -euo pipefail
port=${QWEN_PORT:-8080} log=${QWEN_LOG:-outputs/qwen.log}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

if listens; then
  exec "$@"
fi
mkdir -p "$(dirname "$log")"
printf 'starting the model on port %s (output: %s)\n' "$port" "$log"
input=$(mktemp -d)/input
mkfifo "$input"
"${MAKE:-make}" qwen <"$input" >"$log" 2>&1 &
server=$!
# The server reads its input until it ends: it ends with this script, also if that is killed.
exec 9>"$input"
rm -r "$(dirname "$input")"
until listens; do
  if ! kill -0 "$server" 2>/dev/null; then
    printf 'the model could not be served; %s has the cause\n' "$log" >&2
    exit 1
  fi
  sleep 1
done
status=0
"$@" 9>&- || status=$?
exec 9>&-
wait "$server" || true
exit "$status"
