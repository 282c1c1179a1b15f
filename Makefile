PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PYTHON) install.py
READY := $(VENV)/ready

DATASET ?=
SIZE ?=
EPOCHS ?=
# The new site of the phantom, and the sites of its teachers. Two have the new site's kind of coil, and BIDMC has another.
NEW_SITE ?= $(if $(DATASET),,HK)
SITES ?= $(if $(DATASET),,RUNMC UCL BIDMC)
SEEDS ?=
JOBS ?= 2
# The import hashes the ids of a user's data. A user who gives SITES has said that the folders are sites and not patients.
IMPORT ?= $(if $(DATASET),$(if $(SITES),--site-folders),--keep-ids)
ABSPATH := $(PY) -c 'import os, sys; print(os.path.abspath(sys.argv[1]))'

include variables.mk

.DEFAULT_GOAL := help
.PHONY: help venv n4 demo complexity benchmarks pictures docs test-docs test test-slow fuzz lint configs card package export bundle-given disk clean

# The list shows each target's text, its environment (from its prerequisites) and its usage lines ("# make <target> ...").
help:  ## show this list
	@echo 'make TARGET [NAME=value ...]   A variable in [] may be left out. An environment [.venv] is made when it is first needed.'
	@awk '/^# make / { split($$0, word, " "); usage[word[3]] = usage[word[3]] "\n               " substr($$0, 3) } \
		/^[a-z0-9-]+:.*## / { split($$0, part, /:|## /); place = ""; \
			if (match($$0, /\$$\([A-Z_]*READY\)/)) { \
				place = tolower(substr($$0, RSTART + 2, RLENGTH - 8)); sub(/_$$/, "", place); \
				place = "  [.venv" (place ? "-" : "") place "]" } \
			printf "%-14s %s%s%s\n", part[1], substr($$0, index($$0, "## ") + 3), place, usage[part[1]] }' Makefile integrations/hosts.mk

venv: $(READY)  ## make .venv with all packages that the project and its tests need: 2.3 GB with torch for the CPU alone, half a minute with uv

$(READY): requirements.txt tests/requirements.txt pyproject.toml
	@$(INSTALL) $(VENV) -r requirements.txt -r tests/requirements.txt --editable .
	@touch $@

n4: $(READY)  ## add the filters of itk to .venv, for import --n4: 0.7 GB
	@$(INSTALL) $(VENV) -r requirements-n4.txt

# make demo [OUT=runs/mine] [SEEDS="0 1 2"] [SIZE=96] [EPOCHS=10] [JOBS=2]
# make demo DATASET=<folder in the released layout> [NEW_SITE=UCL] [SITES="A B,C D"] [IMPORT=<flags of import>]
demo: $(READY)  ## the main job on a phantom or your data: teachers of some sites, and a student of a new site, alone and distilled
	@set -f; raw=; name=demo; \
	if [ -n "$$DATASET" ]; then raw=$$($(ABSPATH) "$$DATASET"); name=$$(basename "$$raw"); fi; \
	out=$${OUT:-runs/$$name}; raw=$${raw:-$$($(ABSPATH) "$$out/phantom")}; \
	if [ ! -f "$$out/dataset/dataset.json" ]; then \
		[ -n "$$DATASET" ] || [ -e "$$raw" ] || (set -x; $(PY) -m data_prep phantom "$$raw" --cases-per-site 8) || exit; \
		mkdir -p "$$out" && printf '%s\n' "$$raw" > "$$out/source" || exit; \
		eval "set -- $$IMPORT"; \
		(set -x; $(PY) -m data_prep import "$$raw" --out "$$out/dataset" "$$@") || [ $$? -eq 3 ] || exit; \
	fi; \
	former=$$(cat "$$out/source" 2>/dev/null || echo 'another dataset'); \
	[ "$$former" = "$$raw" ] || { \
		echo "error: $$out is a study of $$former; give another folder, OUT=runs/<name>" >&2; exit 1; }; \
	eval "set -- $(if $(SITES),--groups $$SITES) $(if $(SEEDS),--seeds $$SEEDS)"; \
	[ -z "$$NEW_SITE" ] || set -- "$$@" --leave-out "$$NEW_SITE"; set -x; \
	exec $(PY) -m experiments run --plan demo --dataset "$$out/dataset" --out "$$out" --jobs "$$JOBS" \
		$(if $(SIZE),--size "$$SIZE") $(if $(EPOCHS),--epochs "$$EPOCHS") "$$@"

# With EXPORTED, it also measures the ONNX files that make export has written for this bundle.
# make complexity [EXPORTED=enet]
complexity: $(READY)  ## count the parameters and operations and measure the CPU time of all networks (6 minutes)
	$(PY) -m experiments complexity $(if $(EXPORTED),--exported "$$EXPORTED")

# make benchmarks [IN=<DICOM study>]
benchmarks: $(READY)  ## compare the fast parts with their alternatives and write docs/results (35 minutes)
	OMP_NUM_THREADS=1 $(PY) -m benchmarks --out docs/results
	$(PY) -m benchmarks.inference --out docs/results
	$(PY) -m benchmarks.anywhere --out docs/results $(if $(IN),--study "$$IN")

pictures: $(READY)  ## draw the pictures of docs/explanation again
	$(PY) docs/explanation/pictures.py

DOCS_VENV := .venv-docs
DOCS_READY := $(DOCS_VENV)/ready
$(DOCS_READY): docs/site/requirements.txt
	@$(INSTALL) $(DOCS_VENV) -r $<
	@touch $@

docs: $(DOCS_READY)  ## write all pages as a site into build/site
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --quiet

test-docs: $(READY) docs  ## the tests of the site, in a headless Chromium if there is one, of the tutorials and the demo (7 minutes)
	$(DOCS_VENV)/bin/python -m pytest --confcutdir=tests/hosts/site tests/hosts/site
	OMP_NUM_THREADS=1 $(PY) -m pytest tests/hosts/tutorials

test: $(READY)  ## run the tests, within 8 minutes on 2 cores
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

test-slow: $(READY)  ## run the tests of the installed wheel and of the benchmarks, with tiny sizes (2 minutes)
	OMP_NUM_THREADS=1 $(PY) -m pytest tests/slow

fuzz: $(READY)  ## run validate and import on 2,000 damaged files
	$(PY) tests/data_prep/fuzzing.py

lint: $(READY)  ## run ruff, and check that the generated configs are up to date
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m custom_components.bundle build --check

configs: $(READY)  ## write every bundle's configs from bundles/_base and bundle.yaml
	$(PY) -m custom_components.bundle build

# make card BUNDLE=enet [TRAINED=runs/mine/bundles/enet_three]
card: bundle-given $(READY)  ## write a trained bundle's evaluation into the model card of BUNDLE
	$(PY) -m custom_components.bundle card "$$BUNDLE" $(if $(TRAINED),"$$TRAINED")

# make package BUNDLE=enet
package: bundle-given $(READY)  ## pack the trained BUNDLE (name or folder) into one zip that runs with MONAI alone
	$(PY) -m custom_components.bundle package "$$BUNDLE"

# make export BUNDLE=enet [CALIBRATE=<dataset> [DATALIST=<split file of the training>]]
export: bundle-given $(READY)  ## export the trained BUNDLE to student.onnx, TorchScript, ONNX and a Triton repository; with CALIBRATE also INT8
	$(PY) -m custom_components.bundle export "$$BUNDLE" $(if $(CALIBRATE),--calibrate "$$CALIBRATE") $(if $(DATALIST),--datalist "$$DATALIST")

# What make and git can make again. Data, studies and trained weights stay.
REMADE := .venv .venv-* .uv web/node_modules build dist *.egg-info runner/build runner/*.egg-info .pytest_cache .ruff_cache .hypothesis
KEPT := runs bundles/*/models bundles/*/output

disk:  ## say where the disk space went
	@$(call SIZES,$(REMADE) $(KEPT))

# Files that environments share with uv's cache are counted once, with the environment.
SIZES = $(if $(wildcard $(1)),du -shc $(wildcard $(1)),echo 'nothing of $(1) is here'); \
	cache=$${UV_CACHE_DIR:-$${XDG_CACHE_HOME:-$$HOME/.cache}/uv}; [ ! -d "$$cache" ] || \
	printf '%s\t%s\n' "$$(du -sh "$$cache" | cut -f1)" "$$cache (uv's cache; it shares its files with the environments, so delete both)"

clean:  ## remove the environments and all else that make can make again, and say what is left; data, studies and weights stay
	@$(if $(wildcard $(REMADE)),echo 'removing:'; du -sh $(wildcard $(REMADE)); rm -rf $(wildcard $(REMADE)))
	@find . -name __pycache__ -prune -exec rm -rf {} +
	@echo 'left:'; $(call SIZES,$(KEPT))

# This check comes before the first .venv is made, which takes minutes.
bundle-given:
	@test -n "$$BUNDLE" || { echo "error: give the bundle, for example BUNDLE=enet" >&2; exit 1; }

include integrations/hosts.mk
