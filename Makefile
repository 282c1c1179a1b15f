PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/ready
LABEL_VENV := .venv-label
LABEL_PY := $(LABEL_VENV)/bin/python
LABEL_READY := $(LABEL_VENV)/ready

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

.DEFAULT_GOAL := help
.PHONY: help venv demo complexity benchmarks pictures test fuzz lint configs card package export bundle-given
.PHONY: label label-given test-hosts test-label
.PHONY: flare test-flare

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

# make complexity [EXPORTED=enet]: also the ONNX files that make export wrote for this bundle
complexity: $(READY)  ## parameters, operations and CPU time of all networks, beside the paper's Table 1 (6 minutes)
	$(PY) -m experiments complexity $(if $(EXPORTED),--exported $(EXPORTED))

benchmarks: $(READY)  ## what is fast, beside what it is measured against, into docs/results (25 minutes)
	OMP_NUM_THREADS=1 $(PY) -m benchmarks --out docs/results
	$(PY) -m benchmarks.inference --out docs/results

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

# make export BUNDLE=enet [CALIBRATE=<dataset> [DATALIST=<the split trained with>]]
export: bundle-given $(READY)  ## TorchScript, ONNX and a Triton repository of the trained BUNDLE; with CALIBRATE also INT8
	$(PY) bundles/export.py $(BUNDLE) $(if $(CALIBRATE),--calibrate $(CALIBRATE)) $(if $(DATALIST),--datalist $(DATALIST))

# make label STUDIES=<folder or DICOMweb URL> MODELS="enet espnet" [TEACHERS="pspnet"] [PORT=8000]
label: label-given $(LABEL_READY)  ## serve bundles to 3D Slicer and OHIF through MONAI Label, on 127.0.0.1
	$(LABEL_PY) -m integrations.monai_label --studies $(STUDIES) --models $(MODELS) --teachers $(TEACHERS) --port $(or $(PORT),8000)

$(LABEL_READY): integrations/monai_label/requirements.txt integrations/monai_label/requirements-no-deps.txt
	$(PYTHON) -m venv $(LABEL_VENV)
	$(LABEL_PY) -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' $<)"
	$(LABEL_PY) -m pip install --quiet --disable-pip-version-check -r $<
	$(LABEL_PY) -m pip install --quiet --disable-pip-version-check --no-deps -r $(word 2,$^)
	@touch $@

label-given:
	@test -n "$(STUDIES)" -a -n "$(MODELS)" || \
		{ echo 'error: give studies and bundles, for example STUDIES=/data/t2 MODELS="enet espnet"' >&2; exit 1; }

test-hosts: test-label  ## the tests of the hosts, each in its own environment

test-label: $(LABEL_READY)  ## the tests of the MONAI Label server (3 minutes)
	OMP_NUM_THREADS=1 $(LABEL_PY) -m pytest tests/hosts/label

# Before a first .venv is made, which takes minutes.
bundle-given:
	@test -n "$(BUNDLE)" || { echo "error: give the bundle, for example BUNDLE=enet" >&2; exit 1; }

FLARE := .venv-flare
FLARE_PY := $(FLARE)/bin/python
# Of make flare: two hospitals, the distilling site, and where all of it goes; each training has one cycle of the learning rate.
FEDERATION := runs/flare
HOSPITALS := RUNMC BMC
DISTILLER := UCL

$(FLARE)/ready: integrations/flare/requirements.txt requirements.txt pyproject.toml
	$(PYTHON) -m venv $(FLARE)
	$(FLARE_PY) -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(FLARE_PY) -m pip install --quiet --disable-pip-version-check -r integrations/flare/requirements.txt
	$(FLARE_PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

flare: $(FLARE)/ready $(FEDERATION)/data  ## two hospitals on phantoms: a common student, then teachers that leave and a student distilled from them
	$(FLARE_PY) -m integrations.flare student --bundle enet --rounds 5 --epochs 4 --size 64 --out $(FEDERATION) \
		--set lr_scheduler::step_size_up=90 learning_rate=0.005 \
		--hospitals $(foreach name,$(HOSPITALS),$(name)=$(FEDERATION)/data/$(name))
	$(FLARE_PY) -m integrations.flare teachers --bundles pspnet --epochs 8 --size 64 --out $(FEDERATION) \
		--set lr_scheduler::step_size_up=36 learning_rate=0.002 \
		--hospitals $(foreach name,$(HOSPITALS),$(name)=$(FEDERATION)/data/$(name))
	mkdir -p $(FEDERATION)/bundles/distilled && cp -r bundles/enet/. $(FEDERATION)/bundles/distilled
	$(FLARE_PY) -m monai.bundle run training --config_file bundles/distillation/configs/train.json \
		--dataset_dir $(FEDERATION)/data/$(DISTILLER) --image_size 64 --train::trainer::max_epochs 20 \
		--lr_scheduler::step_size_up 90 --cache_teachers True \
		--student $(FEDERATION)/bundles/distilled --bundles_dir $(FEDERATION)/bundles \
		--teachers "[$(foreach name,$(HOSPITALS),'$(name)',)]"
	for student in enet distilled; do $(FLARE_PY) -m monai.bundle run evaluating --image_size 64 \
		--config_file $(FEDERATION)/bundles/$$student/configs/evaluate.json --dataset_dir $(FEDERATION)/data/$(DISTILLER) || exit; done

# Each party's data in a folder of its own, as it would be on a machine of its own.
$(FEDERATION)/data: | $(FLARE)/ready
	rm -rf $(FEDERATION)/phantom $@.part
	$(FLARE_PY) -m data_prep phantom $(FEDERATION)/phantom --cases-per-site 10
	for name in $(HOSPITALS) $(DISTILLER); do \
		$(FLARE_PY) -m data_prep import $(FEDERATION)/phantom/$$name --site $$name --out $@.part/$$name && \
		$(FLARE_PY) -m data_prep split $@.part/$$name --fractions 60 20 20 || exit; done
	mv $@.part $@

test-flare: $(FLARE)/ready  ## the tests of integrations/flare, in an environment of its own (2 minutes)
	OMP_NUM_THREADS=1 $(FLARE_PY) -m pytest tests/hosts/flare
