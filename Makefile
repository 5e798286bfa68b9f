# `make app` serves the dashboard on http://localhost:8501; `make test` runs every test. Both make their environment.
# `make test-fast` is for every change: nothing slow, no browser; `make endurance` runs the long forms. `make docs` builds the site into site/;
# `make pictures` makes the pictures of README and docs anew.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DOCS := .venv-docs
DEPLOY := .venv-deploy
LOCK = $(DEPLOY)/bin/uv pip compile --quiet --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_34 \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header
PORT ?= 8501
PYTEST := $(BIN)/python -m pytest -p no:nbmake
# Tests start hundreds of processes, and each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: app test test-fast endurance demo lint docs notebooks lock lint-deploy sbom clean

app: $(VENV)/ready
	$(BIN)/streamlit run app.py --server.port $(PORT)

test: $(VENV)/ready
	@sh .ci/chromium
	@built=$$(mktemp -d) && trap 'rm -rf "$$built"' EXIT && export BUILT_WORKSPACES="$$built" && set -x && \
	$(PYTEST) -n 3 --dist worksteal -rs --ignore tests/browser -m "not endurance" && \
	$(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder -rs tests/browser -m "not endurance"

endurance: $(VENV)/ready
	$(PYTEST) -m endurance

test-fast: $(VENV)/ready
	$(PYTEST) -n 2 --dist worksteal --ignore tests/browser -m "not slow and not endurance"

demo: $(VENV)/ready
	$(BIN)/python -m echo2ecg_core demo

pictures: $(VENV)/ready
	$(BIN)/python -m benchmarks.pictures

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DOCS)/ready
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict
	$(DOCS)/bin/python .ci/asks_nobody.py site

notebooks: $(VENV)/ready
	PYTHONPATH=$(CURDIR) $(BIN)/python -m pytest --nbmake --nbmake-timeout=600 examples

# The locks of deploy/: what the app needs (not the tests), each file by its hash. TORCH_WHEELS: where PyTorch's CPU wheels lie.
lock: $(DEPLOY)/ready
	sed '/^# --- tests/,$$d' requirements.txt > $(DEPLOY)/cuda.in
	sed 's/^torch==[0-9.]*/&+cpu/' $(DEPLOY)/cuda.in > $(DEPLOY)/cpu.in
	$(LOCK) $(DEPLOY)/cuda.in -o deploy/requirements.cuda.lock
	$(LOCK) $(DEPLOY)/cpu.in --find-links $(TORCH_WHEELS) -o deploy/requirements.cpu.lock

# What hadolint finds in the Dockerfile.
lint-deploy: $(DEPLOY)/ready
	$(DEPLOY)/bin/hadolint deploy/Dockerfile

# Bill of materials (CycloneDX) and licences of what is installed here.
sbom: $(VENV)/ready $(DEPLOY)/ready
	mkdir -p dist
	$(DEPLOY)/bin/cyclonedx-py environment --output-format JSON --output-file dist/sbom.cdx.json $(BIN)/python
	$(BIN)/python deploy/licences.py --out dist/licences.csv

$(VENV)/ready: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed, found {v.major}.{v.minor}. Install it, or name another: make PYTHON=python3.12 app")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv; } || { echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(DEPLOY)/ready: requirements-deploy.txt
	$(PYTHON) -m venv $(DEPLOY)
	$(DEPLOY)/bin/pip install --quiet --disable-pip-version-check -r requirements-deploy.txt
	@touch $@

$(DOCS)/ready: requirements-docs.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch $@

clean:
	rm -rf $(VENV) $(DOCS) $(DEPLOY) site workspace runs
