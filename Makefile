# What a newcomer needs: `make demo` and `make test`. Each makes its own virtual environment in .venv.

PORT ?= 8000
DATA ?= .demo

# Another Python than the first fitting one: make demo PYTHON=/path/to/python3.13
PYTHON ?= python3 python3.13 python3.12 python3.11 python

# Tools run as modules: an installed script would carry the folder's path, and break when that has a space or moves.
python := .venv/bin/python

# More than most machines have cores: many tests wait for a real process, or for a clock.
at_once := --numprocesses=3 --dist=worksteal

.PHONY: demo test lint format coverage wheel messages clean help
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

demo: .venv/demo.installed  ## Run the demo: make demo PORT=8000 DATA=.demo
	@exec $(python) -m project.demo --port "$(PORT)" --data "$(DATA)"

test: lint build/npm/installed  ## Run everything that must pass: lint, types, migrations, tests
	@SECRET_KEY=unused DATABASE_URL=sqlite://:memory: $(python) manage.py makemigrations --check --dry-run --skip-checks
	@$(python) -m pytest $(at_once)

lint: .venv/dev.installed  ## Check style, format and types
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@$(python) -m mypy

format: .venv/dev.installed  ## Rewrite the code into its format
	@$(python) -m ruff check --fix .
	@$(python) -m ruff format .

coverage: .venv/dev.installed build/npm/installed  ## Run the tests and say which branches none of them took
	@$(python) -m pytest $(at_once) --cov --cov-report=term-missing:skip-covered

wheel: .venv/dev.installed build/npm/installed  ## Build dist/*.whl, its scripts minified
	@$(python) -m pip wheel --quiet --no-deps --wheel-dir dist .

# Needs GNU gettext (xgettext, msgmerge, msgfmt), which nothing else here does.
messages: .venv/dev.installed  ## Bring inlive_banner/locale up to date with the sources, and compile it
	@cd inlive_banner && ../$(python) -m django makemessages --all --no-location --no-obsolete
	@cd inlive_banner && ../$(python) -m django compilemessages

clean:  ## Remove all that this file makes, but the demo's data
	@rm -rf .venv build dist

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' Makefile

# Installed again only when pyproject.toml has changed since. Dependency groups need a newer pip than many
# Pythons bring (25.1), so pip is brought up to date first.
.venv/%.installed: pyproject.toml | .venv/bin/python
	@echo "Installing what $* needs ..."
	@$(python) -m pip install --quiet --disable-pip-version-check --editable '.[channel]' --group $*
	@touch $@

# Made again where the Python that it was made with has gone.
.venv/bin/python:
	@for candidate in $(PYTHON); do \
	    if "$$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making .venv with $$("$$candidate" --version) ..."; \
	        "$$candidate" -m venv --clear .venv || exit 1; \
	        $(python) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'; \
	        exit; \
	    fi; \
	done; \
	echo "No Python 3.11 or newer with its venv module found (tried: $(PYTHON))." \
	    "Install one (on Debian: python3 and python3-venv), or name it: make demo PYTHON=/path/to/python3" >&2; \
	exit 1

# The browser that the tests drive, the client of the original service that they run unmodified, and the minifiers.
build/npm/installed: tests/e2e/package.json
	@mkdir -p build/npm
	@cp tests/e2e/package.json build/npm/package.json
	@if command -v npm >/dev/null; then \
	    echo "Installing the tests' browser and the minifiers from npm ..."; \
	    npm install --prefix build/npm --no-audit --no-fund --no-save --loglevel=error || exit 1; \
	    touch $@; \
	elif command -v chromium || command -v chromium-browser || command -v google-chrome; then \
	    echo "No npm here: the tests use this system's browser, and can't run the npm client. Wheels aren't minified."; \
	else \
	    echo "The tests need a browser: install Node.js 20 or newer with npm, or Chromium." >&2; \
	    exit 1; \
	fi
