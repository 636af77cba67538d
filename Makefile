# Caravan. `make help` lists what there is; every target that needs the environment makes it first.

PYTHON ?=
INSTALL_LOCAL ?= 1
INSTALL_ANY_LLM ?= 1
INSTALL_OCR ?= 0
INSTALL_PRESIDIO ?= 0
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# More than there are cores: the suites start real servers and wait for them much of the time.
PYTEST_WORKERS ?= 7

export PYTHON INSTALL_LOCAL INSTALL_ANY_LLM INSTALL_OCR INSTALL_PRESIDIO

.DEFAULT_GOAL := help
.PHONY: help setup up down test test-clients chaos check fmt bench lock asyncapi schema clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Make .venv with everything in it (INSTALL_LOCAL=0: without the local models; INSTALL_OCR=1: with OCR; INSTALL_PRESIDIO=1: with Presidio; PYTHON=...: which interpreter)
	@scripts/setup.sh

up: setup ## Start the whole mesh on this machine; ARGS="--port 8400 --detach" is passed on
	@$(BIN)/caravan up $(ARGS)

down: ## Stop a mesh that was started with --detach
	@$(BIN)/caravan down $(ARGS)

test: setup ## Run every test but those that take long; ARGS="-k stream" is passed on
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadscope $(ARGS)

test-clients: setup ## Test with every client there is, each in an environment of its own below .clients/
	@scripts/client_envs.sh
	$(BIN)/python -m pytest -m clients tests/clients_legacy $(ARGS)

chaos: setup ## Kill, cut and overload what runs, then every other test that takes long
	@PYTEST_WORKERS=$(PYTEST_WORKERS) scripts/chaos.sh $(ARGS)

check: setup ## Format, lint, types, import direction, generated documents
	@scripts/check.sh

fmt: setup ## Format and apply the safe fixes
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: setup ## Measure CPU, latency and memory beside the upstream alone
	$(BIN)/python -m benchmarks $(ARGS)

lock: setup ## Resolve the locked requirements again (UPGRADE=1: to the newest versions)
	@scripts/lock.sh

asyncapi: setup ## Write docs/asyncapi.yaml from the contracts
	$(BIN)/caravan bus asyncapi > docs/asyncapi.yaml.new && mv docs/asyncapi.yaml.new docs/asyncapi.yaml

schema: setup ## Write docs/caravan.schema.json, the stack file's JSON Schema
	$(BIN)/caravan config schema > docs/caravan.schema.json.new && mv docs/caravan.schema.json.new docs/caravan.schema.json

clean: ## Remove what the targets above made (not the data of `caravan up`)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -not -path './node_modules/*' -prune -exec rm -rf {} +
