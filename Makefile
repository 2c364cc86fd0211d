# What passes here passes in CI: .ci/run calls these targets and nothing else. `make help` lists them.
VENV   := .venv
PY     := $(VENV)/bin/python
BIN    := $(VENV)/bin
# The first Python that runs and is new enough: a name on the PATH may be a shim that only says it is missing.
IS_NEW  = -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p $(IS_NEW) >/dev/null 2>&1 && { echo $$p; break; }; done)
RUN_OK := $(VENV)/.run-installed
DEV_OK := $(VENV)/.dev-installed

.DEFAULT_GOAL := help
.PHONY: help run fmt lint types unit test docs-check smoke bench golden agents check lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed (make PYTHON=/path/to/python3)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(RUN_OK): requirements/run.lock pyproject.toml | $(VENV)/bin/python
	$(PY) -m pip install --disable-pip-version-check --progress-bar on --require-hashes -r requirements/run.lock
	@touch $@

$(DEV_OK): requirements/dev.lock pyproject.toml | $(VENV)/bin/python
	$(PY) -m pip install --disable-pip-version-check --progress-bar on --require-hashes -r requirements/dev.lock
	$(PY) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@ $(RUN_OK)

run: $(RUN_OK) ## start the gateway on :8080 (embedded Redis; the simulator unless there is a config.json)
	@$(PY) -m service serve

fmt: $(DEV_OK) ## format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(DEV_OK) ## format check, ruff, import contracts, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/codespell service tests bench docs README.md CHANGELOG.md Makefile

types: $(DEV_OK) ## mypy --strict
	$(BIN)/mypy

unit: $(DEV_OK) ## the pure core and the use cases: no network, no Redis, seconds
	$(BIN)/pytest tests/core tests/gateway

test: lint types $(DEV_OK) ## everything, with a real Redis, coverage with branches
	$(BIN)/pytest --cov --cov-context=test --cov-report=term:skip-covered
	$(PY) tests/core_coverage.py

docs-check: $(DEV_OK) ## every setting, metric, error kind and route has its line in docs
	$(BIN)/pytest tests/test_docs.py
	$(PY) -m service check-config config.example.json

smoke: $(DEV_OK) ## start with the demo configuration, stream once over each upstream kind
	$(BIN)/pytest tests/clients/test_demo.py

bench: $(DEV_OK) ## CPU per request and per event beside a bare byte pipe, as ratios of one run
	$(PY) -m bench
	$(PY) -m bench.redis

golden: $(DEV_OK) ## rewrite the golden answers; review the diff like code
	GOLDEN=rewrite $(BIN)/pytest tests/test_golden.py

agents: $(DEV_OK) ## drive real SDKs, frameworks and agent command lines (installs them into .agents/)
	$(PY) -m tests.clients.agents

check: test docs-check ## what to run before pushing

lock: $(DEV_OK) ## resolve the dependencies anew into requirements/*.lock
	$(PY) -m pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra embedded pyproject.toml -o requirements/run.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra embedded --extra otel --group dev pyproject.toml -c requirements/run.lock -o requirements/dev.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra embedded --extra otel pyproject.toml -c requirements/dev.lock -o requirements/otel.lock

clean: ## remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.xml
