# make run, make test, make ui, make serve, make schedule, make lock. Needs Python 3.11 to 3.13, make and a package index; nothing else.
SHELL := /bin/sh
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
EXPERIMENT ?= fashion_mnist
ARGS ?=
AT ?= 03:30

# MLflow and its children find `python` and `uv` in the environment of the lock. Telemetry is off.
export PATH := $(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
# Versions of the model that were logged by Narrowgap 0.1 read it.
export KERAS_BACKEND := tensorflow
export MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Of a user's settings of pip only those of indexes and the network count: PIP_USER or PIP_TARGET would install elsewhere.
PIP_KEPT := PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_NO_INDEX PIP_FIND_LINKS PIP_CERT PIP_CLIENT_CERT PIP_PROXY \
	PIP_TRUSTED_HOST PIP_TIMEOUT PIP_DEFAULT_TIMEOUT PIP_RETRIES PIP_CACHE_DIR PIP_NO_CACHE_DIR PIP_CONFIG_FILE \
	PIP_KEYRING_PROVIDER PIP_NO_INPUT PIP_PREFER_BINARY PIP_ONLY_BINARY PIP_NO_BINARY PIP_USE_FEATURE PIP_USE_DEPRECATED \
	PIP_DISABLE_PIP_VERSION_CHECK
$(foreach name,$(filter-out PIP_KEPT $(PIP_KEPT),$(filter PIP_%,$(.VARIABLES))),$(eval unexport $(name)))
# It counts more than `user = true` in a pip.conf.
export PIP_USER := 0
# Another Python's modules and home are not those of the environment.
unexport PYTHONPATH PYTHONHOME PYTHONNOUSERSITE PYTHONUSERBASE PYTHONSAFEPATH

# An environment whose interpreter is gone (moved, upgraded, interrupted) is made again.
$(shell env -u PYTHONPATH -u PYTHONHOME "$(BIN)/python" -c 'import pip' >/dev/null 2>&1 || rm -f $(VENV)/*.stamp)

.PHONY: help run check test lint types pytest ui serve schedule lock pictures docs docs-serve
help:
	@echo "make run [EXPERIMENT=digits] [ARGS='-P search.trials=5']   search, evaluate, record (4 to 13 minutes)"
	@echo "make ui [PORT=5000]                                        the MLflow UI on what was recorded"
	@echo "make serve [EXPERIMENT=digits] [PORT=5001]                 serve the champion over HTTP on this machine"
	@echo "make schedule [EXPERIMENT=digits] [AT=03:30] [ARGS=…]      a scheduled retraining: cron, systemd, GitHub Actions"
	@echo "make check                                                 lint, types and the quick tests (1 to 4 minutes)"
	@echo "make test                                                  lint, types and every test (9 to 24 minutes)"
	@echo "make docs                                                  the documentation as a site, in site/"
	@echo "make docs-serve [PORT=8000]                                the same in a browser, rebuilt on every change"
	@echo "make lock                                                  renew requirements*.lock and conda.yaml"

# The runs of an experiment stand under its name in the UI; those of a file such as my/own.yaml under `own`.
run: $(VENV)/run.stamp
	@name=$$(basename -- "$(EXPERIMENT)"); name=$${name%.yaml}; name=$${name%.yml}; set -x; \
	"$(BIN)/python" -m mlflow run . --env-manager local --experiment-name "$$name" -P experiment="$(EXPERIMENT)" $(ARGS)

ui: $(VENV)/run.stamp
	@"$(BIN)/python" -m pipeline ui --port $(or $(PORT),5000)

serve: $(VENV)/run.stamp
	@exec "$(BIN)/python" -m pipeline serve --experiment "$(EXPERIMENT)" --port $(or $(PORT),5001)

schedule: $(VENV)/run.stamp
	@"$(BIN)/python" -m pipeline schedule --experiment "$(EXPERIMENT)" --at "$(AT)" $(ARGS)

# Tests start many processes: what one of them has compiled, the next one reads.
PYTEST = env -u PYTHONDONTWRITEBYTECODE "$(BIN)/python" -m pytest

# What needs no TensorFlow and no server.
check: lint types
	$(PYTEST) --quick --quiet --numprocesses 2 --dist loadscope --no-loadscope-reorder

test: lint types pytest

lint: $(VENV)/test.stamp
	"$(BIN)/python" -m ruff format --check .
	"$(BIN)/python" -m ruff check .

types: $(VENV)/test.stamp
	"$(BIN)/python" -m mypy

pytest: $(VENV)/test.stamp
	$(PYTEST) --numprocesses 6 --dist loadscope --no-loadscope-reorder

lock: $(VENV)/run.stamp
	"$(BIN)/python" .ci/lock.py

pictures: $(VENV)/test.stamp
	"$(BIN)/python" -m tests.benchmarks.pictures

# The theme prints a notice on each build; it is not about these pages.
docs docs-serve: export NO_MKDOCS_2_WARNING := 1

docs: $(VENV)/test.stamp
	"$(BIN)/python" -m mkdocs build --strict

docs-serve: $(VENV)/test.stamp
	"$(BIN)/python" -m mkdocs serve --strict --dev-addr 127.0.0.1:$(or $(PORT),8000)

$(VENV)/run.stamp: requirements.lock
	@"$(BIN)/python" -c 'import pip' >/dev/null 2>&1 || { $(MAKE_VENV) }
	"$(BIN)/python" -m pip install --quiet --requirement requirements.lock
	@touch $@

$(VENV)/test.stamp: requirements-dev.lock $(VENV)/run.stamp
	"$(BIN)/python" -m pip install --quiet --requirement requirements-dev.lock
	@touch $@

# PYTHON=… names the interpreter; otherwise the first of these that fits makes the environment.
define MAKE_VENV
for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
		echo "making $(VENV) with $$("$$python" --version)"; rm -rf $(VENV); "$$python" -m venv $(VENV) && made=yes; break; fi; \
done; \
[ "$$made" ] || { echo "$(or $(PYTHON),python3) is not Python 3.11 to 3.13 with venv; install one (Debian: apt install python3-venv), or: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 2; };
endef
