"""The teachers' weights on images without masks, measured before a training."""

import logging
from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import DataLoader, Subset

from custom_components.data import SliceDataset
from custom_components.data.prepared import PreparedCase
from custom_components.foundation.errors import InputError
from custom_components.losses import DistillationLoss
from custom_components.losses.term import Answer, Output
from custom_components.losses.weights import JUDGES, adaptive_weights
from custom_components.teachers.batch_norm import batch_norm_distance, batches_of_slices, has_batch_norm
from custom_components.teachers.ensemble import TeacherEnsemble
from custom_components.teachers.taught_slices import TaughtSlices
from custom_components.teachers.teachers import Batch, Teachers

logger = logging.getLogger(__name__)

# In nats for each channel. On four sites, values from 0.2 to 1 gave the same Dice within a point.
STATISTICS_TEMPERATURE = 0.3

Judge = Callable[..., torch.Tensor]  # a loss of JUDGES


def measured_weights(
    loss: DistillationLoss, teachers: Teachers, dataset: SliceDataset, device: torch.device | str
) -> list[float] | None:
    """The teachers' weights for the loss's ``unlabeled_weighting``, if that is ``"site"`` or ``"statistics"``.

    Without ``unlabeled_weighting`` the kind is ``"statistics"`` if the teachers' statistics can be compared.

    The weights are measured once, before the training, on the training images of the sites that have images without
    masks, without random transforms. Images of other sites, test cases and validation cases are not used. A teacher has
    one weight for all these sites together. So train on the datalist of one site if the sites differ.

    ``"site"``: the softmin of each teacher's loss (``judged_by``) on the cases with masks. A case's loss is pooled over
    its slices, and a teacher's loss is the mean over the cases. A few masks may mislead: in one probe, two cases gave
    the larger weight to a teacher with a Dice of 60 on the other cases, and the smaller one to a teacher with 83.

    The softmin has the loss's ``weighting_temperature`` as τ.

    ``"statistics"``: the softmin of each teacher's :func:`batch_norm_distance` on all slices, with τ = 0.3. A teacher
    whose distance is greater by 0.2 gets half the weight. The distance is that of the teacher's own statistics, also if
    they were re-estimated afterwards.

    Args:
        loss: the loss; only its options are read.
        teachers: the teachers.
        dataset: the training's slices.
        device: the device on which teachers run.

    Returns:
        One weight for each teacher, with sum 1; None if nothing is to be measured.

    Raises:
        InputError: if no case of these sites has a mask (``"site"``), or if a teacher has no batch norm
            (``"statistics"``).
    """
    weighting = loss.unlabeled_weights.weighting
    if loss.options["unlabeled_weighting"] is None and not loss.teacher_weights.fixed and _can_be_compared(teachers):
        weighting = "statistics"
    if not isinstance(weighting, str) or weighting not in MEASURES:
        return None
    sites = {case.site for case in dataset.cases if case.label is None}
    cases = [case for case in dataset.cases if case.site in sites]
    judge = JUDGES[loss.options["judged_by"]]
    losses = MEASURES[weighting](teachers.to(device), dataset, cases, torch.device(device), judge)
    temperature = STATISTICS_TEMPERATURE if weighting == "statistics" else loss.options["weighting_temperature"]
    weights = adaptive_weights(torch.tensor(losses), "softmin", temperature).tolist()
    told = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(teachers.names, weights, strict=True))
    logger.info(f"teachers' weights on images without masks ({weighting}): {told}")
    return weights


def _losses_on_masks(
    teachers: Teachers, dataset: SliceDataset, cases: Sequence[PreparedCase], device: torch.device, judge: Judge
) -> list[float]:
    """The mean loss of each teacher over the cases with masks."""
    with_masks = [case for case in cases if case.label is not None]
    if not with_masks:
        raise InputError(
            "loss option unlabeled_weighting='site': no training case of the sites of the images without masks has a "
            "mask; choose 'uniform', 'agreement' or 'statistics'"
        )
    losses = []
    for case in with_masks:
        batches = list(_answers(teachers, dataset, case, device))
        target = torch.cat([target for target, _ in batches])
        logits = [torch.cat([answers[place].logits for _, answers in batches]) for place in range(len(teachers.names))]
        losses.append(judge(logits, target))
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
    teachers: Teachers, dataset: SliceDataset, cases: Sequence[PreparedCase], device: torch.device, judge: Judge
) -> list[float]:
    """The distance of each teacher's statistics."""
    if not isinstance(teachers, TeacherEnsemble):
        raise InputError(
            "loss option unlabeled_weighting='statistics' needs teachers that are networks; choose another"
        )
    return [
        batch_norm_distance(network, (images.to(teachers.dtype) for images in batches_of_slices(cases, device)))
        if distance is None
        else distance
        for network, distance in zip(teachers.networks, teachers.distances, strict=True)
    ]


def _can_be_compared(teachers: Teachers) -> bool:
    """Whether there are several teachers, and all are networks with batch-norm statistics."""
    if not isinstance(teachers, TeacherEnsemble) or len(teachers.names) < 2:
        return False
    return all(has_batch_norm(network) for network in teachers.networks)


MEASURES: dict[str, Callable[..., list[float]]] = {"site": _losses_on_masks, "statistics": _distances}
