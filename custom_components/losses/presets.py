"""The presets of the distillation loss: tables of loss terms and of the teachers' weighting."""

from collections.abc import Mapping
from typing import Any

from custom_components.loss_terms import DISTILLING
from custom_components.losses._tensors import check_choice, check_number
from custom_components.losses.sum_of_terms import lay_over

# The values of the paper. Where the paper does not state a value, it is the value of EMKD's code.
PAPER: dict[str, Any] = {
    "terms": {
        "dice": {"weight": 0.2},
        "lovasz": {"weight": 0.3},
        "cross_entropy": {"weight": 0.0},
        "importance": {"weight": 0.1, "power": 4.0, "distance": "l1"},
        "region_contrast": {"weight": 0.1, "distance": "l2", "mask_resize": "nearest"},
        "prediction": {"weight": 0.1, "direction": "student_teacher", "temperature": 4.0, "scale_by_t2": True},
    },
    "weighting": "loss",
    "weighting_temperature": 0.1,
    "judged_by": "dice",
    "scope": "batch",
    "gate": None,
    "unlabeled_weighting": None,
    "pseudo_labels": None,
}
EMKD: dict[str, Any] = {
    **PAPER,
    "terms": lay_over(
        PAPER["terms"],
        {
            "importance": {"distance": "l2_squared"},
            "region_contrast": {"distance": "squared"},
            "prediction": {"direction": "teacher_student"},
        },
    ),
}
# The values that scored best on validation cases of real data: docs/adr/0006-defaults-by-measurement.md.
MEASURED: dict[str, Any] = {
    **EMKD,
    "terms": lay_over(EMKD["terms"], {"cross_entropy": {"weight": 0.5}, "prediction": {"weight": 1.0}}),
    "weighting": "inverse",
    "scope": "sample",
}
COMPARING = MEASURED["terms"].keys() & DISTILLING.keys()  # a term of a user's own is in no preset
# As MEASURED at the start of the training, and the masks alone in its last epoch: docs/adr/0017-all-masks.md.
ANNEALED: dict[str, Any] = {
    **MEASURED,
    "terms": lay_over(MEASURED["terms"], {name: {"anneal": 0.0} for name in COMPARING}),
}
# For a site with few masks or none, docs/adr/0014-a-new-site.md. There, students that followed the probabilities or the
# features of other sites' teachers often found no prostate. The teachers' classes in place of masks work better.
NEW_SITE: dict[str, Any] = {
    **MEASURED,
    "terms": lay_over(MEASURED["terms"], {name: {"weight": 0.0} for name in COMPARING}),
    "pseudo_labels": "all",
}
PRESETS: dict[str, Mapping[str, Any]] = {
    "paper": PAPER,
    "emkd": EMKD,
    "measured": MEASURED,
    "annealed": ANNEALED,
    "new_site": NEW_SITE,
}

# The terms that α and β of equation (5) weight.
EQUATION_5 = {"alpha": ("importance", "region_contrast"), "beta": ("prediction",)}


def default_preset(unlabeled: bool, teachers: int) -> str:
    """The preset of a training that names none: docs/adr/0014-a-new-site.md and 0017-all-masks.md.

    Args:
        unlabeled: whether the training uses images without masks; then the preset is ``"new_site"``.
        teachers: the number of teachers. If all slices have masks, several teachers have the preset ``"annealed"``, and
            one has ``"measured"``.
    """
    if unlabeled:
        return "new_site"
    return "annealed" if teachers > 1 else "measured"


def options_over_preset(
    preset: str,
    given: Mapping[str, Any],
    of_equation_5: Mapping[str, float | None],
    terms: Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """The options of a preset, replaced by those that are given.

    Args:
        preset: the name of the preset.
        given: options by name; None leaves the preset's value.
        of_equation_5: alpha and beta, which set the weights of their terms; None leaves the preset's weights.
        terms: options by term; they replace all others.

    Raises:
        InputError: if the preset is unknown, if alpha or beta is no weight, or if ``terms`` is no table of options.
    """
    check_choice("preset", preset, tuple(PRESETS))
    options = {**PRESETS[preset], **{name: value for name, value in given.items() if value is not None}}
    for letter, weight in of_equation_5.items():
        if weight is not None:
            check_number(letter, weight, least=0)
            weights = {name: {"weight": weight} for name in EQUATION_5[letter]}
            options["terms"] = lay_over(options["terms"], weights)
    return {**options, "terms": lay_over(options["terms"], terms)}
