# Everything a person may do with Relance. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test prove lint bench screenshots sdk-check pin clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: $(VENV)/.run  ## Start everything with the demo shop: console, storefront, mailbox
	@$(BIN)/python -m app.running

test: $(VENV)/.dev  ## Run the whole test suite
	@$(BIN)/python -m tests.browser
	@$(BIN)/python -m pytest -n 2 --dist loadfile

prove: $(VENV)/.dev  ## Long proofs: thousands of messages under random kills
	@$(BIN)/python -m tests.prove

lint: $(VENV)/.dev  ## ruff, mypy, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(VENV)/.dev  ## Benchmarks: ratios against a floor measured in the same run
	@$(BIN)/python -m bench

screenshots: $(VENV)/.dev  ## Every page of the demo and every message into docs/screenshots (needs Chromium)
	@$(BIN)/python -m tests.browser
	@$(BIN)/python -m tests.message_pictures
	@$(BIN)/python -m tests.screenshots

sdk-check: $(VENV)/.dev  ## Six real tracking SDKs, unmodified, against a running server (needs npm)
	@$(BIN)/python -m tests.sdk

pin:  ## Pin requirements.txt and requirements-dev.txt from their .in files
	@$(BIN)/pip install -q pip-tools
	@for f in requirements requirements-dev; do $(BIN)/pip-compile -q --strip-extras --no-header \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o $$f.txt $$f.in; done

clean:  ## Remove the environment; keeps var/, where the data is
	@rm -rf $(VENV)

$(VENV)/.run: requirements.txt requirements-demo.txt
	@echo "Installing Relance into $(VENV) (about half a minute the first time) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Relance needs Python 3.11 or newer.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --disable-pip-version-check -qq -r requirements.txt
	@$(BIN)/pip install --disable-pip-version-check -qq --no-deps -r requirements-demo.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "Installing the test tools …"
	@$(BIN)/pip install --disable-pip-version-check -qq -r requirements-dev.txt
	@touch $@
