"""The options of a distillation from images without masks, as a host gets them from a client or a job."""

from typing import Any

from custom_components.foundation.errors import InputError
from custom_components.losses.pseudo_labels import OF_CLASSES as PSEUDO_LABELS
from custom_components.losses.unlabeled_weights import MODES as UNLABELED_WEIGHTINGS

NONE = "none"
# The first word of each option leaves the choice to the distillation bundle.
CHOICES = {"unlabeled_weighting": (NONE, *UNLABELED_WEIGHTINGS), "pseudo_labels": (NONE, *PSEUDO_LABELS)}


def unlabeled_settings(
    unlabeled: bool, adapt_teachers: bool, unlabeled_weighting: str, pseudo_labels: str
) -> dict[str, Any]:
    """The settings of the distillation bundle's training, by key.

    Args:
        unlabeled: whether to learn from images without masks.
        adapt_teachers: whether to re-estimate the teachers' batch-norm statistics in any case; if false, the
            distillation bundle decides.
        unlabeled_weighting: the option of the loss with this name, or ``"none"``.
        pseudo_labels: the option of the loss with this name, or ``"none"``.

    Raises:
        InputError: if a word is unknown. Text from outside must not reach a config, because text in a config can be
            code.
    """
    words = {"unlabeled_weighting": unlabeled_weighting, "pseudo_labels": pseudo_labels}
    for name, word in words.items():
        if word not in CHOICES[name]:
            raise InputError(f"{name}: {word!r} is unknown; choose one of {', '.join(CHOICES[name])}")
    given = {f"loss::{name}": word for name, word in words.items() if word != NONE}
    adapt = {"adapt_teachers": True} if adapt_teachers else {}
    return {"unlabeled": bool(unlabeled), **adapt, **given}
