# Two commands serve a newcomer: `make demo` and `make test`. Each sets up what it needs, once.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CORES  ?= $(shell getconf _NPROCESSORS_ONLN)
SOURCES := workflow_scripts figures tests

.DEFAULT_GOAL := help
.PHONY: help setup demo test slurm lint format schema bench lock clean

help:  ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY)  ## install everything into .venv

# torch goes first and alone: pip's own configuration then decides between its CPU and CUDA builds, and the
# lock, which names neither's companions, keeps what is there. Compiled at once, since every job of the
# workflow imports much and some machines keep nothing of that; torch brings files that are for later Pythons. The .pth
# file is for notebooks, wherever they are opened, and for them alone: jobs take the package from their own checkout.
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11, 4) <= sys.version_info[:3] < (3, 14))' || \
		{ echo "Python 3.11.4 or later, 3.12 or 3.13 is needed; $$($(PYTHON) --version) found. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (about 2 GB, once)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || echo "uv is not to be had: pip installs the rest, more slowly"
	if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock; \
		else $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock; fi
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null || true
	@echo 'import sys; "ipykernel_launcher" in sys.orig_argv and sys.path.append("$(CURDIR)/workflow_scripts")' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/medtransfer.pth"
	@touch $@

demo: $(READY)  ## run the whole workflow on synthetic data, to its report
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES)
	@echo "The report: results/demo/report.html"

test: $(READY)  ## pass the tests
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile

slurm: $(READY)  ## pass the tests that start a SLURM of their own (packages slurm-wlm, munge; as root)
	$(BIN)/python -m pytest -m slurm -rs

lint: $(READY)  ## ruff, mypy, snakefmt, snakemake --lint
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --lint

format: $(READY)  ## put sources into their standard form
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/snakefmt Snakefile rules

schema: $(READY)  ## write config/schema.json anew from the configuration's models
	PYTHONPATH=workflow_scripts $(BIN)/python -m medtransfer.config > config/schema.json

bench: $(READY)  ## measure speed, side by side
	PYTHONPATH=workflow_scripts $(BIN)/python -m tests.bench

# The companions of a CUDA torch are left out: torch itself names the ones it needs.
lock: $(VENV)/.ready  ## resolve requirements.in anew
	$(BIN)/uv pip install --python $(BIN)/python --upgrade -r requirements.in
	$(BIN)/uv pip freeze --python $(BIN)/python | grep -viE '^(pip|uv|nvidia-.*|cuda-.*|triton)==' | sed -E 's/\+[a-z0-9.]+$$//; s/ @ .*//' > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:  ## remove what the demo made
	rm -rf results/demo .snakemake
