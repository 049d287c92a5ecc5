# Needs Python 3.11 or newer with pip, and make. Everything else comes from the two lock files.

PYTHON ?= python3
ARGS ?=
# Python does not find itself without one.
export PATH := $(or $(PATH),/usr/local/bin:/usr/bin:/bin)

# A user's pip settings must not send packages elsewhere, ask questions or speak of other matters.
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_NO_INPUT = 1
export PIP_ROOT_USER_ACTION = ignore
export PIP_USER = 0
unexport PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX

# $(call install,LOCK,STAMPS): brings .venv to the state of LOCK. Each stamp holds the checksum of what it was made
# from and where, and is written last: nothing to do when it fits, everything again after an interruption.
define install
set -eu; \
fits='import sys; sys.exit(sys.version_info < (3, 11))'; \
sum=$$(cat requirements.lock requirements-dev.lock pyproject.toml | cksum); \
state="$$sum $$(pwd -P)"; \
if [ -f "$(firstword $(2))" ] && [ "$$(cat "$(firstword $(2))")" = "$$state" ] && .venv/bin/python -c "" 2>/dev/null; \
then exit 0; fi; \
base=; \
for candidate in "$(PYTHON)" python3.14 python3.13 python3.12 python3.11; do \
	if "$$candidate" -c "$$fits" 2>/dev/null; then base=$$candidate; break; fi; \
done; \
if ! .venv/bin/python -c "$$fits" 2>/dev/null; then \
	if [ -z "$$base" ]; then \
		echo "Python 3.11 or newer is needed and was not found. Name one: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$base" --version)"; \
	"$$base" -m venv --clear .venv >/dev/null 2>&1 || "$$base" -m venv --clear --without-pip .venv; \
fi; \
if .venv/bin/python -m pip --version >/dev/null 2>&1; then \
	pip() { .venv/bin/python -m pip "$$@"; }; \
elif [ -n "$$base" ] && "$$base" -m pip --python .venv/bin/python --version >/dev/null 2>&1; then \
	pip() { "$$base" -m pip --python .venv/bin/python "$$@"; }; \
else \
	echo "This Python has neither ensurepip nor pip 22.3 or newer (Debian: apt install python3-venv)." >&2; exit 1; \
fi; \
rm -f $(2); \
echo "Installing the packages of $(1) into .venv (once)"; \
pip install --quiet --no-compile --require-hashes -r $(1); \
pip install --quiet --no-compile --no-deps --no-build-isolation -e .; \
for stamp in $(2); do printf '%s\n' "$$state" > "$$stamp"; done
endef

.DEFAULT_GOAL := help
.PHONY: help run test faults interop lint setup setup-dev lock schema bench clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: setup ## Start everything here: database, queue, web and worker
	@exec .venv/bin/python -m app.cli up $(ARGS)

# Three at a time: many tests wait for leases, time-outs and processes to end.
test: setup-dev ## Run the tests (ARGS="-k words")
	@exec .venv/bin/python -m pytest -n 3 --dist worksteal $(ARGS)

faults: setup-dev ## Bring every fault about at full scale, and write what was measured into docs/reliability.md (half an hour)
	@FAULTS=full exec .venv/bin/python -m pytest tests/faults $(ARGS)

interop: setup-dev ## Synchronise all 38 patients from an independent FHIR server (needs node, and test data beside the project)
	@INTEROP=full exec .venv/bin/python -m pytest tests/interop $(ARGS)

lint: setup-dev ## Style, format, types, and who may import whom
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m basedpyright
	.venv/bin/python .venv/bin/lint-imports

setup: ## Install what running needs
	@$(call install,requirements.lock,.venv/.installed)

setup-dev: ## Install what working on it needs
	@$(call install,requirements-dev.lock,.venv/.installed-dev .venv/.installed)

# The locks carry hashes and no address: every index that has these files will do.
lock: ## Resolve the dependencies anew (ARGS=--upgrade for newer ones)
	@set -eu; \
	export UV_PYTHON_DOWNLOADS=never; \
	scratch=; trap 'rm -rf "$$scratch"' EXIT; \
	if [ -x .venv/bin/uv ]; then uv=.venv/bin/uv; \
	elif command -v uv >/dev/null; then uv=uv; \
	else \
		scratch=$$(mktemp -d); uv=$$scratch/bin/uv; \
		"$(PYTHON)" -m venv "$$scratch"; "$$scratch/bin/python" -m pip install --quiet uv; \
	fi; \
	"$$uv" lock --quiet $(ARGS); \
	plain="--quiet --locked --format requirements-txt --no-header --no-annotate --no-emit-project"; \
	"$$uv" export $$plain --no-dev --group build -o requirements.lock >/dev/null; \
	"$$uv" export $$plain --group build --group dev -o requirements-dev.lock >/dev/null; \
	if grep -nE '://|^-| @ ' requirements.lock requirements-dev.lock; then \
		echo "A lock file names an address: see the lines above." >&2; exit 1; \
	fi; \
	echo "requirements.lock: $$(grep -c == requirements.lock), requirements-dev.lock: $$(grep -c == requirements-dev.lock)"

schema: setup ## Write schema.graphql from the code
	@exec .venv/bin/python -m app.cli schema --write

bench: setup-dev ## Measure (ARGS to choose)
	@exec .venv/bin/python -m bench $(ARGS)

clean: ## Remove what can be made again; .data stays
	rm -rf .venv dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.data/*' -not -path './.git/*' -prune -exec rm -rf {} +
