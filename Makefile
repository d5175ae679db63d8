# One habit per target; plain `make` lists them. Everything sets up what it needs first.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check bench lock clean .runtime .dev
BIN := .venv/bin
# make test ARGS="tests/store -k digest"
ARGS ?=
export PYTHON

help:
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

.runtime:
	@scripts/setup runtime
.dev:
	@scripts/setup dev

setup: .dev ## make .venv: the locked packages and this project (PYTHON=... picks the interpreter)

demo: .runtime ## private visits in, a verified open model out, on real data
	@$(BIN)/pellucid demo $(ARGS)

test: .dev ## the quick tests (ARGS=... for pytest)
	@$(BIN)/pytest -q -n auto --dist worksteal -m "not slow" $(ARGS)

test-all: test ## every test: the quick ones, then the slow ones
	@$(BIN)/pytest -q -n auto --dist worksteal -m slow $(ARGS) || [ $$? -eq 5 ]

check: .dev ## formatting, lint, types, and who may import whom
	@scripts/check

bench: .dev ## every benchmark, with a table at the end (ARGS=... picks some by name)
	@scripts/bench $(ARGS)

lock: .dev ## resolve the dependencies again (ARGS=--upgrade for newer ones)
	@scripts/lock $(ARGS)

clean: ## remove the environment and all caches; .pellucid holds ledgers and stays
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo-out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
