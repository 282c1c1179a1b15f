"""Datasets of prepared volumes. A sample is one slice for training, and one volume for validation."""

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose
from torch import Tensor
from torch.utils.data import Dataset

from custom_components.data.describe import describe
from custom_components.data.prepared import PreparedCase, prepare_cases
from custom_components.data.random_transforms import RandomTransforms
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import sha256_of


class VolumeDataset(Dataset):
    """Whole prepared volumes: ``{"image": (1, H, W, D), "label": (1, H, W, D), ...}``.

    Args:
        data: cases as :func:`prepare_cases` takes them.
        preprocessing: see :func:`prepare_cases`.
        cache_dir: see :func:`prepare_cases`.
    """

    def __init__(self, data: Iterable[Mapping[str, Any]], preprocessing: Compose, cache_dir: str | Path) -> None:
        self.cases = prepare_cases(data, preprocessing, cache_dir)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> dict[str, Any]:
        case = self.cases[index]
        return {"image": case.image.volume(), "label": case.label.volume(), "case": case.name}


class SliceDataset(Dataset):
    """Axial slices of prepared volumes: ``{"image": (1, H, W), "label": (1, H, W), "has_mask", "case", "site", "slice",
    "view", "seed"}``.

    The images are not yet transformed at random: :class:`PrepareSlices` does this for a whole batch, on the network's
    device. The last six entries are: whether the case has a mask (if not, the label is all zeros), the case's name, its
    site, the slice's number, the number of the random version (0 if there are no fixed versions), and the seed of the
    random version.

    The argument ``data`` lists volumes, so that hosts that know volumes only (MONAI Label) can replace it.

    Args:
        data: cases as :func:`prepare_cases` takes them.
        preprocessing: see :func:`prepare_cases`.
        cache_dir: see :func:`prepare_cases`.
        transform: makes the random versions. Each sample's seed is drawn from torch's generator. A checkpoint keeps the
            generator's state, so a resumed training draws the same seeds.
        views: number of fixed random versions of a slice, which are the same in every training. Each sample is one of
            them, so that teachers can compute their outputs for all versions once. With 0, every sample is a new
            version. Without a transform there are no random versions.
        gland_only: whether to leave out the slices without prostate. The slices of a case without a mask all stay.
        without_masks: cases whose images alone are read; None for a training on cases with masks only.

    Attributes:
        cases: the cases with masks, then those without.
        has_mask: for each sample, whether its case has a mask.
        recipe: a hash of the random transforms and the number of views, empty without transforms.

    Raises:
        InputError: as :func:`prepare_cases`, and if ``without_masks`` is empty.
    """

    def __init__(
        self,
        data: Iterable[Mapping[str, Any]],
        preprocessing: Compose,
        cache_dir: str | Path,
        transform: RandomTransforms | None = None,
        views: int = 0,
        gland_only: bool = False,
        without_masks: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        self.cases = prepare_cases(data, preprocessing, cache_dir)
        if without_masks is not None:
            self.cases += _prepare_images(without_masks, preprocessing, cache_dir)
        self.transform = transform
        self.views = views if transform is not None else 0
        # Another version of torch may draw other random numbers.
        self.recipe = sha256_of([describe(vars(transform)), views, torch.__version__]) if transform is not None else ""
        self._index = [
            (case, depth)
            for case in self.cases
            for depth in (_with_gland(case) if gland_only and case.label else range(case.image.shape[2]))
        ]
        self.has_mask = [case.label is not None for case, _ in self._index]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> dict[str, Any]:
        case, depth = self._index[index]
        drawn = int(torch.randint(self.views or 2**31, ())) if self.transform is not None else 0
        view, seed = (drawn, view_seed(case, depth, drawn)) if self.views else (0, drawn)
        where = {"case": case.name, "site": case.site, "slice": depth, "view": view, "seed": seed}
        image, label = _slices_of(case, depth)
        return {"image": image, "label": label, "has_mask": case.label is not None, **where}

    def places_of(self, case: PreparedCase) -> list[int]:
        """The places of a case's slices in the dataset."""
        return [place for place, (other, _) in enumerate(self._index) if other is case]

    def without_random_transforms(self) -> "SliceDataset":
        """The same slices, without random versions of them."""
        plain = copy.copy(self)
        plain.transform, plain.views, plain.recipe = None, 0, ""
        return plain

    def view(self, case: PreparedCase, depth: int, view: int) -> dict[str, Tensor]:
        """Image and label (1, H, W) of one of the fixed random versions of a slice."""
        image, label = self.views_of(case, [(depth, view)])
        return {"image": image[0], "label": label[0]}

    def views_of(
        self, case: PreparedCase, chosen: Sequence[tuple[int, int]], device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Images and labels (B, 1, H, W) of several (slice, view) pairs of a case, made on a device."""
        image, label = (
            torch.stack(slices).to(device)
            for slices in zip(*(_slices_of(case, depth) for depth, _ in chosen), strict=True)
        )
        if self.transform is None:
            return image, label
        return self.transform(image, label, [view_seed(case, depth, view) for depth, view in chosen])


def require_slices(dataset: SliceDataset, datalist: str | Path) -> None:
    """Raises InputError if the dataset has no slices; the message names the split file."""
    if not dataset.cases:
        raise InputError(
            f"{datalist}: has no training case with a mask; to learn from images without masks, distil from teachers "
            "(bundles/distillation) with --unlabeled True"
        )
    if not len(dataset):
        raise InputError(f"{datalist}: no training case has a slice with prostate; set --gland_slices_only False")


def view_seed(case: PreparedCase, depth: int, view: int) -> int:
    """The seed of one of the fixed random versions of a slice, the same in every training."""
    digest = hashlib.sha256(f"{case.key} {depth} {view}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def _prepare_images(
    cases: Iterable[Mapping[str, Any]], preprocessing: Compose, cache_dir: str | Path
) -> list[PreparedCase]:
    cases = list(cases)
    if not cases:
        raise InputError(
            "unlabeled: the split lists no case without a mask; set --unlabeled False, or import images without masks "
            "and run data_prep split"
        )
    return prepare_cases(cases, preprocessing, cache_dir, "preparing images without masks", masks=False)


def _slices_of(case: PreparedCase, depth: int) -> tuple[Tensor, Tensor]:
    """Image and label (1, H, W) of a slice; if the case has no mask, the label is all zeros."""
    image = case.image.slice(depth)
    return image, torch.zeros_like(image, dtype=torch.uint8) if case.label is None else case.label.slice(depth)


def _with_gland(case: PreparedCase) -> list[int]:
    return case.label.volume().any(dim=(0, 1, 2)).nonzero().flatten().tolist()
