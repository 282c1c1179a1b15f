"""Datasets over prepared volumes: one slice a sample for training, one volume a sample for validation."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import monai
import torch
from monai.transforms import Compose, Randomizable
from monai.utils import convert_to_tensor
from torch import Tensor
from torch.utils.data import Dataset

from custom_components.data.describe import describe
from custom_components.data.prepared import PreparedCase, prepare_cases
from custom_components.files import sha256_of


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
    """Axial slices of prepared volumes: ``{"image": (1, H, W), "label": (1, H, W), "case", "site", "slice", "view"}``,
    the last four being the case's name, its site, the slice's number, and which random version of the slice it is.

    The data are given as volumes, so that hosts which know volumes only (MONAI Label) can replace them.

    Args:
        data: cases as :func:`prepare_cases` takes them.
        preprocessing: see :func:`prepare_cases`.
        cache_dir: see :func:`prepare_cases`.
        transform: random transforms of a slice. They are seeded from torch's generator for every sample, so that the
            generator's state alone, which a checkpoint keeps, says what comes next.
        views: how many random versions there are of a slice, the same in every training, of which each sample is one:
            few enough for teachers to have seen them all beforehand. 0: a new one for every sample.
        gland_only: leave out the slices without prostate.

    Attributes:
        recipe: a hash of the random transforms and the number of views, empty without transforms.
    """

    def __init__(
        self,
        data: Iterable[Mapping[str, Any]],
        preprocessing: Compose,
        cache_dir: str | Path,
        transform: Compose | None = None,
        views: int = 0,
        gland_only: bool = False,
    ) -> None:
        self.cases = prepare_cases(data, preprocessing, cache_dir)
        self.transform = transform
        self.views = views
        # Now, before it draws: transforms keep what they drew. Other versions of MONAI may draw otherwise.
        self.recipe = sha256_of([describe(transform), views, monai.__version__]) if transform is not None else ""
        self._index = [
            (case, depth)
            for case in self.cases
            for depth in (_with_gland(case) if gland_only else range(case.image.shape[2]))
        ]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> dict[str, Any]:
        case, depth = self._index[index]
        drawn = int(torch.randint(self.views or 2**31, ())) if self.transform is not None else 0
        view = drawn if self.views else 0
        sample = self.view(case, depth, view) if self.views else self._transformed(case, depth, seed=drawn)
        return {**sample, "case": case.name, "site": case.site, "slice": depth, "view": view}

    def view(self, case: PreparedCase, depth: int, view: int) -> dict[str, Tensor]:
        """Image and label (1, H, W) of one of the fixed random versions of a slice."""
        digest = hashlib.sha256(f"{case.key} {depth} {view}".encode()).digest()
        return self._transformed(case, depth, seed=int.from_bytes(digest[:4], "little"))

    def _transformed(self, case: PreparedCase, depth: int, seed: int) -> dict[str, Tensor]:
        sample = {"image": case.image.slice(depth), "label": case.label.slice(depth)}
        if self.transform is not None:
            if isinstance(self.transform, Randomizable):
                self.transform.set_random_state(seed=seed)
            # Plain tensors: every operation of a network on a MetaTensor takes a detour.
            sample = convert_to_tensor(self.transform(sample), track_meta=False)
        return sample


def _with_gland(case: PreparedCase) -> list[int]:
    return case.label.volume().any(dim=(0, 1, 2)).nonzero().flatten().tolist()
