PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/ready

# make demo [DATASET=<folder in the released layout>] [SIZE=96] [EPOCHS=10] [SITES="A B,C D"] [SEEDS="0 1 2"] [OUT=runs/mine] [JOBS=2]
DATASET ?=
SIZE ?=
EPOCHS ?=
# The paper's pairs of sites, for the phantom.
PAIRS := RUNMC,BMC I2CVB,UCL BIDMC,HK
SITES ?= $(if $(DATASET),,$(PAIRS))
SEEDS ?=
JOBS ?= 2
OUT ?= runs/$(if $(DATASET),$(notdir $(abspath $(DATASET))),demo)
RAW := $(if $(DATASET),$(DATASET),$(OUT)/phantom)

PSA ?=
DEPLOY_VENV := .venv-deploy
DEPLOY_PY := $(DEPLOY_VENV)/bin/python
DEPLOY_READY := $(DEPLOY_VENV)/ready
HOLOSCAN := holoscan-cu13==4.6.0
# A bundle's name, or its folder.
DEPLOY_BUNDLE := $(if $(wildcard $(BUNDLE)/configs),$(BUNDLE),bundles/$(BUNDLE))

.DEFAULT_GOAL := help
.PHONY: help venv demo complexity benchmarks pictures test fuzz lint configs card package bundle-given
.PHONY: deploy deploy-venv deploy-app study-given out-given test-deploy

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

venv: $(READY)  ## make .venv with everything in it

# torch first and pinned: nothing that follows may bring another build of it.
$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(READY) $(OUT)/dataset/dataset.json  ## the main job: three limited teachers, a baseline, a distilled student, one report
	@test "$$(cat $(OUT)/source)" = "$(abspath $(RAW))" || \
		{ echo "error: $(OUT) is a study of $$(cat $(OUT)/source); give another folder, OUT=runs/<name>" >&2; exit 1; }
	$(PY) -m experiments run --plan demo --dataset $(OUT)/dataset --out $(OUT) --jobs $(JOBS) \
		$(if $(SIZE),--size $(SIZE)) $(if $(EPOCHS),--epochs $(EPOCHS)) $(if $(SITES),--groups $(SITES)) $(if $(SEEDS),--seeds $(SEEDS))

$(OUT)/dataset/dataset.json: | $(READY) $(if $(DATASET),,$(RAW))
	@mkdir -p $(OUT) && echo "$(abspath $(RAW))" > $(OUT)/source
	$(PY) -m data_prep import $(RAW) --out $(OUT)/dataset --keep-ids || test $$? -eq 3

$(OUT)/phantom: | $(READY)
	$(PY) -m data_prep phantom $@

complexity: $(READY)  ## parameters, operations and CPU time of all networks, beside the paper's Table 1 (6 minutes)
	$(PY) -m experiments complexity

benchmarks: $(READY)  ## what is fast, beside what it is measured against, into docs/results (8 minutes)
	OMP_NUM_THREADS=1 $(PY) -m benchmarks --out docs/results

pictures: $(READY)  ## draw the pictures of docs/explanation again
	$(PY) docs/explanation/pictures.py

test: $(READY)  ## the tests, within 20 minutes on 2 cores
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile

fuzz: $(READY)  ## 2,000 damaged files through validate and import
	$(PY) tests/data_prep/fuzzing.py

lint: $(READY)  ## ruff, and whether the generated configs are up to date
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) bundles/build.py --check

configs: $(READY)  ## write every bundle's configs from bundles/_base and bundle.yaml
	$(PY) bundles/build.py

# make card BUNDLE=enet [TRAINED=runs/mine/bundles/enet_kd]
card: bundle-given $(READY)  ## take a trained bundle's evaluation into the model card of BUNDLE
	$(PY) bundles/facts.py $(BUNDLE) $(TRAINED)
	$(PY) bundles/build.py

package: bundle-given $(READY)  ## one zip of the trained BUNDLE (name or folder) that runs with MONAI alone
	$(PY) bundles/package.py $(BUNDLE)

deploy-venv: $(DEPLOY_READY)  ## make .venv-deploy, with MONAI Deploy in it

# Without what the SDK asks for: CUDA's libraries, and a Triton client of all protocols.
$(DEPLOY_READY): integrations/monai_deploy/requirements.txt
	$(PYTHON) -m venv $(DEPLOY_VENV)
	$(DEPLOY_PY) -m pip install --quiet --disable-pip-version-check -r $<
	$(DEPLOY_PY) -m pip install --quiet --disable-pip-version-check --no-deps $(HOLOSCAN) monai-deploy-app-sdk==4.0.0
	@touch $@

# make deploy BUNDLE=enet IN=<DICOM folder, or URL of a study> OUT=<folder> [PSA=<ng/ml>]
deploy: bundle-given study-given out-given $(DEPLOY_READY) $(DEPLOY_BUNDLE)/models/model.ts  ## segment a DICOM study: SEG, report, picture
	@PYTHONPATH=. PSA="$(PSA)" HOLOSCAN_INPUT_PATH="$(IN)" HOLOSCAN_OUTPUT_PATH="$(OUT)" \
		HOLOSCAN_MODEL_PATH=$(DEPLOY_BUNDLE)/models/model.ts $(DEPLOY_PY) integrations/monai_deploy

$(DEPLOY_BUNDLE)/models/model.ts: $(DEPLOY_BUNDLE)/models/model.pt $(DEPLOY_BUNDLE)/configs/inference.json | $(DEPLOY_READY)
	PYTHONPATH=. $(DEPLOY_PY) -W ignore -m monai.bundle ckpt_export --net_id network_def --filepath $@ --ckpt_file $< \
		--meta_file $(DEPLOY_BUNDLE)/configs/metadata.json --config_file $(DEPLOY_BUNDLE)/configs/inference.json \
		--bundle_root $(DEPLOY_BUNDLE)

$(DEPLOY_BUNDLE)/models/model.pt:
	@echo "error: $@: no such checkpoint; train the bundle first" >&2; exit 1

# make deploy-app BUNDLE=enet OUT=<folder>
deploy-app: bundle-given out-given $(DEPLOY_READY) $(DEPLOY_BUNDLE)/models/model.ts  ## what 'monai-deploy package' takes, into OUT
	mkdir -p "$(OUT)/app" "$(OUT)/models/model"
	cp -r integrations/monai_deploy/. custom_components data_prep "$(OUT)/app"
	echo "$(HOLOSCAN)" >> "$(OUT)/app/requirements.txt"
	cp $(DEPLOY_BUNDLE)/models/model.ts "$(OUT)/models/model"

test-deploy: $(DEPLOY_READY)  ## the tests of the MONAI Deploy application (3 minutes)
	$(DEPLOY_PY) -m pip install --quiet --disable-pip-version-check -r tests/hosts/deploy/requirements.txt
	OMP_NUM_THREADS=1 HOLOSCAN_LOG_LEVEL=OFF PYTHONPATH=.:integrations/monai_deploy:tests/data_prep \
		$(DEPLOY_PY) -m pytest -W 'ignore:Current stack size' --confcutdir=tests/hosts/deploy tests/hosts/deploy

study-given:
	@test -n "$(IN)" || { echo "error: give a DICOM study, IN=<folder> or IN=<DICOMweb URL>/studies/<uid>" >&2; exit 1; }

# OUT has a default above, which is none for these.
out-given:
	@test "$(origin OUT)" != file || { echo "error: give the folder to write to, OUT=<folder>" >&2; exit 1; }

# Before a first .venv is made, which takes minutes.
bundle-given:
	@test -n "$(BUNDLE)" || { echo "error: give the bundle, for example BUNDLE=enet" >&2; exit 1; }
