# make install | demo | test | coverage | soak | matrix | resolve | lint | format | bench | docs | pins | clean
#
# Needs Python 3.11 or newer, git and make. Everything else goes into .venv in this checkout.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
PINS := requirements/dev.txt
INSTALLED := $(VENV)/.installed

# The interpreter to make .venv with: `make install PYTHON=/path/to/python3.12`; otherwise the first that is new enough.
PYTHON ?=
PYTHON_CANDIDATES := python3.11 python3.12 python3.13 python3.14 python3

# A test that fails runs once more, alone in its turn, and the report says so (R): real processes have bounds that a busy
# machine misses. A test that fails twice fails.
RERUNS := --reruns 1

# Tests run side by side, one process for each core, a test file at a time, in the order in which they are collected: by
# default the files with the fewest tests come last, and some of these are the longest.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

# More arguments for pytest: `make test PYTEST_ARGS="tests/provider/state -x"`.
PYTEST_ARGS ?=
MATRIX_ARGS ?=

# A user's own settings must not decide what is installed where.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test coverage soak matrix resolve lint format bench docs pins clean system-packages

help:
	@sed -n '1,3s/^# //p' Makefile

install: $(INSTALLED)

# Made anew when its interpreter is gone; uv comes from pip once, at the version the list pins.
$(VENV_PYTHON):
	@chosen="$(PYTHON)"; \
	if [ -z "$$chosen" ]; then for candidate in $(PYTHON_CANDIDATES); do \
	  if command -v "$$candidate" >/dev/null \
	    && "$$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    chosen=$$candidate; break; fi; done; fi; \
	if [ -z "$$chosen" ]; then \
	  echo "Expected Python 3.11 or newer, found none of: $(PYTHON_CANDIDATES)." >&2; \
	  echo "Install one, or name it: make install PYTHON=/path/to/python3" >&2; exit 1; fi; \
	if ! "$$chosen" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "Expected Python 3.11 or newer, found: $$("$$chosen" --version 2>&1 || true) ($$chosen)" >&2; exit 1; fi; \
	if ! "$$chosen" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$chosen has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; fi; \
	echo "Making $(VENV) with $$("$$chosen" --version)"; \
	"$$chosen" -m venv --clear $(VENV)

$(INSTALLED): $(PINS) pyproject.toml airflow_provider_nilus/__init__.py | $(VENV_PYTHON)
	@pin=$$(grep -E '^uv==' $(PINS)); \
	if [ "uv==$$($(UV) --version 2>/dev/null | cut -d' ' -f2)" != "$$pin" ]; then \
	  $(VENV_PYTHON) -m ensurepip >/dev/null; \
	  $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check "$$pin"; fi
	$(UV) pip sync --quiet --compile-bytecode --python $(VENV_PYTHON) $(PINS)
	$(UV) pip install --quiet --python $(VENV_PYTHON) --no-deps --no-build-isolation --editable .
	@touch $@

demo: install
	$(VENV_PYTHON) dags_examples/demo.py

test: lint system-packages
	$(VENV_PYTHON) -m pytest $(PARALLEL) $(RERUNS) $(PYTEST_ARGS)

# The same tests, measured: half as long again, for every line of Airflow and dlt passes by the measuring too.
coverage: install system-packages
	@$(VENV_PYTHON) -m coverage erase
	@status=0; $(VENV_PYTHON) -m coverage run -m pytest $(PARALLEL) $(RERUNS) $(PYTEST_ARGS) || status=$$?; \
	$(VENV_PYTHON) -m coverage combine --quiet; $(VENV_PYTHON) -m coverage report; exit $$status

soak: install system-packages
	$(VENV_PYTHON) -m pytest -m soak --timeout=0 $(PYTEST_ARGS)

# The main tests on each version of Airflow.
matrix: install system-packages
	$(VENV_PYTHON) -m matrix $(MATRIX_ARGS)

# What resolves: under the constraint files of managed Airflows, and for each Airflow and Python beside other providers.
resolve: install
	$(VENV_PYTHON) -m matrix --resolve $(MATRIX_ARGS)
	$(VENV_PYTHON) -m matrix --wheels

lint: install
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy

format: install
	$(VENV_PYTHON) -m ruff check --fix-only .
	$(VENV_PYTHON) -m ruff format .

bench: install
	@for script in benchmarks/*/run.py; do echo "== $$script"; $(VENV_PYTHON) "$$script"; done

# The site of docs/, in site/.
docs: install
	$(VENV_PYTHON) -m mkdocs build --strict

# Renews the pinned lists from pyproject.toml; then `make install` and `make test`.
pins: install
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
	  --extra all --group dev pyproject.toml --output-file $(PINS)
	$(VENV_PYTHON) -m matrix --pins

system-packages:
	@requirements/system-packages

clean:
	rm -rf $(VENV) .matrix build dist site *.egg-info .demo .coverage .coverage.* htmlcov
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.git -prune -o -type d -name __pycache__ -exec rm -rf {} +
