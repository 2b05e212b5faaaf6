# Walk-Forward. GNU make 3.81 or newer; the recipes run in sh and in Windows' cmd alike.

ifeq ($(OS),Windows_NT)
PYTHON ?= python
VENV := .venv/Scripts/python.exe
else
PYTHON ?= python3
VENV := .venv/bin/python
endif

# A Python that you name is the one that is used; otherwise an environment that works is kept.
NAMED := $(filter command environment override,$(origin PYTHON))

# Set in some shells; they would make every start slow, or another Python's packages appear in ours.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help env lab lessons test lint data site lock bench clean

help: ## list these targets
	@"$(PYTHON)" -c "import re; print('\n'.join('  make %-9s%s' % hit for hit in re.findall(r'(?m)^([a-z]+):.*?## (.*)', open('Makefile', encoding='utf-8').read())))"

env: ## build the environment, and nothing else (PYTHON=python3.12, FORCE=1 from scratch)
	@"$(PYTHON)" src/environment.py $(if $(NAMED),--this-python) $(if $(filter env,$(MAKECMDGOALS)),$(if $(FORCE),--force))

lab: env ## open the course: JupyterLab and the MLflow server, Ctrl-C stops both
	@"$(VENV)" -m course lab $(ARGS)

lessons: env ## build the notebooks that have changed (CHECK=1 only looks, FORCE=1 all, LESSON=03)
	@"$(VENV)" src/authoring/build.py $(if $(CHECK),--check) $(if $(FORCE),--force) $(LESSON)

test: export WALKFORWARD_WEEKLY := $(or $(WEEKLY),$(WALKFORWARD_WEEKLY))
test: export WALKFORWARD_QUICK := $(or $(QUICK),$(WALKFORWARD_QUICK))
test: env ## prove the whole repository (QUICK=1 what is new, WEEKLY=1 what takes long too)
	@"$(VENV)" tests/run.py $(ARGS)

lint: env ## check the Python code's style
	@"$(VENV)" -m ruff check .
	@"$(VENV)" -m ruff format --check .

data: env ## rebuild the data from its archives
	@"$(VENV)" data/build.py $(ARGS)

site: env ## build the web site into build/site (SERVE=1 shows it)
	@"$(VENV)" src/authoring/site/build.py $(if $(SERVE),--serve) $(ARGS)

lock: env ## rebuild requirements.txt from pyproject.toml (UPGRADE=1: newest versions)
	@"$(PYTHON)" src/environment.py --lock $(if $(UPGRADE),--upgrade)

bench: env ## measure where the seconds of a start go
	@"$(VENV)" benchmarks/startup.py $(ARGS)

clean: ## remove the environment and caches; your work/ stays
	@"$(PYTHON)" src/environment.py --clean
