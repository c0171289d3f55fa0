# What people and .ci/run call. `make` alone lists the targets.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
STAMP := $(VENV)/.installed
DRIVER := $(VENV)/.driver-installed
PIP := -m pip install --quiet --disable-pip-version-check
# A lock is whole, so pip takes it as it stands. Left to resolve, an older pip looks for `coverage[toml]` beside the lock's
# `coverage==`, finds what was released since, and refuses that for want of a hash.
LOCKED := $(PIP) --no-deps --require-hashes
PYTEST = $(BIN)/python -m pytest --numprocesses auto --dist worksteal
# The tests of the gate. CI runs all, those that take long too, and measures coverage: `make check TESTS=coverage`.
TESTS = test
CODE = $(wildcard orchestrator tests benchmarks)
TEMPLATES = $(wildcard member_role/*.yaml stackset/*.yaml)

# Locks come from the public index alone: files that only one machine has would bring hashes that nobody else can find.
LOCAL := PIP_FIND_LINKS PIP_EXTRA_INDEX_URL UV_FIND_LINKS UV_EXTRA_INDEX_URL UV_INDEX UV_CONSTRAINT UV_OVERRIDE
COMPILE = env $(addprefix -u ,$(LOCAL)) UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --no-config \
	--quiet --universal --python-version 3.11 --generate-hashes $(if $(UPGRADE),--upgrade)

export HYPOTHESIS_STORAGE_DIRECTORY := .cache/hypothesis
# Many containers set it. Without bytecode, each process of the tests rewrites the asserts of all of them anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: docs bench bench-smoke chaos chaos-smoke e2e second-opinion help setup demo check format lint types contracts templates test coverage zip browser pictures chromium fmt lock clean

help:  ## list the targets
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv from the locked requirements

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("orgmfa needs Python 3.11 or newer: make PYTHON=...")'
	@echo "setup: $(VENV), from requirements/dev.txt"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(LOCKED) -r requirements/dev.txt
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation -e .
	@said=$$($(BIN)/python -m pip check --disable-pip-version-check) || { echo "$$said"; exit 1; }
	@touch $@

demo: $(STAMP)  ## show a whole run on an embedded organization: no AWS account, no network
	@$(BIN)/python -m tests.demo

check: format lint types contracts templates $(TESTS)  ## the gate: everything that must hold before a commit

format: $(STAMP)  ## is the code formatted?
	@echo "check: format"
	@$(BIN)/ruff format --quiet --diff $(CODE)

lint: $(STAMP)  ## ruff
	@echo "check: lint"
	@said=$$($(BIN)/ruff check $(CODE)) || { echo "$$said"; exit 1; }

types: $(STAMP)  ## mypy
	@echo "check: types"
	@$(BIN)/mypy --no-error-summary

contracts: $(STAMP)  ## who may import whom
	@echo "check: contracts"
	@said=$$($(BIN)/lint-imports --no-logo --cache-dir .cache/import-linter) || { echo "$$said"; exit 1; }

templates: $(STAMP)  ## cfn-lint over the CloudFormation templates
	@echo "check: templates"
	@$(if $(TEMPLATES),$(BIN)/cfn-lint $(TEMPLATES),echo "no templates yet")

test: $(STAMP)  ## the tests; ARGS="-k name" narrows
	@echo "check: tests"
	@$(PYTEST) $(ARGS)

coverage: $(STAMP)  ## all tests, those that take long too, with the lines and branches they leave out
	@echo "check: tests and coverage"
	@$(PYTEST) -m "not slow" --cov=orchestrator --cov-branch --cov-fail-under=95 $(ARGS)

zip: $(STAMP)  ## build the zip and the wheel, and run each alone: a scheduled run, the command line
	@echo "check: zip"
	@$(BIN)/python -m pytest -m slow $(ARGS) tests/deploy/lambda_zip/test_build_zip_alone.py tests/test_installation.py

e2e: $(STAMP) .cache/e2e/.installed  ## the whole of it deployed in an emulator: roles, stacks, schedule, zip, digest
	@echo "check: e2e"
	@$(BIN)/python -m pytest -p no:randomly $(ARGS) tests/e2e

chaos: $(STAMP)  ## the program under faults: 500 plays from a seed; ARGS="--write docs/reliability.md" renews the table
	@echo "check: chaos"
	@$(BIN)/python -m tests.chaos --runs 500 --seed 1 $(ARGS)

chaos-smoke: $(STAMP)  ## the same, 30 plays
	@echo "check: chaos-smoke"
	@$(BIN)/python -m tests.chaos --runs 30 --seed 1 $(ARGS)

second-opinion: $(STAMP) .cache/second-opinion/.installed  ## the SCP judged by an evaluator of IAM that others wrote; needs node and npm
	@echo "check: second-opinion"
	@$(BIN)/python -m pytest -m slow $(ARGS) tests/second_opinion

.cache/second-opinion/.installed: tests/second_opinion/package-lock.json
	@echo "setup: .cache/second-opinion, from tests/second_opinion/package-lock.json"
	@mkdir -p .cache/second-opinion
	@cp tests/second_opinion/package.json tests/second_opinion/package-lock.json .cache/second-opinion
	@npm ci --prefix .cache/second-opinion --silent --no-audit --no-fund --ignore-scripts
	@touch $@

.cache/e2e/.installed: requirements/e2e.txt
	@echo "setup: .cache/e2e, from requirements/e2e.txt"
	@$(PYTHON) -m venv .cache/e2e
	@.cache/e2e/bin/python $(LOCKED) -r requirements/e2e.txt
	@touch $@

bench: $(STAMP) .cache/bench/.installed  ## measure speed, cost and memory against other tools: long; ARGS=--quick for a first look
	@$(BIN)/python -m benchmarks $(ARGS)

bench-smoke: $(STAMP) .cache/bench/.installed  ## what the benchmarks compare does the same: calls and results, no times
	@echo "check: bench-smoke"
	@$(BIN)/python -m benchmarks.smoke
	@$(BIN)/python -m benchmarks.cpu_of_an_account >/dev/null

.cache/bench/.installed: requirements/bench.txt
	@echo "setup: .cache/bench, from requirements/bench.txt"
	@$(PYTHON) -m venv .cache/bench
	@.cache/bench/bin/python $(LOCKED) -r requirements/bench.txt
	@touch $@

browser: $(DRIVER) chromium  ## the page of a report in headless Chromium; as root, installs Chromium where it is missing
	@echo "check: browser"
	@$(BIN)/python -m pytest $(ARGS) tests/browser

pictures: $(DRIVER) chromium  ## renew the screenshots in docs/pictures
	@$(BIN)/python -m tests.browser.pictures

$(DRIVER): requirements/browser.txt $(STAMP)
	@echo "setup: $(VENV), from requirements/browser.txt"
	@$(BIN)/python $(LOCKED) -r requirements/browser.txt
	@touch $@

chromium:
	@command -v chromium >/dev/null || test "$$(id -u)" != 0 || { \
		echo "setup: chromium"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium >/dev/null; }
	@command -v chromium >/dev/null || { echo "the browser tests need the command chromium: install it" >&2; exit 1; }

docs: $(STAMP)  ## renew the table of docs/configuration.md
	@$(BIN)/python -m tests.configuration_page

fmt: $(STAMP)  ## format the code and mend what ruff can
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

lock:  ## renew requirements/ after a change of pyproject.toml; UPGRADE=1 takes newer versions
	@test -x $(BIN)/uv || $(MAKE) --no-print-directory setup
	@$(COMPILE) pyproject.toml --all-extras -o requirements/dev.txt
	@$(COMPILE) pyproject.toml --extra sandbox -c requirements/dev.txt -o requirements/cli.txt
	@$(COMPILE) --group lambda -c requirements/dev.txt -o requirements/lambda.txt
	@$(COMPILE) --group zip -o requirements/zip.txt
	@$(COMPILE) --group e2e -o requirements/e2e.txt
	@$(COMPILE) --group browser -c requirements/dev.txt -o requirements/browser.txt
	@$(COMPILE) --no-strip-extras --group bench -c requirements/dev.txt -o requirements/bench.txt

clean:  ## remove the environment, caches and builds; run archives stay
	@rm -rf $(VENV) .cache build dist
	@find orchestrator tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
