# `make demo` first, then `make test`. Everything lives in .venv.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all bench-speed check docs gate clean

demo: .venv/installed
	$(BIN)/bench run --suite mode-collapse --tier quick

test: .venv/installed-dev
	$(BIN)/pytest -n auto --dist worksteal --benchmark-disable

# Quality against the committed baseline. On another machine numbers differ in their last bits, and
# training makes that a change that few seeds can't judge: inconclusive is no failure here.
gate: .venv/installed-dev
	rm -rf build/gate
	$(BIN)/bench run --suite smoke --tier gate --out build/gate
	$(BIN)/bench compare smoke-gate build/gate --on-inconclusive pass

test-all: .venv/installed-dev
	$(BIN)/pytest -m "slow or not slow" --timeout 3600

# The peers ask for old versions of what they don't need: hence --no-deps. Speed is that of users:
# without the checker of types that other tests run under.
bench-speed: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --no-deps "torchattacks>=3.5" pyautoattack adv_lib
	$(BIN)/pytest tests/speed -o addopts=--import-mode=importlib --timeout 3600 -p no:randomly
	PYTHONPATH=tests $(BIN)/python -m speed.figure docs/pgd-speed.png

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/deptry .

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv build dist

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed; say which: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch .venv/installed $@
