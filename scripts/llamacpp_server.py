"""llama.cpp's server from the wheel `xllamacpp`, run by the interpreter of its environment until its input ends.

python llamacpp_server.py model.gguf PORT NAME THREADS [--context 8192] [--template FILE]

Four requests at a time share the context (in tokens). FILE is a chat template, for a model that has none.
"""

import argparse
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import xllamacpp  # type: ignore[import-not-found]

parser = argparse.ArgumentParser(description="Serves a GGUF file by llama.cpp until its input ends.")
parser.add_argument("weights")
parser.add_argument("port", type=int)
parser.add_argument("name")
parser.add_argument("threads", type=int)
parser.add_argument("--context", type=int, default=8192)
parser.add_argument("--template", type=Path)
asked = parser.parse_args()
with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", asked.port))
    except OSError as error:
        parser.error(f"port {asked.port} is taken ({error.strerror}); stop what listens there or give another port")
params: Any = xllamacpp.CommonParams()
params.model.path = asked.weights
params.model_alias = {asked.name}
params.port = asked.port
params.n_parallel = 4
params.n_ctx = asked.context
params.n_gpu_layers = 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = asked.threads
if asked.template:
    params.use_jinja = True
    params.chat_template = asked.template.read_text(encoding="utf-8")
try:
    server = xllamacpp.Server(params)
except RuntimeError as error:
    parser.error(f"{asked.weights} cannot be served: {error} The lines above have the cause")
print(server.listening_address, flush=True)
with suppress(KeyboardInterrupt):  # Ctrl-C is how a person ends it
    sys.stdin.read()
