"""Datasets over prepared volumes: one slice a sample for training, one volume a sample for validation."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose, Randomizable
from torch.utils.data import Dataset

from custom_components.data.prepared import prepare_cases


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
    """Axial slices of prepared volumes: ``{"image": (1, H, W), "label": (1, H, W), "case", "site", "slice"}``, the last
    three being the case's name, its site and the slice's number.

    The data are given as volumes, so that hosts which know volumes only (MONAI Label) can replace them.

    Args:
        data: cases as :func:`prepare_cases` takes them.
        preprocessing: see :func:`prepare_cases`.
        cache_dir: see :func:`prepare_cases`.
        transform: random transforms of a slice. They are seeded from torch's generator for every sample, so that the
            generator's state alone, which a checkpoint keeps, says what comes next.
    """

    def __init__(
        self,
        data: Iterable[Mapping[str, Any]],
        preprocessing: Compose,
        cache_dir: str | Path,
        transform: Compose | None = None,
    ) -> None:
        self.cases = prepare_cases(data, preprocessing, cache_dir)
        self.transform = transform
        self._index = [(case, depth) for case in self.cases for depth in range(case.image.shape[2])]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> dict[str, Any]:
        case, depth = self._index[index]
        sample = {"image": case.image.slice(depth), "label": case.label.slice(depth)}
        if self.transform is not None:
            if isinstance(self.transform, Randomizable):
                self.transform.set_random_state(seed=int(torch.randint(2**31, ())))
            sample = self.transform(sample)
        return {**sample, "case": case.name, "site": case.site, "slice": depth}
