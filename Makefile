# Every check and every tour is one of these targets; `.ci/run` calls the same ones.
SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin
SUDO  := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: setup demo test quick lint bench protos lock clean
.DEFAULT_GOAL := setup

setup: $(VENV)/.ready          ## system packages, then .venv (safe to run again)

$(VENV)/.ready: requirements/dev.txt pyproject.toml tools/system-packages.sh
	$(SUDO) bash tools/system-packages.sh
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: setup                    ## a daemon of its own, a Debian image, a web application built, run and rebuilt
	$(SUDO) bash tools/demo.sh

test: setup lint               ## everything, real containers included
	$(SUDO) bash tools/test.sh $(BIN)/python

quick: setup                   ## the tests that need no root
	$(BIN)/python -m pytest -m "not root"

lint: setup                    ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: setup                   ## the table of the README, beside dockerd where it is installed
	$(SUDO) $(BIN)/python -m bench

protos:                        ## generate the code of BuildKit's messages from its definitions
	cd src && PATH=$(CURDIR)/$(BIN):$$PATH $(CURDIR)/$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --mypy_out=quiet:. \
	  --grpclib_python_out=. dockwright/buildkit/proto/*.proto
	cd src/dockwright/buildkit/proto && grep -L '^class' *_grpc.py | xargs rm -f

lock:                          ## write requirements/*.txt anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev -o requirements/dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build
