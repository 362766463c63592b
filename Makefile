# `make demo` and `make test` set up .venv by themselves, from the locks; ARGS goes to the command: make demo ARGS="--quick".
PYTHON ?= python3
BIN := .venv/bin
CHECK_DIR := build/wheel-check
PACKAGES := robots control learning sim hw launch
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile $(ARGS) --quiet --strip-extras --unsafe-package=pip --build-deps-for=editable \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test lint lock wheel-check kernels clean

help:
	@echo "make demo         walk in simulation (sets up .venv to run)"
	@echo "make test         lint, types and tests (sets up .venv to develop)"
	@echo "make lint         lint and types only"
	@echo "make lock         renew requirements.lock and requirements-dev.lock from pyproject.toml"
	@echo "make wheel-check  build the wheel, install it into a new environment and run the demo from there"
	@echo "make kernels      drop the compiled kernels if a source is newer (demo and test do so themselves)"
	@echo "make clean        remove .venv, caches and builds"

demo: kernels .venv/run.stamp
	$(BIN)/poise demo $(ARGS)

# Two processes that compile the same kernel at once would be in each other's way: they are compiled first. What runs by the clock runs alone.
test: kernels lint
	$(compile)
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile -m "not realtime"
	$(BIN)/python -m pytest -m realtime

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

# Versions already locked stay while they fit; ARGS=--upgrade-package=NAME renews one.
lock: .venv/dev.stamp
	$(COMPILE) --output-file=requirements.lock pyproject.toml
	$(COMPILE) --extra=bench --extra=dds --extra=learn --extra=lerobot --extra=teleop --extra=view --extra=dev --constraint=requirements.lock --output-file=requirements-dev.lock pyproject.toml
	sed -i 's/^\(torch==[0-9.]*\)+.*/\1/' requirements-dev.lock  # a local build's tag would tie the lock to where it came from

wheel-check: .venv/dev.stamp
	rm -rf build  # setuptools would take up what an older build left there
	$(BIN)/python -m build --no-isolation --wheel --outdir $(CHECK_DIR) .
	$(PYTHON) -m venv $(CHECK_DIR)/venv
	$(CHECK_DIR)/venv/bin/pip install --quiet --requirement requirements.lock
	$(CHECK_DIR)/venv/bin/pip install --quiet --no-deps $(CHECK_DIR)/poise-*.whl
	cd $(CHECK_DIR) && venv/bin/poise demo --quick

kernels: .venv/kernels.stamp

# Numba sees that a kernel's own file has changed, not that one which it calls has.
.venv/kernels.stamp: $(wildcard robots/*.py control/*.py learning/*.py)
	@echo "dropping compiled kernels that may be older than their sources"
	find $(PACKAGES) -name '*.nb[ic]' -delete
	mkdir -p .venv && touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis MUJOCO_LOG.TXT
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/run.stamp: requirements.lock pyproject.toml
	$(call install,requirements.lock)
	$(compile)
	touch $@

.venv/dev.stamp: requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	touch $@

define compile
	@echo "compiling the numerical kernels, once"
	$(BIN)/python -c 'from poise.launch import build_stack; from poise.robots import load_robot; build_stack(load_robot("g1"))'
endef

define install
	@echo "setting up .venv from $(1): this takes some minutes, once"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement $(1)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
endef
