# Every command a user or maintainer needs; `make` alone lists them.
SHELL := /bin/bash
BIN := .venv/bin
LAB := PYTHONPATH=deploy $(BIN)/python -m lab
FAST := not e2e and not slow and not servers
SCRIPTS := .ci/run deploy/*.sh deploy/emr/*.sh

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check servers dist e2e e2e-all lab-up lab-down lab-status lab-load parity bench bench-control faults clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: .venv/installed ## set up .venv from the lock file; the command is then .venv/bin/autoscaler

.venv/installed: requirements.lock pyproject.toml deploy/setup.sh
	@deploy/setup.sh
	@touch $@

run: ## the story: a lab with real parts, jobs, the daemon, a load that rises and falls (11 minutes)
	@deploy/preflight.sh lab || { status=$$?; [ $$status -ne 3 ] || echo "run: \`make demo\` plays it without Java" >&2; exit $$status; }
	@$(MAKE) --no-print-directory setup
	@PYTHONPATH=deploy $(BIN)/python -m demo

demo: setup ## the story on a simulated cluster, without Java: two hours of a job in 10 minutes
	@PYTHONPATH=deploy $(BIN)/python -m demo.simulated

test: ## all tests, those on the lab included
	@deploy/test.sh

check: setup ## formatter, linters, types, import contracts and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/shfmt --diff --indent 4 --case-indent $(SCRIPTS)
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/pytest -m "$(FAST)" -n 3  # some of them wait for a process or a time-out, not for a core

dist: setup ## wheel, source distribution and offline bundles for x86_64 and aarch64, into dist/
	@PYTHONPATH=deploy $(BIN)/python -m bundle

servers: setup ## the tests on PostgreSQL, MariaDB, MySQL and a KDC (skipped where they are not installed)
	$(BIN)/pytest -m servers -rs

e2e: setup ## the tests on the lab, on one Flink (FLINK=1.18|1.19|1.20|2.x, default 1.20)
	@deploy/preflight.sh lab
	$(BIN)/pytest -m e2e --durations=0 --durations-min=5 tests/e2e

e2e-all: setup ## the tests on the lab, on Flink 1.19, 1.20 and 2.x, and on 1.18 those whose course differs
	@deploy/preflight.sh lab
	@for version in 1.20 1.19 2.x; do echo "Flink $$version"; FLINK=$$version $(BIN)/pytest -m e2e --durations=0 --durations-min=5 tests/e2e || exit 1; done
	@echo "Flink 1.18"; FLINK=1.18 $(BIN)/pytest -m "e2e and versions_differ" --durations=0 --durations-min=5 tests/e2e

lab-up: ## start the lab and its jobs and leave them running
	@deploy/preflight.sh lab
	@$(MAKE) --no-print-directory setup
	@$(LAB) up --jobs

lab-down: setup ## end the lab
	@$(LAB) down

lab-status: setup ## addresses, applications, jobs and memory of the lab
	@$(LAB) status

# make lab-load 800: the second word is the rate, not a goal
ifeq (lab-load,$(firstword $(MAKECMDGOALS)))
RATE ?= $(word 2,$(MAKECMDGOALS))
$(eval $(wordlist 2,9,$(MAKECMDGOALS)):;@:)
endif
lab-load: setup ## change the load: make lab-load RATE (records per second into `orders`, the others in proportion)
	@$(LAB) load $(RATE)

parity: setup ## compare decisions with those of a file: make parity CASES=FILE
	@$(BIN)/python deploy/parity.py $(CASES)

bench: setup ## what the daemon costs: calls, bytes, CPU, memory, lateness, storage
	@PYTHONPATH=deploy $(BIN)/python -m bench

bench-control: setup ## how well loads are followed: ours against the reference on all loads, 5 seeds each; build/control
	@$(BIN)/autoscaler simulate all --compare ours,reference --seeds 5 --report build/control

# make faults DAYS=10000: sharded and resumable in RESULTS; make faults SEED=7 HOURS=8 plays one episode again
RESULTS ?= build/faults
faults: setup ## everything goes wrong: 500 simulated job-days with faults (DAYS=, SEED=, HOURS=, RESULTS=); 20 minutes
	@PYTHONPATH=deploy $(BIN)/python -m faults --results $(RESULTS) $(if $(SEED),--seed $(SEED)) $(if $(HOURS),--hours $(HOURS)) $(if $(DAYS),--days $(DAYS))

clean: ## end the lab; remove .venv and .lab
	@test ! -x $(BIN)/python || $(LAB) clean
	rm -rf .venv .lab
