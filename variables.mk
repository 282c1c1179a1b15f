# The variables that a user gives, as they were typed. Included by the Makefile.
#
# make would run what follows a $ in a value, and the shell would read a value's spaces, quotes and signs. So a recipe
# takes every value from its environment, as "$$NAME", and no value is a part of a target's name.
TEXTS := DATASET OUT EXPORTED BUNDLE TRAINED CALIBRATE DATALIST STUDIES IN PSA SIZE EPOCHS JOBS PORT
# Words with spaces between them; a word with spaces stands in quotes. A recipe splits them: eval "set -- $$NAME".
LISTS := SITES SEEDS IMPORT MODELS TEACHERS

EMPTY :=
HASH := \#
# Where a value begins: a sign that none has.
START := <|>
SIGNS := ; & | < > ` $$ ( ) $(HASH) \$(EMPTY)

given = $(filter command environment,$(firstword $(origin $(1))))
at-home = $(subst $(START),,$(subst $(START)~/,$(HOME)/,$(START)$(1)))
require-words = $(foreach sign,$(SIGNS),$(if $(findstring $(sign),$($(1))),$(error $(1)=$($(1)): a list cannot hold a $(sign))))

$(foreach name,$(TEXTS) $(LISTS),$(if $(call given,$(name)),$(eval override $(name) := $$(call at-home,$$(value $(name))))))
$(foreach name,$(LISTS),$(call require-words,$(name)))
export $(TEXTS) $(LISTS)
