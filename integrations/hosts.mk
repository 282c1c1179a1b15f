# The hosts that use the bundles, each in an environment of its own. Included by the Makefile above.
.PHONY: test-hosts label label-given test-label deploy deploy-venv deploy-app study-given out-given test-deploy flare test-flare

test-hosts: test-label test-deploy  ## the tests of the hosts, each in its own environment

# ---- MONAI Label

LABEL_VENV := .venv-label
LABEL_PY := $(LABEL_VENV)/bin/python
LABEL_READY := $(LABEL_VENV)/ready

# Of several axial T2w series of a study, SERIES=<description or UID> or TIE=finest|last takes one, for both hosts. They
# reach them as variables of the environment.

# make label STUDIES=<folder or DICOMweb URL> MODELS="enet espnet" [TEACHERS="pspnet"] [PORT=8000] [SERIES=] [TIE=]
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

test-label: $(LABEL_READY)  ## the tests of the MONAI Label server (3 minutes)
	OMP_NUM_THREADS=1 $(LABEL_PY) -m pytest tests/hosts/label

# ---- MONAI Deploy

PSA ?=
DEPLOY_VENV := .venv-deploy
DEPLOY_PY := $(DEPLOY_VENV)/bin/python
DEPLOY_READY := $(DEPLOY_VENV)/ready
HOLOSCAN := holoscan-cu13==4.6.0
# A bundle's name, or its folder.
DEPLOY_BUNDLE := $(if $(wildcard $(BUNDLE)/configs),$(BUNDLE),bundles/$(BUNDLE))

deploy-venv: $(DEPLOY_READY)  ## make .venv-deploy, with MONAI Deploy in it

# Without what the SDK asks for: CUDA's libraries, and a Triton client of all protocols.
$(DEPLOY_READY): integrations/monai_deploy/requirements.txt
	$(PYTHON) -m venv $(DEPLOY_VENV)
	$(DEPLOY_PY) -m pip install --quiet --disable-pip-version-check -r $<
	$(DEPLOY_PY) -m pip install --quiet --disable-pip-version-check --no-deps $(HOLOSCAN) monai-deploy-app-sdk==4.0.0
	@touch $@

# make deploy BUNDLE=enet IN=<DICOM folder, or URL of a study> OUT=<folder> [PSA=<ng/ml>] [SERIES=] [TIE=]
deploy: bundle-given study-given out-given $(DEPLOY_READY) $(DEPLOY_BUNDLE)/models/model.ts  ## segment a DICOM study: SEG, report, picture
	@PYTHONPATH=. PSA="$(PSA)" HOLOSCAN_INPUT_PATH="$(IN)" HOLOSCAN_OUTPUT_PATH="$(OUT)" \
		HOLOSCAN_MODEL_PATH=$(DEPLOY_BUNDLE)/models/model.ts $(DEPLOY_PY) integrations/monai_deploy

$(DEPLOY_BUNDLE)/models/model.ts: $(DEPLOY_BUNDLE)/models/model.pt $(DEPLOY_BUNDLE)/configs/inference.json | $(DEPLOY_READY)
	PYTHONPATH=. $(DEPLOY_PY) -W ignore -m monai.bundle ckpt_export --net_id network_def --filepath $@ --ckpt_file $< \
		--meta_file $(DEPLOY_BUNDLE)/configs/metadata.json --config_file $(DEPLOY_BUNDLE)/configs/inference.json \
		--bundle_root $(DEPLOY_BUNDLE) --use_trace True --input_shape "[2, 1, 64, 64]"

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

# ---- NVIDIA FLARE

FLARE := .venv-flare
FLARE_PY := $(FLARE)/bin/python
# Of make flare: two hospitals, the distilling site, and where all of it goes; each training has one cycle of the learning rate.
FEDERATION := runs/flare
HOSPITALS := RUNMC BMC
DISTILLER := UCL

$(FLARE)/ready: integrations/flare/requirements.txt requirements.txt tests/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(FLARE)
	$(FLARE_PY) -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(FLARE_PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt \
		-r integrations/flare/requirements.txt
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
		--lr_scheduler::step_size_up 90 --cache_teachers True --augmentation_views 4 \
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
