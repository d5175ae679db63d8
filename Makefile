# One habit per target; plain `make` lists them. Everything sets up what it needs first.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all soak tools check docs bench lock clean .runtime .dev
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
	@$(BIN)/pytest -q -n auto --dist worksteal -m "not slow and not soak" $(ARGS)

test-all: test ## what CI runs: the quick tests, the slow ones, and a hundredth of each soak
	@$(BIN)/pytest -q -n auto --dist worksteal -m "slow or soak" $(ARGS) || [ $$? -eq 5 ]

soak: .dev ## 10,000 kills, millions of reports, minutes of fuzzing: hours, before a release
	@$(BIN)/pytest -q -m soak --soak-share 1 $(ARGS)

tools: .dev ## every environment that is locked apart (tests/tools), for validators and peers
	@scripts/tool --all

check: .dev ## formatting, lint, types, and who may import whom
	@scripts/check

docs: .dev ## the documentation site, in build/docs
	@scripts/docs
	@echo "docs: open build/docs/index.html"

bench: .dev ## every benchmark, with a table at the end (ARGS=... picks some by name)
	@scripts/bench $(ARGS)

lock: .dev ## resolve the dependencies again (ARGS=--upgrade for newer ones)
	@scripts/lock $(ARGS)

clean: ## remove the environment and all caches; .pellucid holds ledgers and stays
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo-out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
