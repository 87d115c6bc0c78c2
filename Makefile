# The commands of this repository. `make help` lists them; PYTHON=python3.12 picks an interpreter.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
GPU_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,python3)
READY := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test gpu check style fix serve worker migration browser slurm

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "make %-10s %s\n", $$1, $$2}'

venv: $(READY) ## set up .venv from requirements.lock, once

demo: $(READY) ## a whole study on synthetic street scenes, in minutes
	$(BIN)/segtune demo

test: $(READY) browser slurm ## every test, on all cores
	$(BIN)/python -m pytest -n auto --dist worksteal

gpu: ## on a machine with a GPU and a torch of its own: its tests, then the training benchmark
	$(GPU_PYTHON) -m pytest -ra -o addopts= --import-mode=importlib --confcutdir=tests/gpu tests/gpu
	$(GPU_PYTHON) -m benchmarks.training --device cuda

check: style ## style, types, import rules, spelling, quick tests: what every commit passes
	$(BIN)/python -m pytest -q -n auto tests/unit tests/house tests/migrations

style: $(READY) ## style, types and spelling: all of `check` but its tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/codespell

fix: $(READY) ## fix what ruff can fix
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

serve: $(READY) ## a server with the settings of .env
	$(BIN)/segtune serve

worker: $(READY) ## a worker for the server that SEGTUNE_SERVER names
	$(BIN)/segtune worker

migration: export SEGTUNE_DATABASE_URL = sqlite:///migration.db
migration: $(READY) ## a new numbered migration from the models: make migration m="add trial labels"
	rm -f migration.db* && $(BIN)/alembic upgrade head && $(BIN)/alembic revision --autogenerate -m "$(m)" && rm -f migration.db*

browser:
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && { apt-get install -y -qq --no-install-recommends chromium-headless-shell || apt-get install -y -qq --no-install-recommends chromium; }; \
	else echo "No browser found: install Chromium, or the dashboard's tests in a browser are skipped."; fi

slurm:
	@command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v sbatch >/dev/null && command -v munged >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge; \
	else echo "No Slurm found: install slurmctld, slurmd, slurm-client and munge, or its test is skipped."; fi

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "segtune needs Python 3.11, 3.12 or 3.13 with venv; name one: make PYTHON=/path/to/python"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.lock && $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e . && touch $@
