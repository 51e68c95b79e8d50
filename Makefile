# The menu of tac: `make` alone prints it.
# Nothing has to be installed but Python 3.11 (3.11.1 or newer), 3.12 or 3.13; everything else goes to .venv, once.
#
#   make run DATE=2023-07-04 STORE=s3://bucket/prefix
#   make test PYTHON=python3.12 ARGS='-k store'

# Each may be an environment variable as well, but never without a word: a shell may hold a DATE or
# ARGS that were meant for something else.
OPTIONS = PYTHON DATE STORE ARGS NODES
PYTHON ?= python3
DATE   ?= 2023-03-01
STORE  ?=
ARGS   ?=
NODES  ?=
$(foreach option,$(OPTIONS),$(if $(filter environment,$(origin $(option))),$(info $(option)=$($(option)) (environment))))

# One environment for each Python that was asked for, so that they do not undo each other.
VENV = .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN  = $(VENV)/bin
PIP  = $(BIN)/python -m pip --disable-pip-version-check --quiet
# What is locked and nothing else: pip's resolver would fetch an extra that the lock holds already.
LOCKED = --no-deps --require-hashes --requirement
RUNS = $(VENV)/.runs
DEVS = $(VENV)/.develops
# Luigi's own tests want older packages than ours, in an environment of their own.
LUIGI = $(VENV)-luigi

.DEFAULT_GOAL := menu
.DELETE_ON_ERROR:
.PHONY: menu setup run test unit contract browser-test container-test cluster-test install-test luigi-test image check format-check lint type arch \
        spell repository docs fmt cover bench bench-year bench-dag lock wheel clean cluster cluster-down

menu:
	@echo 'make TARGET [PYTHON=python3.12] [DATE=2023-03-01] [STORE=s3://bucket/prefix] [NODES=2] [ARGS=...]'
	@echo 'Environment variables of these names count, too; `env -u ARGS make ...` leaves one out.'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

setup: $(DEVS) ## .venv with tac, its tests and its checks

run: $(RUNS) ## the whole pipeline on real flights: predictions and a report
	$(BIN)/tac run Report --date $(DATE) $(if $(STORE),--store $(STORE)) $(ARGS)

test: $(DEVS) ## every test that needs neither root nor a container
	$(BIN)/pytest $(ARGS)

unit: $(DEVS) ## only the tests that compute
	$(BIN)/pytest --tier unit $(ARGS)

contract: $(DEVS) ## only the tests with real processes and a real S3
	$(BIN)/pytest --tier contract $(ARGS)

browser-test: $(DEVS) ## the report in a real browser (needs chromium)
	$(BIN)/pytest --tier browser $(ARGS)

container-test: $(DEVS) ## the image, and steps in containers (needs Docker; as root on Debian, docker.io is enough)
	$(BIN)/pytest --tier container $(ARGS)

cluster-test: $(DEVS) ## the pipeline on the Kubernetes of KUBECONFIG, whichever that is (make cluster starts one)
	$(BIN)/pytest --tier cluster $(ARGS)

install-test: $(DEVS) ## what is locked, and nothing else, installed by the oldest pip of each Python (takes minutes)
	$(BIN)/pytest --tier install $(ARGS)

luigi-test: $(DEVS) $(LUIGI)/.made ## Luigi's own tests, with Luigi's classes and with tac's in their place
	$(BIN)/pytest --tier luigi $(ARGS)

check: format-check lint type arch spell repository ## everything that can be judged without running tac

format-check: $(DEVS)
	$(BIN)/ruff format --check

lint: $(DEVS) ## ruff, shellcheck for the scripts, hadolint for the image
	$(BIN)/ruff check
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck .ci/run minikube.sh hack/*.sh hack/*/*.sh k8s/*.sh

type: $(DEVS) ## mypy, strict
	$(BIN)/mypy

arch: $(DEVS) ## who may import whom
	$(BIN)/lint-imports --show-timings

spell: $(DEVS)
	$(BIN)/codespell

repository: $(DEVS) ## lock, changelog, documents and words agree with the code
	$(BIN)/pytest --quiet tests/unit/test_repository.py tests/unit/test_words.py

docs: $(DEVS) ## write what docs/ says of the code anew, from the code
	$(BIN)/python hack/retries.py

fmt: $(DEVS) ## format the code and fix what can be mended
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

cover: $(DEVS) ## the tests, and the lines and branches that none of them takes
	$(BIN)/pytest --cov --cov-report=term $(ARGS)

bench: $(DEVS) ## one date against a bare loop, 1,000 targets on S3 against Luigi's (takes minutes)
	$(BIN)/python -m benchmarks.pipeline day
	$(BIN)/python -m benchmarks.targets

bench-year: $(DEVS) ## the year 2023 against a bare loop (takes longer)
	$(BIN)/python -m benchmarks.pipeline year

bench-dag: $(DEVS) ## on the Kubernetes of KUBECONFIG: against Luigi's own class and a bare loop; the pipeline; the image
	$(BIN)/python -m benchmarks.dag
	$(BIN)/python -m benchmarks.dag pipeline
	$(BIN)/python -m benchmarks.dag image

cluster: ## a real Kubernetes on this Linux machine, for tests (needs root; NODES=2)
	hack/kubernetes/up.sh $(NODES)

cluster-down: ## stop it, and remove all that it made
	hack/kubernetes/down.sh

image: ## the image `tac` (needs Docker; ARGS='--build-arg BASE=...')
	DOCKER_BUILDKIT=1 docker build --tag tac --build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' \
	    tac/__init__.py)" --build-arg REVISION="$$(git describe --always --abbrev=40 --dirty \
	    --exclude '*' 2>/dev/null || echo unknown)" $(ARGS) .

lock: ## write requirements*.txt anew from setup.py's ranges (needs uv; ARGS=--upgrade for the newest)
	hack/lock.sh $(ARGS)

# Without build/: setuptools packs what an earlier build left there.
wheel: $(RUNS) ## dist/tac-VERSION-py3-none-any.whl
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## remove what make made; results in the store stay
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: each step is done once, and again when what it was made from has changed.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:3]; sys.exit(0 if (3, 11, 1) <= v < (3, 14) else \
	    "tac needs Python 3.11 (3.11.1 or newer), 3.12 or 3.13, and $(PYTHON) is %d.%d.%d. Try: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUNS): $(VENV)/.made requirements.txt setup.py pyproject.toml tac/__init__.py
	@echo 'installing what tac runs on, exact versions; the first time this takes about a minute'
	@$(PIP) install $(LOCKED) requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@touch $@

$(DEVS): $(RUNS) requirements-dev.txt
	@echo 'installing what the tests and checks need, exact versions'
	@$(PIP) install $(LOCKED) requirements-dev.txt
	@$(PIP) check
	@touch $@

$(LUIGI)/.made: $(VENV)/.made tests/luigi/requirements.txt
	@echo "installing what Luigi's own tests need, exact versions"
	@$(BIN)/python -m venv $(LUIGI)
	@$(LUIGI)/bin/python -m pip --disable-pip-version-check --quiet install $(LOCKED) tests/luigi/requirements.txt
	@touch $@
