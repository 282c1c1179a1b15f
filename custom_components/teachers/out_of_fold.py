"""Out-of-fold teaching: a teacher teaches only the cases that it was not trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from custom_components.data import SliceDataset
from custom_components.foundation.errors import InputError
from custom_components.teachers.teachers import Teachers


class OutOfFold:
    """The teachers that were not trained on a case, for each case.

    On a slice of its own training a teacher's output is nearly the mask, and tells the student little more than the
    mask. So train each of n teachers without one nth of the cases, and every case has a teacher that has not seen it
    (as in stacking: Wolpert 1992, "Stacked Generalization", section 2).

    Args:
        teachers: bundles whose provenance lists the cases of their training.
        dataset: the student's training slices; the datalist has a ``voxel_sha256`` for each case.

    Raises:
        InputError: if the cases of a teacher or the hash of a case are unknown, or all teachers were trained on a case.
    """

    def __init__(self, teachers: Teachers, dataset: SliceDataset) -> None:
        for name, known in zip(teachers.names, teachers.trained_on or [None] * len(teachers.names), strict=True):
            if known is None:
                raise InputError(f"the cases that {name} was trained on are unknown", "out_of_fold", "set it to False")
        self._unseen = {}
        for case in dataset.cases:
            sha256 = case.info.get("voxel_sha256")
            if not sha256:
                raise InputError(f"{case.name} has no voxel_sha256 in the datalist", "out_of_fold", "split again")
            self._unseen[case.name] = [sha256 not in known for known in teachers.trained_on]
        seen_by_all = [name for name, unseen in self._unseen.items() if not any(unseen)]
        if seen_by_all:
            raise InputError(
                f"all teachers were trained on {seen_by_all[0]} (and {len(seen_by_all) - 1} more cases)",
                "out_of_fold",
                "add a teacher that was trained without them, or set it to False",
            )

    def __call__(self, cases: Sequence[str], device: torch.device) -> Tensor:
        """Whether each teacher may teach each slice, (B, n), bool, for the names of the slices' cases."""
        return torch.tensor([self._unseen[case] for case in cases], device=device)
