"""Small raw folders in the released layout, with made-up numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from raw_cases import save, small_image, small_mask


@pytest.fixture
def add_case(tmp_path) -> Callable[..., Path]:
    """``add_case("UCL", 3)`` puts Case03 and its mask into ``tmp_path / 'raw'`` and returns the image's path."""

    def add(site: str, number: int, image: np.ndarray | None = None, mask: np.ndarray | None = None) -> Path:
        folder = tmp_path / "raw" / site
        seed = sum(site.encode()) * 100 + number
        save(folder / f"Case{number:02d}_segmentation.nii.gz", small_mask() if mask is None else mask)
        return save(folder / f"Case{number:02d}.nii.gz", small_image(seed) if image is None else image)

    return add


@pytest.fixture
def raw_folder(add_case, tmp_path) -> Path:
    """A raw folder of three sites: RUNMC with ten cases, UCL with four, HK with three."""
    for site, cases in (("RUNMC", 10), ("UCL", 4), ("HK", 3)):
        for number in range(cases):
            add_case(site, number)
    return tmp_path / "raw"
