"""llama.cpp's server from the wheel `xllamacpp`, run by the interpreter of its environment until its input ends.

python llamacpp_server.py model.gguf PORT NAME THREADS [TEMPLATE]

TEMPLATE is the file of a chat template, for a model that has none.
"""

import sys
from pathlib import Path
from typing import Any

import xllamacpp  # type: ignore[import-not-found]

path, port, name, threads, *template = sys.argv[1:]
params: Any = xllamacpp.CommonParams()
params.model.path = path
params.model_alias = {name}
params.port = int(port)
params.n_parallel = 4
params.n_ctx = 8192  # for the slots together
params.n_gpu_layers = 0
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
if template:
    params.use_jinja = True
    params.chat_template = Path(template[0]).read_text(encoding="utf-8")
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
