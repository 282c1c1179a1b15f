# The variables of the command line, with exactly the text that the user typed. The Makefile includes this file.
#
# make would expand a $ in a value, and the shell would interpret a value's spaces, quotes and special characters. So a
# recipe reads every value from the environment, as "$$NAME", and no value is a part of a target's name.
TEXTS := DATASET OUT EXPORTED BUNDLE TRAINED CALIBRATE DATALIST STUDIES STUDENT CONFIG IN PSA SIZE EPOCHS JOBS PORT
# Lists of words, separated by spaces; a word that holds spaces is quoted. A recipe splits a list: eval "set -- $$NAME".
LISTS := SITES SEEDS IMPORT MODELS TEACHERS

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
