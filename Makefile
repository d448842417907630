# make run      the default run to iteration 1; make run ARGS="iteration=3 run=mine agent.self_checks=false"
# make smoke    the whole loop in a minute, no download
# make test     the tests; make slow: those that take minutes
# make servers  installs vLLM, llama.cpp's server, LiteLLM's proxy, two routers and Qwen2.5-Coder-1.5B (6 GB), tests against them, and their speed (20 minutes more)
# make qwen     serves a larger model on this machine, for reward_model=qwen, teacher=qwen or task.maker=qwen (2 GB; Ctrl-C ends it)
# make reader   the default run without rules: that model reads and judges, served while the run lasts (outputs/second_reader)
# make trackers installs MLflow and Trackio too, and reads back what runs log to them
# make slurm    the tests on a SLURM of two nodes on this machine, from Debian's packages (a few minutes)
# make lint     format, lint, types, import floors; make check: lint and test
# make install  everything into .venv; the others call it
# make locked   the same at the versions in constraints.txt, those that were tested; make freeze: rewrite that file

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/installed
SERVERS := $(or $(REST_REACT_CACHE),$(HOME)/.cache/rest_react)/servers

.PHONY: help run smoke install locked freeze test slow servers qwen reader trackers slurm lint check

help:
	@sed -n '/^#/!q; s/^# //p' $(firstword $(MAKEFILE_LIST))

install: $(STAMP)

# torch comes first and at one version: left to the range in pyproject.toml, pip may pick a newer build that brings
# several GB of CUDA. For a build of your own choice (CPU only, another CUDA) set PIP_EXTRA_INDEX_URL or install it first.
$(STAMP): pyproject.toml requirements-embedded.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet $(LOCK) torch==2.13.0
	$(PY) -m pip install --quiet $(LOCK) --editable '.[dev]'
	$(PY) -m pip install --quiet --no-deps --require-hashes --requirement requirements-embedded.txt
	touch $@

# Always installs: the stamp does not say which versions it stands for.
locked:
	$(MAKE) --always-make install LOCK='--constraint constraints.txt'

# Run it in a new .venv, after `make check` passed there.
freeze: $(STAMP)
	grep '^#' constraints.txt > $(VENV)/constraints.txt
	$(PY) -m pip freeze --exclude rest-react > $(VENV)/frozen.txt
	sed 's/+[^+]*$$//' $(VENV)/frozen.txt >> $(VENV)/constraints.txt
	mv $(VENV)/constraints.txt constraints.txt

# Of two values for one setting Hydra takes the later one.
run: $(STAMP)
	$(PY) -m rest_react.run iteration=1 $(ARGS)

smoke: $(STAMP)
	$(PY) -m rest_react.run experiment=smoke iteration=2 $(ARGS)

# One thread each: with one worker per core, more only get in each other's way. worksteal keeps the tests of a file on one
# worker as long as both have work, so that a file's runs are made once. Hundreds of tests start a process: where the
# environment forbids Python to keep what it compiled, each of them would compile the package.
test: $(STAMP)
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

slow: $(STAMP)
	$(PY) -m pytest -m slow $(ARGS)

# One at a time: each of them takes all cores.
servers: $(STAMP)
	PYTHON=$(PYTHON) scripts/install_servers.sh
	$(PY) -m pytest -m servers tests/servers $(ARGS)
	$(PY) -m benchmarks.servers

# The server reads its input until it ends, so that it ends with a program that started it.
qwen:
	PYTHON=$(PYTHON) scripts/install_servers.sh llamacpp qwen
	$(SERVERS)/llamacpp/bin/python scripts/llamacpp_server.py $(SERVERS)/qwen/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf \
		8080 qwen2.5-coder-1.5b-instruct $$(getconf _NPROCESSORS_ONLN) --context 16384

reader: $(STAMP)
	scripts/with_qwen.sh $(PY) -m rest_react.run experiment=second_reader iteration=1 $(ARGS)

# MLflow may want an older pyarrow than the one in .venv; the package works with either.
trackers: $(STAMP)
	$(PY) -m pip install --quiet --editable '.[dev,mlflow,trackio]'
	$(PY) -m pytest tests/reporting/tracking $(ARGS)

# The packages: docs/scaling.md.
slurm: $(STAMP)
	$(PY) -m pytest -m slurm tests/slurm $(ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

check: lint test
