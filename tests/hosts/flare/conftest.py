"""Two hospitals and a distilling site, each with a dataset of its own from one site of the tiny dataset."""

import shutil
from pathlib import Path

import pytest

from data_prep.importing import import_dataset
from data_prep.splitting import split_dataset

# South has half as many training slices as north.
PARTIES = {"north": ("BMC", (50, 25, 25)), "south": ("UCL", (25, 25, 50)), "center": ("HK", (50, 25, 25))}


@pytest.fixture(scope="session")
def parties(dataset_dir, tmp_path_factory) -> dict[str, Path]:
    """The dataset of each party, by the party's name."""
    folder = tmp_path_factory.mktemp("parties")
    for name, (site, fractions) in PARTIES.items():
        shutil.copytree(dataset_dir.parent / "raw" / site, folder / name / "raw" / site)
        import_dataset(folder / name / "raw", folder / name / "dataset")
        split_dataset(folder / name / "dataset", fractions)
    return {name: folder / name / "dataset" for name in PARTIES}


@pytest.fixture(scope="session")
def hospitals(parties) -> list[str]:
    """The two hospitals in the form of the option ``--hospitals``."""
    return [f"{name}={parties[name]}" for name in ("north", "south")]
