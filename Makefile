# `make demo` and `make test` set up everything they need; Python ≥ 3.11 and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
IMAGE ?=

.PHONY: help demo test slow lint docs dist clean
help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(VENV)/demo-installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[torch,pinned]'
	touch $@

$(VENV)/test-installed: $(VENV)/demo-installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,pinned]'
	$(BIN)/python -c 'from sgc_diffusion.torchvision_hook import write_start_up_file; write_start_up_file()'
	touch $@

demo: $(VENV)/demo-installed ## compress a photograph, draw it back in another process: make demo [IMAGE=path]
	$(BIN)/python pipelines/demo.py --output demo-output $(if $(IMAGE),"$(IMAGE)")

test: $(VENV)/test-installed ## run the test suite, offline
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

slow: $(VENV)/test-installed ## run the slow tests, such as those of the app in a browser
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow

lint: $(VENV)/test-installed ## format and check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/docs-installed ## build the site into build/site; a link that leads nowhere fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/docs-installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

dist: $(VENV)/dist-installed ## build sdist and wheel into dist, twice, and see that both are the same to the byte
	rm -rf dist build/again
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --outdir dist .
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --outdir build/again .
	for file in dist/*; do cmp "$$file" "build/again/$${file#dist/}" || exit 1; done

$(VENV)/dist-installed:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	touch $@

clean: ## remove the virtual environment and outputs
	rm -rf $(VENV) demo-output build dist
