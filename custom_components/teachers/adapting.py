"""AdaBN: a teacher gets the batch-norm statistics of the site at which its student will work."""

import logging
from collections.abc import Sequence

import torch

from custom_components.data.prepared import PreparedCase
from custom_components.distributed import progress_bar
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import sha256_of
from custom_components.teachers.batch_norm import adapt_batch_norm, batch_norm_distance, batches_of_slices
from custom_components.teachers.load import Teacher

logger = logging.getLogger(__name__)


def adapt_teacher(teacher: Teacher, cases: Sequence[PreparedCase], device: torch.device | str) -> None:
    """Re-estimate a teacher's batch-norm statistics on all slices of cases (AdaBN, :func:`adapt_batch_norm`).

    The masks are not used. If the cases are of several sites, the statistics are computed over all of them together and
    may fit none of them. So train on the datalist of one site.

    Args:
        teacher: the teacher. Its network is changed in place, and its identity gets the entry ``adapted_to``. The
            distance of the new statistics from the former ones is kept.
        cases: the training cases, with and without masks.
        device: the device on which the network runs; it stays there afterwards.

    Raises:
        InputError: if the teacher has no batch norm, or there are fewer than two slices.
    """
    teacher.network.to(device)
    try:
        teacher.distance = batch_norm_distance(teacher.network, batches_of_slices(cases, device))
        adapt_batch_norm(teacher.network, progress_bar(batches_of_slices(cases, device), "adapting", unit="batch"))
    except InputError as error:
        raise InputError(f"adapt_teachers: {error}") from error
    # The statistics also depend on the preprocessing. A case's key contains a hash of it.
    teacher.adapted_to = sha256_of([case.key for case in cases])
    sites = ", ".join(sorted({case.site for case in cases} - {""}))
    logger.info(
        f"{teacher.name}: batch-norm statistics of {len(cases)} training images" + (f" ({sites})" * bool(sites))
    )
