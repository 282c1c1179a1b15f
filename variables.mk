# The variables of the command line, with exactly the text that the user typed. The Makefile includes this file.
#
# make would expand a $ in a value, and the shell would interpret a value's spaces, quotes and special characters. So a
# recipe reads every value from the environment, as "$$NAME", and no value is a part of a target's name.
TEXTS := DATASET OUT NEW_SITE EXPORTED BUNDLE TRAINED CALIBRATE DATALIST STUDIES STUDENT CONFIG IN PSA SERIES TIE SIZE EPOCHS JOBS PORT
# Lists of words, separated by spaces; a word that holds spaces is quoted. A recipe splits a list: eval "set -- $$NAME".
LISTS := SITES SEEDS IMPORT MODELS TEACHERS

# A variable of the command line that no usage line of the targets ("# make <target> ...") names would be ignored in silence.
# Variables that the makefiles set themselves, and those of other programs, are no concern of this check; nor is a make
# within make, which has the variables of the outer one.
MAKEFILES_HERE := $(wildcard Makefile variables.mk integrations/hosts.mk)
GOALS := $(or $(MAKECMDGOALS),help)
OF_OTHERS := SHELL MAKEFLAGS PIP_% UV_% CUDA_% OMP_% MLFLOW_% PROSTATE_% CI TMPDIR %_proxy %_PROXY
TYPED := $(if $(filter 0,$(MAKELEVEL)),$(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name))))
TYPED := $(filter-out -*- MAKEOVERRIDES $(OF_OTHERS),$(TYPED))
ifneq ($(TYPED),)
taken-by = $(sort $(shell sed -n 's/^\# make $(1) //p' $(MAKEFILES_HERE) | grep -oE '[A-Z_]+=' | tr -d =))
SET_HERE := $(filter-out $(TEXTS) $(LISTS),$(shell sed -nE 's/^([A-Z][A-Z0-9_]*) *[:?]?=.*/\1/p' $(MAKEFILES_HERE)))
TAKEN := $(sort $(foreach goal,$(GOALS),$(call taken-by,$(goal))))
$(foreach name,$(filter-out $(TAKEN) $(SET_HERE),$(TYPED)),$(error $(name): 'make $(GOALS)' takes no such variable; \
it takes $(or $(TAKEN),none), and PYTHON=<program>))
endif

EMPTY :=
HASH := \#
# A mark for the start of a value; no value contains it.
START := <|>
SIGNS := ; & | < > ` $$ ( ) $(HASH) \$(EMPTY)

given = $(filter command environment,$(firstword $(origin $(1))))
at-home = $(subst $(START),,$(subst $(START)~/,$(HOME)/,$(START)$(1)))
require-words = $(foreach sign,$(SIGNS),$(if $(findstring $(sign),$($(1))),$(error $(1)=$($(1)): a list cannot hold a $(sign))))

$(foreach name,$(TEXTS) $(LISTS),$(if $(call given,$(name)),$(eval override $(name) := $$(call at-home,$$(value $(name))))))
$(foreach name,$(LISTS),$(call require-words,$(name)))
export $(TEXTS) $(LISTS)
