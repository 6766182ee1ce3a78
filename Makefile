# All of the project's commands. Each sets up what it needs in .venv; only Python 3.11+ and make have to be there.
#
#   make demo                       make test PYTEST_ARGS="-k schema"
#   make test PYTHON=python3.13     make serve STORE=sqlite:///other.db

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
STORE ?= sqlite:///relgraph.db
LISTEN ?= 127.0.0.1:50051

# Some tests wait for processes that they end: one worker more than there are processors.
WORKERS := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long bench check format pictures proto serve clean FORCE

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.dev ## Make .venv with relgraph and all that its tests and checks need.

demo: $(VENV)/.runtime ## Show four real systems: imported, asked over gRPC, explained, changed.
	@$(BIN)/relgraph demo

test: $(VENV)/.dev ## Run all tests.
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

test-long: $(VENV)/.dev ## Run all tests with many more random examples: minutes, not seconds.
	@RELGRAPH_LONG=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

bench: $(VENV)/.dev ## Measure imports, checks, best access and writes; rows of one run compare.
	@$(BIN)/python benchmarks/bench.py $(BENCH_ARGS)

check: $(VENV)/.dev ## Check format, lint, types and the direction of imports.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict relgraph server tests benchmarks typing
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## Format the code and mend what the linter can mend.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

pictures: $(VENV)/.dev ## Draw the pictures of the README (for maintainers; they are committed).
	@$(BIN)/python -m tests.pictures

proto: ## Generate relgraph/v1 from proto/ (for maintainers; the generated code is committed).
	@bash proto/generate.sh

serve: $(VENV)/.runtime ## Serve STORE on LISTEN (sqlite:///relgraph.db on 127.0.0.1:50051).
	@$(BIN)/relgraph serve --store "$(STORE)" --listen "$(LISTEN)"

clean: ## Remove .venv and what the tools left behind; stores stay.
	@rm -rf $(VENV) .venv-proto .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

# --- the environment -------------------------------------------------------------------------------------------------
# .made holds the checkout's own path and the Python that was asked for. Scripts in a venv name their path, so a copied or
# moved checkout gets a new .venv; so does one whose Python is gone, or that is asked for another (PYTHON=...) by name.
MADE := $(shell $(BIN)/python -c '' 2>/dev/null \
  && test "$$(sed -n 1p $(VENV)/.made 2>/dev/null)" = "$(CURDIR)" \
  && { test "$(origin PYTHON)" = file || test "$$(sed -n 2p $(VENV)/.made)" = "$(PYTHON)"; } && echo yes)
ifneq ($(MADE),yes)
$(VENV)/.made: FORCE
endif

define PROBE
import sys
if sys.version_info < (3, 11):
    sys.exit("relgraph needs Python 3.11 or newer, this is %d.%d; name another one: make PYTHON=python3.12 ..." % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("this Python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv")
endef
export PROBE

$(VENV)/.made:
	@command -v "$(PYTHON)" >/dev/null || { echo 'relgraph needs Python 3.11 or newer, and "$(PYTHON)" is not there; name one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@"$(PYTHON)" -c "$$PROBE"
	@echo "making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@printf '%s\n' "$(CURDIR)" "$(PYTHON)" > $@

# The demo and the server need the runtime alone, the tests everything; what is installed by one is never undone by the other.
$(VENV)/.runtime: $(VENV)/.made pyproject.toml
	@echo "installing relgraph"
	@$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	@echo "installing relgraph, its tests and its checks"
	@$(PIP) --editable '.[all,dev]'
	@touch $(VENV)/.runtime $@

FORCE:
