# Every target is one command that a person could type. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Each target first says what it does and how long that takes: the words behind its ##.
SAY = @sed -n 's/^$@:.*\#\# /$@: /p' $(firstword $(MAKEFILE_LIST))
# An existing cluster instead of the local one: make demo CONTEXT=name
CONTEXT ?=
# What is random comes from it: make bench-chaos SEED=number
SEED ?=

.PHONY: help install demo demo-down test test-fast check format gen image bench-accuracy bench-planner bench-scale bench-chaos bench-failover bench-ingest bench-wall fuzz cluster-up cluster-down

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

install: $(VENV)/.installed ## make the virtual environment with everything (1 min the first time)

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "install: making $(VENV) from pinned packages; about 1 min the first time"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ": make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade 'pip>=25.1'
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[operator,worker,results]' --group dev
	@touch $@

demo: install ## bring the product up on a real cluster and watch it catch defects (20 min the first time, then 2)
	$(SAY)
	$(RUN) -m dev.demo up $(if $(CONTEXT),--context $(CONTEXT))

demo-down: install ## remove the demo and the operator; the local cluster stays (make cluster-down ends it)
	$(SAY)
	$(RUN) -m dev.demo down $(if $(CONTEXT),--context $(CONTEXT))

test: install ## every test, those on the real cluster included (an hour the first time, then 35 min)
	$(SAY)
	$(RUN) -m dev.packages
	@$(MAKE) --no-print-directory check
	$(RUN) -m dev.cluster build
	$(RUN) -m dev.images build all
	$(RUN) -m pytest --numprocesses 2 tests/unit tests/contract tests/accuracy tests/fuzz
	$(RUN) -m tests.fuzz --seconds 60 --seed 1
	$(RUN) -m pytest tests/integration tests/e2e

test-fast: install ## every test that needs no cluster and no server (80 s)
	$(SAY)
	$(RUN) -m pytest --numprocesses 2 tests/unit tests/contract

fuzz: install ## spoil input of every kind; what breaks ingest is kept (SECONDS=60, or hours of them)
	$(SAY)
	$(RUN) -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

check: install ## lint, types, layers, generated files, charts (3 min the first time, then 1)
	$(SAY)
	$(RUN) -m dev.check

format: install ## let ruff write the code the way `make check` wants it
	$(SAY)
	$(VENV)/bin/ruff check --fix-only --quiet . && $(VENV)/bin/ruff format .

gen: install ## write the generated files: the CRD, its chart copy, the detectors' reference
	$(SAY)
	$(RUN) -m dev.gen

image: install ## build the worker and operator images (4 min the first time, then seconds)
	$(SAY)
	$(RUN) -m dev.images build all

bench-accuracy: install ## measure every detector on media whose defects are known; writes docs/accuracy.md (40 min the first time, then 20)
	$(RUN) -m tests.accuracy

bench-planner: install ## how long planning takes, from 1,000 to 100,000 streams; writes docs/bench-planner.md (30 s)
	$(SAY)
	$(RUN) -m bench.planner

bench-chaos: install ## kill the operator 50 times during changes on the real cluster; writes docs/bench-chaos.md (25 min)
	$(SAY)
	CHAOS_KILLS=50 CHAOS_SEED=$(SEED) $(RUN) -m pytest -s tests/e2e/test_chaos.py

bench-failover: install ## how soon streams go on when workers and nodes fail; writes docs/bench-failover.md (25 min)
	$(SAY)
	$(RUN) -m bench.failover

bench-ingest: install ## lose sources of every protocol 200 times, and replay a day; writes docs/bench-ingest.md (100 min)
	$(SAY)
	INGEST_SEED=$(SEED) $(RUN) -m bench.ingest

bench-scale: install ## what thousands of StreamMonitors cost the operator; writes docs/bench-scale.md (30 min)
	$(SAY)
	$(RUN) -m bench.scale

bench-wall: install ## how soon a browser shows a thousand streams, and what that costs; writes docs/bench-wall.md (3 min)
	$(SAY)
	$(RUN) -m dev.packages
	$(RUN) -m bench.wall

cluster-up: install ## start the local cluster (10 min the first time, then 20 s); needs Linux, root, Go 1.24
	$(SAY)
	$(RUN) -m dev.cluster up

cluster-down: install ## stop the local cluster and remove what it made; its binaries stay cached
	$(SAY)
	$(RUN) -m dev.cluster down
