"""Teacher bundles without a training: random weights, with the provenance that a training would have written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shipped_bundles import give_random_weights

from custom_components.bundle import read_bundle
from custom_components.data.describe import describe
from custom_components.foundation.files import file_sha256, write_json

TRAINED_ON = [{"case": "BMC_Case00", "site": "BMC", "patient": "patient 1", "voxel_sha256": "aa"}]


@pytest.fixture
def make_teacher(copy_bundles, preprocessing) -> Callable[..., Path]:
    """``make_teacher("espnet", metrics=...)`` makes a bundle's folder; keywords go into its provenance."""

    def make(name: str = "espnet", **provenance: Any) -> Path:
        folder = copy_bundles(name) / name
        bundle = read_bundle(str(folder))
        give_random_weights(bundle)
        record = {
            "bundle": name,
            "network_def": bundle.network_def,
            "preprocessing": describe(preprocessing.transforms),
            "cases": {"training": TRAINED_ON, "validation": []},
            "weights_sha256": file_sha256(bundle.model_file),
        }
        write_json(bundle.provenance_file, record | provenance)
        return folder

    return make


@pytest.fixture
def change_json() -> Callable[..., None]:
    """``change_json(file, key=value)`` sets top-level keys of a JSON file."""

    def change(file: Path, **entries: Any) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | entries))

    return change
