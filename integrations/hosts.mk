# The hosts that use the bundles, each in an environment of its own. The Makefile above includes this file.
.PHONY: test-hosts test-slurm test-runner web student-given npm-given test-web node node-config-given test-node test-node-slow label label-given test-label test-ohif deploy deploy-venv deploy-app study-given out-given test-deploy flare test-flare

test-hosts: test-label test-ohif test-deploy test-flare test-runner test-node test-web test-docs  ## run the tests of the hosts, each in its own environment

test-runner: $(READY)  ## the tests of the runner, installed into a new environment (1 minute)
	OMP_NUM_THREADS=1 $(PY) -m pytest --confcutdir=tests/hosts/runner tests/hosts/runner

# ---- Slurm

test-slurm: $(READY)  ## run a study and a training on two nodes of a real Slurm, and kill parts of it (5 minutes); without Slurm it tests nothing
	@if command -v slurmctld >/dev/null && command -v munged >/dev/null && [ "$$(id -u)" = 0 ]; then \
		$(INSTALL) $(VENV) -r integrations/slurm/requirements.txt && \
		OMP_NUM_THREADS=1 $(PY) -m pytest tests/hosts/slurm; \
	else echo "test-slurm: no Slurm here, or no root, so nothing is tested (Debian: apt-get install slurm-wlm munge)"; fi

# ---- The browser

# npm writes this file at the end of an installation.
NODE_MODULES := web/node_modules/.package-lock.json

# make web STUDENT=bundles/enet/models/student.onnx OUT=<folder> [PORT=8080]
web: student-given out-given npm-given $(NODE_MODULES)  ## write a page that segments in a browser, and serve it on 127.0.0.1; needs Node 20 with npm
	@node web/build.js "$$STUDENT" "$$OUT" && exec $(PYTHON) "$$OUT/serve.py" --port "$${PORT:-8080}"

$(NODE_MODULES): web/package-lock.json
	npm ci --prefix web --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

student-given:
	@test -n "$$STUDENT" || { echo "error: give the student, STUDENT=<student.onnx of make export>" >&2; exit 1; }

npm-given:
	@command -v npm >/dev/null && node -e 'process.exit(+(parseInt(process.versions.node) < 20))' || { echo \
		"error: writing the page needs Node 20 or later with npm; install it, or write the page on another computer and copy its folder:" \
		"python3 serve.py in it serves the page without Node" >&2; exit 1; }

test-web: $(READY)  ## run the tests of the page in a headless Chromium (1 minute); without Node and Chromium it runs none
	@if command -v npm >/dev/null && { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null; then \
		$(MAKE) --no-print-directory $(NODE_MODULES) && \
		OMP_NUM_THREADS=1 $(PY) -m pytest tests/hosts/web; \
	else echo "test-web: no Node or no Chromium here, so the page is not tested"; fi

# ---- The DICOM node of the runner

NODE_VENV := .venv-node
NODE_PY := $(NODE_VENV)/bin/python
NODE_READY := $(NODE_VENV)/ready
NODE_TESTS := $(wildcard tests/hosts/node/test_*.py)
NODE_SLOW := tests/hosts/node/test_nothing_is_lost.py tests/hosts/node/test_node_load.py

# make node CONFIG=node.yaml
node: node-config-given $(NODE_READY)  ## receive studies by DICOM, segment them and store the results in a PACS
	@PYTHONPATH=.:runner exec $(NODE_PY) -m student_runner.node "$$CONFIG"

$(NODE_READY): runner/pyproject.toml
	@$(INSTALL) $(NODE_VENV) './runner[node]'
	@touch $@

node-config-given:
	@test -n "$$CONFIG" || { echo 'error: give the settings, CONFIG=node.yaml (docs/how-to/node.md)' >&2; exit 1; }

test-node: $(READY)  ## the tests of the DICOM node's command and of its safety, with dcmtk and Orthanc (2 minutes)
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(PY) -m pytest --confcutdir=tests/hosts/node $(filter-out $(NODE_SLOW),$(NODE_TESTS))

test-node-slow: $(READY)  ## the tests that the DICOM node loses nothing: kill -9, full disk, load (9 minutes)
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(PY) -m pytest --confcutdir=tests/hosts/node $(NODE_SLOW)

# ---- MONAI Label

LABEL_VENV := .venv-label
LABEL_PY := $(LABEL_VENV)/bin/python
LABEL_READY := $(LABEL_VENV)/ready
OHIF_TEST := tests/hosts/label/test_ohif.py

# SERIES=<description or UID> or TIE=finest|last chooses between several axial T2w series of a study, for both hosts.
# The hosts read them as environment variables.

# make label STUDIES=<folder or DICOMweb URL> MODELS="enet espnet" [TEACHERS="pspnet"] [PORT=8000] [SERIES=] [TIE=]
label: label-given $(LABEL_READY)  ## serve bundles to 3D Slicer and OHIF through MONAI Label, on 127.0.0.1
	@set -f; eval "set -- --models $$MODELS --teachers $$TEACHERS"; set -x; \
	exec $(LABEL_PY) -m integrations.monai_label --studies "$$STUDIES" --port "$${PORT:-8000}" "$$@"

$(LABEL_READY): integrations/monai_label/requirements.txt integrations/monai_label/requirements-no-deps.txt
	@$(INSTALL) $(LABEL_VENV) -r $<
	@$(INSTALL) $(LABEL_VENV) --no-deps -r $(word 2,$^)
	@touch $@

label-given:
	@test -n "$$STUDIES" -a -n "$$MODELS" || \
		{ echo 'error: give studies and bundles, for example STUDIES=/data/t2 MODELS="enet espnet"' >&2; exit 1; }

test-label: $(LABEL_READY)  ## run the tests of the MONAI Label server (3 minutes)
	OMP_NUM_THREADS=1 $(LABEL_PY) -m pytest --ignore $(OHIF_TEST) tests/hosts/label

test-ohif: $(LABEL_READY)  ## run the test of OHIF in a headless Chromium, with Orthanc (3 minutes); without the two it tests nothing
	@if { command -v Orthanc && { command -v chromium || command -v chromium-browser || command -v google-chrome; }; } >/dev/null; then \
		OMP_NUM_THREADS=1 $(LABEL_PY) -m pytest $(OHIF_TEST); \
	else echo "test-ohif: no Orthanc or no Chromium here, so the viewer is not tested"; fi

# ---- MONAI Deploy

DEPLOY_VENV := .venv-deploy
DEPLOY_PY := $(DEPLOY_VENV)/bin/python
DEPLOY_READY := $(DEPLOY_VENV)/ready
HOLOSCAN := holoscan-cu13==4.6.0

deploy-venv: $(DEPLOY_READY)  ## make .venv-deploy, with MONAI Deploy in it

# The SDK is installed without two of its requirements: CUDA's libraries, and a Triton client for all protocols.
$(DEPLOY_READY): integrations/monai_deploy/requirements.txt
	@$(INSTALL) $(DEPLOY_VENV) -r $<
	@$(INSTALL) $(DEPLOY_VENV) --no-deps $(HOLOSCAN) monai-deploy-app-sdk==4.0.0
	@touch $@

# make deploy BUNDLE=enet IN=<DICOM folder, or URL of a study> OUT=<folder> [PSA=<ng/ml>] [SERIES=] [TIE=]
deploy: bundle-given study-given out-given $(DEPLOY_READY)  ## segment a DICOM study: SEG, report, picture
	@$(FIND_MODEL); PYTHONPATH=.:runner HOLOSCAN_INPUT_PATH="$$IN" HOLOSCAN_OUTPUT_PATH="$$OUT" \
		HOLOSCAN_MODEL_PATH="$$model" exec $(DEPLOY_PY) integrations/monai_deploy

# Sets $model to the student.onnx of BUNDLE (a bundle's name or folder) or, if there is none of the present weights and
# config, to its TorchScript. The TorchScript is made again if the weights or the config are newer. MONAI's command line
# accepts any characters in an absolute path.
define FIND_MODEL
bundle=$$(cd -P "$$BUNDLE" 2>/dev/null && [ -d configs ] || cd -P "bundles/$$BUNDLE" && pwd) || exit; \
weights="$$bundle/models/model.pt"; model="$$bundle/models/student.onnx"; config="$$bundle/configs/inference.json"; \
is_old() { [ ! -f "$$model" ] || [ "$$weights" -nt "$$model" ] || [ "$$config" -nt "$$model" ]; }; \
[ -f "$$weights" ] || { echo "error: $$weights: no such checkpoint; train the bundle first" >&2; exit 1; }; \
if is_old; then model="$$bundle/models/model.ts"; fi; \
if is_old; then \
	PYTHONPATH=. $(DEPLOY_PY) -W ignore -m monai.bundle ckpt_export --net_id network_def --filepath "$$model.part" \
		--ckpt_file "$$weights" --meta_file "$$bundle/configs/metadata.json" --config_file "$$config" \
		--bundle_root "$$bundle" --use_trace True --input_shape "[2, 1, 64, 64]" && \
	mv "$$model.part" "$$model" || { rm -f "$$model.part"; exit 1; }; \
fi
endef

# make deploy-app BUNDLE=enet OUT=<folder>
deploy-app: bundle-given out-given $(DEPLOY_READY)  ## write the input of 'monai-deploy package' into OUT
	@$(FIND_MODEL); rm -rf "$$OUT/models/model" && mkdir -p "$$OUT/app" "$$OUT/models/model" && \
	cp -r integrations/monai_deploy/. custom_components data_prep runner/student_runner "$$OUT/app" && \
	echo "$(HOLOSCAN)" >> "$$OUT/app/requirements.txt" && \
	cp "$$model" "$$OUT/models/model"

test-deploy: $(DEPLOY_READY)  ## run the tests of the MONAI Deploy application (3 minutes)
	@$(INSTALL) $(DEPLOY_VENV) -r tests/hosts/deploy/requirements.txt
	OMP_NUM_THREADS=1 HOLOSCAN_LOG_LEVEL=OFF PYTHONPATH=.:runner:integrations/monai_deploy:tests/data_prep:tests \
		$(DEPLOY_PY) -m pytest -W 'ignore:Current stack size' --confcutdir=tests/hosts/deploy tests/hosts/deploy

study-given:
	@test -n "$$IN" || { echo "error: give a DICOM study, IN=<folder> or IN=<DICOMweb URL>/studies/<uid>" >&2; exit 1; }

out-given:
	@test -n "$$OUT" || { echo "error: give the folder to write to, OUT=<folder>" >&2; exit 1; }

# ---- NVIDIA FLARE

FLARE := .venv-flare
FLARE_PY := $(FLARE)/bin/python
FLARE_READY := $(FLARE)/ready
# For make flare: the output folder, two hospitals, and the distilling site. Every training there has one cycle of the
# learning rate.
FEDERATION := runs/flare
HOSPITALS := RUNMC BMC
DISTILLER := UCL

$(FLARE_READY): integrations/flare/requirements.txt requirements.txt tests/requirements.txt pyproject.toml
	@$(INSTALL) $(FLARE) -r requirements.txt -r tests/requirements.txt -r integrations/flare/requirements.txt --editable .
	@touch $@

flare: $(FLARE_READY) $(FEDERATION)/data  ## let two hospitals with phantoms train one student, then a teacher each, and distil a student from both teachers
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

# Each party has a folder with its own data, as if it were a machine of its own.
$(FEDERATION)/data: | $(FLARE_READY)
	rm -rf $(FEDERATION)/phantom $@.part
	$(FLARE_PY) -m data_prep phantom $(FEDERATION)/phantom --cases-per-site 10
	for name in $(HOSPITALS) $(DISTILLER); do \
		$(FLARE_PY) -m data_prep import $(FEDERATION)/phantom/$$name --site $$name --out $@.part/$$name && \
		$(FLARE_PY) -m data_prep split $@.part/$$name --fractions 60 20 20 || exit; done
	mv $@.part $@

test-flare: $(FLARE_READY)  ## run the tests of NVIDIA FLARE, in an environment of their own (2 minutes)
	OMP_NUM_THREADS=1 $(FLARE_PY) -m pytest tests/hosts/flare
