"""The teachers' weights on images without masks, measured before a training."""

import logging
from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import DataLoader, Subset

from custom_components.data import SliceDataset
from custom_components.data.prepared import PreparedCase
from custom_components.foundation.errors import InputError
from custom_components.losses.term import Answer, Output
from custom_components.losses.unlabeled_weights import MODES
from custom_components.losses.weights import JUDGES, adaptive_weights
from custom_components.teachers.batch_norm import batch_norm_distance, batches_of_slices
from custom_components.teachers.ensemble import TeacherEnsemble
from custom_components.teachers.taught_slices import TaughtSlices
from custom_components.teachers.teachers import Batch, Teachers

logger = logging.getLogger(__name__)


def measured_weights(
    weighting: str,
    teachers: Teachers,
    dataset: SliceDataset,
    device: torch.device | str,
    temperature: float | None = None,
    judged_by: str | None = None,
) -> str | list[float]:
    """The loss's option ``unlabeled_weighting``: the teachers' weights on images without masks.

    ``"uniform"`` and ``"agreement"`` need no measurement, and the loss knows them. The others are measured once, on the
    training images of the sites that have images without masks, without random transforms. Images of other sites do
    not count. Test and validation cases are never looked at. All these sites together get one weight for each teacher,
    so train on the datalist of one site if the sites differ.

    ``"site"``: the softmin of each teacher's loss on the cases with masks, pooled over a case's slices, the mean over
    the cases. Few masks may mislead: two cases have preferred a teacher with a Dice of 60 on the other cases to one
    with 83.

    ``"statistics"``: the softmin of each teacher's :func:`batch_norm_distance` on all slices, divided by the mean
    distance of the teachers. It needs teachers with batch norm whose statistics were not re-estimated.

    Args:
        weighting: one of the four.
        teachers: the teachers.
        dataset: the training's slices.
        device: where teachers run.
        temperature: τ of the softmin, the loss's ``weighting_temperature``; by default 0.1.
        judged_by: the loss of ``"site"``, as the loss's option of this name; by default ``"dice"``.

    Returns:
        ``weighting`` itself, or one weight for each teacher, with sum 1.

    Raises:
        InputError: if the weighting is unknown, no case of these sites has a mask (``"site"``), or a teacher has no
            batch norm or was adapted (``"statistics"``).
    """
    if weighting in MODES:
        return weighting
    if weighting not in MEASURES:
        names = ", ".join([*MODES, *MEASURES])
        raise InputError(f"unlabeled_weighting {weighting}: is unknown; choose one of {names}")
    sites = {case.site for case in dataset.cases if case.label is None}
    cases = [case for case in dataset.cases if case.site in sites]
    losses = MEASURES[weighting](teachers.to(device), dataset, cases, torch.device(device), judged_by or "dice")
    weights = adaptive_weights(torch.tensor(losses), "softmin", temperature or 0.1).tolist()
    told = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(teachers.names, weights, strict=True))
    logger.info(f"teachers' weights on images without masks ({weighting}): {told}")
    return weights


def _losses_on_masks(
    teachers: Teachers, dataset: SliceDataset, cases: Sequence[PreparedCase], device: torch.device, judged_by: str
) -> list[float]:
    """The mean loss of each teacher over the cases with masks."""
    if judged_by not in JUDGES:
        raise InputError(f"loss option judged_by={judged_by!r} is unknown; choose one of {', '.join(JUDGES)}")
    with_masks = [case for case in cases if case.label is not None]
    if not with_masks:
        raise InputError(
            "unlabeled_weighting site: no training case of the sites of the images without masks has a mask; choose "
            "uniform, agreement or statistics"
        )
    losses = []
    for case in with_masks:
        batches = list(_answers(teachers, dataset, case, device))
        target = torch.cat([target for target, _ in batches])
        logits = [torch.cat([answers[place].logits for _, answers in batches]) for place in range(len(teachers.names))]
        losses.append(JUDGES[judged_by](logits, target))
    return torch.stack(losses).mean(dim=0).tolist()


def _answers(
    teachers: Teachers, dataset: SliceDataset, case: PreparedCase, device: torch.device
) -> Iterator[tuple[torch.Tensor, list[Answer]]]:
    """The labels and the teachers' answers for all slices of a case, in batches."""
    plain = TaughtSlices(dataset.without_random_transforms(), teachers)
    for sample in DataLoader(Subset(plain, dataset.places_of(case)), batch_size=8):
        del sample["seed"]  # so that no teacher makes random versions
        image, target = (sample[key].to(device) for key in ("image", "label"))
        yield target, teachers.answer(Batch(image, target, sample, 0.0), _logits_alone)


def _logits_alone(output: Output, target: torch.Tensor) -> Answer:
    return Answer(output.logits)


def _distances(
    teachers: Teachers, dataset: SliceDataset, cases: Sequence[PreparedCase], device: torch.device, judged_by: str
) -> list[float]:
    """The distance of each teacher's statistics, divided by the mean distance of all teachers."""
    if not isinstance(teachers, TeacherEnsemble):
        raise InputError("unlabeled_weighting statistics: needs teachers that are networks; choose another weighting")
    if any(identity.get("adapted_to") for identity in teachers.identities):
        raise InputError(
            "unlabeled_weighting statistics: tells nothing of teachers whose statistics are those of the site; choose "
            "another weighting, or set --adapt_teachers False"
        )
    distances = [
        batch_norm_distance(network, (images.to(teachers.dtype) for images in batches_of_slices(cases, device)))
        for network in teachers.networks
    ]
    mean = sum(distances) / len(distances)
    return [distance / mean for distance in distances]


MEASURES: dict[str, Callable[..., list[float]]] = {"site": _losses_on_masks, "statistics": _distances}
