PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/ready

# make demo [DATASET=<folder in the released layout>] [SIZE=96] [EPOCHS=10] [SITES="A B,C D"] [SEEDS="0 1 2"] [OUT=runs/mine] [JOBS=2]
#           [IMPORT=<flags of import>]
DATASET ?=
SIZE ?=
EPOCHS ?=
# The phantom has the paper's pairs of sites.
PAIRS := RUNMC,BMC I2CVB,UCL BIDMC,HK
SITES ?= $(if $(DATASET),,$(PAIRS))
SEEDS ?=
JOBS ?= 2
# The import hashes the ids of a user's data. A user who gives SITES has said that the folders are sites and not patients.
IMPORT ?= $(if $(DATASET),$(if $(SITES),--site-folders),--keep-ids)
ABSPATH := $(PY) -c 'import os, sys; print(os.path.abspath(sys.argv[1]))'

include variables.mk

.DEFAULT_GOAL := help
.PHONY: help venv demo complexity benchmarks pictures docs test-docs test fuzz lint configs card package export bundle-given

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

venv: $(READY)  ## make .venv with all packages that the project and its tests need

# torch is pinned and installed first, so that no other package installs another build of it.
$(READY): requirements.txt tests/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(READY)  ## run the main job: train three limited teachers and a baseline, distil a student, write one report
	@set -f; raw=; name=demo; \
	if [ -n "$$DATASET" ]; then raw=$$($(ABSPATH) "$$DATASET"); name=$$(basename "$$raw"); fi; \
	out=$${OUT:-runs/$$name}; raw=$${raw:-$$($(ABSPATH) "$$out/phantom")}; \
	if [ ! -f "$$out/dataset/dataset.json" ]; then \
		[ -n "$$DATASET" ] || [ -e "$$raw" ] || (set -x; $(PY) -m data_prep phantom "$$raw") || exit; \
		mkdir -p "$$out" && printf '%s\n' "$$raw" > "$$out/source" || exit; \
		eval "set -- $$IMPORT"; \
		(set -x; $(PY) -m data_prep import "$$raw" --out "$$out/dataset" "$$@") || [ $$? -eq 3 ] || exit; \
	fi; \
	[ "$$(cat "$$out/source")" = "$$raw" ] || { \
		echo "error: $$out is a study of $$(cat "$$out/source"); give another folder, OUT=runs/<name>" >&2; exit 1; }; \
	eval "set -- $(if $(SITES),--groups $$SITES) $(if $(SEEDS),--seeds $$SEEDS)"; set -x; \
	$(PY) -m experiments run --plan demo --dataset "$$out/dataset" --out "$$out" --jobs "$$JOBS" \
		$(if $(SIZE),--size "$$SIZE") $(if $(EPOCHS),--epochs "$$EPOCHS") "$$@"

# make complexity [EXPORTED=enet]: with EXPORTED, also measure the ONNX files that make export has written for this bundle
complexity: $(READY)  ## count the parameters and operations and measure the CPU time of all networks (6 minutes)
	$(PY) -m experiments complexity $(if $(EXPORTED),--exported "$$EXPORTED")

# make benchmarks [IN=<DICOM study>]
benchmarks: $(READY)  ## compare the fast parts with their alternatives and write docs/results (35 minutes)
	OMP_NUM_THREADS=1 $(PY) -m benchmarks --out docs/results
	$(PY) -m benchmarks.inference --out docs/results
	$(PY) -m benchmarks.anywhere --out docs/results $(if $(IN),--study "$$IN")

pictures: $(READY)  ## draw the pictures of docs/explanation again
	$(PY) docs/explanation/pictures.py

DOCS := .venv-docs
$(DOCS)/ready: docs/site/requirements.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

docs: $(DOCS)/ready  ## write all pages as a site into build/site
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet

test-docs: $(READY) docs  ## the tests of the site, in a headless Chromium if there is one, and of the demo (3 minutes)
	$(DOCS)/bin/python -m pytest --confcutdir=tests/hosts/site tests/hosts/site

test: $(READY)  ## run the tests, within 8 minutes on 2 cores
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

fuzz: $(READY)  ## run validate and import on 2,000 damaged files
	$(PY) tests/data_prep/fuzzing.py

lint: $(READY)  ## run ruff, and check that the generated configs are up to date
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m custom_components.bundle build --check

configs: $(READY)  ## write every bundle's configs from bundles/_base and bundle.yaml
	$(PY) -m custom_components.bundle build

# make card BUNDLE=enet [TRAINED=runs/mine/bundles/enet_kd]
card: bundle-given $(READY)  ## write a trained bundle's evaluation into the model card of BUNDLE
	$(PY) -m custom_components.bundle card "$$BUNDLE" $(if $(TRAINED),"$$TRAINED")

package: bundle-given $(READY)  ## pack the trained BUNDLE (name or folder) into one zip that runs with MONAI alone
	$(PY) -m custom_components.bundle package "$$BUNDLE"

# make export BUNDLE=enet [CALIBRATE=<dataset> [DATALIST=<split file of the training>]]
export: bundle-given $(READY)  ## export the trained BUNDLE to student.onnx, TorchScript, ONNX and a Triton repository; with CALIBRATE also to INT8
	$(PY) -m custom_components.bundle export "$$BUNDLE" $(if $(CALIBRATE),--calibrate "$$CALIBRATE") $(if $(DATALIST),--datalist "$$DATALIST")

# This check comes before the first .venv is made, which takes minutes.
bundle-given:
	@test -n "$$BUNDLE" || { echo "error: give the bundle, for example BUNDLE=enet" >&2; exit 1; }

include integrations/hosts.mk
