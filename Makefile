# `make` without a target lists the targets. Each target installs what it needs.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(if $(shell command -v $(name)),$(name))))
VENV := .venv
# GPU=1 adds the CUDA libraries and JAX's CUDA plugin to the environment.
LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
BIN := $(VENV)/bin
# Stages run `python`: that of the environment, also if it is not activated.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help venv repro cv verify torture report-screenshot app-screenshot check test test-browser test-processes test-remotes test-pythons test-keras bench lint \
	format lock params clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' \
		| awk -F'|' '{ printf "  make %-18s %s\n", $$1, $$2 }'

repro: venv ## run the pipeline on params.yaml; PRESET=NAME applies a preset first
	$(if $(PRESET),ferpipe preset $(PRESET))
	ferpipe check
	dvc repro
	@echo "Open reports/report.html in a browser, or run"
	@echo "  $(BIN)/dvc metrics show      the numbers"
	@echo "  $(BIN)/dvc plots show        the plots, as dvc_plots/index.html"

cv: venv ## cross-validate params.yaml, JOBS=N folds at a time; resumes after an interruption; PRESET=NAME as above
	$(if $(PRESET),ferpipe preset $(PRESET))
	ferpipe check
	ferpipe cv --jobs $(or $(JOBS),1)

verify: venv ## check reproducibility: two clones, three runs, every byte compared; PRESET=NAME as above
	ferpipe verify $(if $(PRESET),--preset $(PRESET))

torture: venv ## kill the pipeline KILLS=20 times at random moments, rerun, compare
	python tests/pipeline/torture.py --kills $(or $(KILLS),20)

report-screenshot: ## save the top of reports/report.html as docs/report.png (needs Debian's chromium)
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1200,2150 \
		--screenshot=docs/report.png "file://$(CURDIR)/reports/report.html"

app-screenshot: venv ## save the page of `ferpipe app` as docs/app.png (needs Debian's chromium)
	python tests/pipeline/app_screenshot.py

# Two workers, because TensorFlow uses eight threads in each; more workers are slower.
TEST := pytest -n 2 --dist loadgroup

check: lint ## lint and the fast tests: before each commit
	$(TEST) -m "not slow and not browser and not remotes and not processes"

test: venv ## run the tests (except those that need a browser or remotes)
	$(TEST)

test-processes: venv ## train on 2x1, 4x1 processes, kill and resume, and with DVC (minutes)
	pytest -m processes

test-browser: venv ## test the report, the plots page and the app in headless Chromium
	pytest -m browser

# A separate environment with PyTorch, only for the benchmarks.
PEERS := .venv-bench
# A separate environment with the package fer, for one of them.
FER := .venv-fer

bench: venv $(PEERS)/requirements.installed $(FER)/requirements.installed ## run the benchmarks against plain Keras and PyTorch (an hour); ONLY=step runs one
	@for name in $(or $(ONLY),step features kernels start stages inputs load reruns cases predict); do \
		echo "benchmarks/$$name.py"; python benchmarks/$$name.py || exit 1; done

$(PEERS)/requirements.installed: benchmarks/requirements.txt
	@echo "Installing PyTorch into $(PEERS)."
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet -r $<
	@touch $@

$(FER)/requirements.installed: benchmarks/requirements-fer.txt
	@echo "Installing fer into $(FER)."
	$(PYTHON) -m venv --clear $(FER)
	$(FER)/bin/python -m pip install --quiet -r $<
	$(FER)/bin/python -m pip install --quiet --no-deps fer==25.10.3
	@touch $@

# A separate environment with DVC's plugins for remotes, only for these tests.
REMOTES := .venv-remotes

test-remotes: venv $(REMOTES)/requirements.installed ## test `dvc push` and `dvc pull` with a local S3 and SSH server (needs sshd)
	pytest -m remotes

$(REMOTES)/requirements.installed: tests/requirements-remotes.txt
	@echo "Installing DVC's plugins and rclone into $(REMOTES)."
	$(PYTHON) -m venv --clear $(REMOTES)
	$(REMOTES)/bin/python -m pip install --quiet -r $<
	@touch $@

# A second Python: OTHER=python3.13, or the first one installed. Its environment has the packages
# that the light stages import.
OTHER ?= $(firstword $(foreach name,python3.13 python3.12 $(wildcard $(HOME)/.pyenv/versions/3.1[23].*/bin/python3), \
	$(shell $(name) -c 'import ensurepip, venv' 2> /dev/null && echo $(name))))
OTHER_VENV := .venv-other
LIGHT := numpy|pandas|pillow|pydantic|ruamel-yaml|google-crc32c|tqdm|scipy|scikit-learn|filelock|tabulate

test-pythons: venv ## the same bytes under a second Python, where one is installed; OTHER=python3.13
	$(if $(OTHER),,@echo "There is no second Python here (3.12 or 3.13): nothing to test")
	$(if $(OTHER),$(OTHER) -m venv --clear $(OTHER_VENV))
	$(if $(OTHER),grep -oE '^($(LIGHT))==[^ ]+' requirements.lock > $(OTHER_VENV)/requirements.txt)
	$(if $(OTHER),$(OTHER_VENV)/bin/python -m pip install --quiet -r $(OTHER_VENV)/requirements.txt)
	$(if $(OTHER),OTHER_PYTHON=$(CURDIR)/$(OTHER_VENV)/bin/python pytest tests/pipeline/test_two_pythons.py)

# Older versions of Keras, on the same TensorFlow.
OLD_KERAS := .venv-keras
KERAS_VERSIONS := 3.8.0 3.12.0

test-keras: venv ## model files load with older versions of Keras
	@for version in $(KERAS_VERSIONS); do [ -d $(OLD_KERAS)/$$version ] \
		|| $(BIN)/python -m pip install --quiet --no-deps --target $(OLD_KERAS)/$$version keras==$$version \
		|| exit 1; done
	OLD_KERAS=$(CURDIR)/$(OLD_KERAS) pytest tests/model/test_keras_versions.py

lint: venv ## check style
	ruff check
	ruff format --check
	lint-imports --no-cache

format: venv ## fix style
	ruff check --fix
	ruff format

UV_COMPILE := uv pip compile --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header --extra dev

lock: ## resolve the dependencies anew into both lock files (needs uv)
	$(UV_COMPILE) -o requirements.lock pyproject.toml
	$(UV_COMPILE) --extra gpu -c requirements.lock -o requirements-gpu.lock pyproject.toml

# Run this after an edit of presets/base.yaml or src/ferpipe/params. It replaces the experiment in
# params.yaml and prints each value that it replaces.
params: venv ## for maintainers: regenerate params.yaml and params.schema.json from presets/base.yaml and the models
	ferpipe preset sample
	ferpipe schema

clean: ## remove the environments; keep data, models and DVC's cache
	rm -rf $(VENV) $(PEERS) $(REMOTES) $(OTHER_VENV) $(OLD_KERAS)

venv: $(VENV)/$(LOCK).installed ## create .venv from the lock file; GPU=1 adds CUDA (Linux)

# The stamps are written last, so that an interrupted installation starts again.
$(VENV)/$(LOCK).packages: $(LOCK)
	@echo "Installing the packages of $(LOCK) into $(VENV): $(if $(GPU),8,3.5) GB, some minutes."
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r $(LOCK)
	@touch $@

$(VENV)/$(LOCK).installed: $(VENV)/$(LOCK).packages pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
