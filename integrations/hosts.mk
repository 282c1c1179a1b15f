# The hosts that use the bundles, each in an environment of its own. Included by the Makefile above.
.PHONY: test-hosts label label-given test-label flare test-flare

test-hosts: test-label  ## the tests of the hosts, each in its own environment

# ---- MONAI Label

LABEL_VENV := .venv-label
LABEL_PY := $(LABEL_VENV)/bin/python
LABEL_READY := $(LABEL_VENV)/ready

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

test-label: $(LABEL_READY)  ## the tests of the MONAI Label server (3 minutes)
	OMP_NUM_THREADS=1 $(LABEL_PY) -m pytest tests/hosts/label

# ---- NVIDIA FLARE

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
