# Every command a user or maintainer needs; `make` alone lists them.
SHELL := /bin/bash
BIN := .venv/bin
STAMP := .setup/done

.DEFAULT_GOAL := help
.PHONY: help setup

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## set up .venv from the lock file; the command is then .venv/bin/autoscaler

$(STAMP): requirements.lock pyproject.toml
	@deploy/setup.sh
	@mkdir -p $(@D) && touch $@
