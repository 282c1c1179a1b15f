"""A bundle with weights, as a training leaves it, at 64x64."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from custom_components.bundle import Bundle, copy_bundle, read_bundle
from custom_components.data import VolumeDataset, load_datalist
from custom_components.files import file_sha256, write_json
from custom_components.provenance import provenance

SIZE = 64


@pytest.fixture(scope="session")
def slices(dataset_dir, checked_in_preprocessing, tmp_path_factory) -> torch.Tensor:
    """Slices (4, 1, 64, 64) of a phantom volume, preprocessed as in training."""
    cases = load_datalist(dataset_dir / "splits" / "all.json", "test", dataset_dir)[:1]
    (prepared,) = VolumeDataset(cases, checked_in_preprocessing(image_size=SIZE), tmp_path_factory.mktemp("p")).cases
    return prepared.image.volume().permute(3, 0, 1, 2).contiguous()


@pytest.fixture(scope="session")
def make_trained(dataset_dir, checked_in_preprocessing, slices, tmp_path_factory) -> Callable[..., Bundle]:
    """``make_trained("enet")``: random weights whose batch norms half know the slices, so that probabilities spread."""
    datalist = dataset_dir / "splits" / "all.json"

    def make(name: str) -> Bundle:
        folder = tmp_path_factory.mktemp("bundles") / name
        copy_bundle(name, folder, image_size=SIZE)
        bundle = read_bundle(str(folder))
        torch.manual_seed(0)
        network = bundle.build_network().train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.5
        with torch.no_grad():
            network(slices)
        bundle.model_file.parent.mkdir()
        torch.save(network.state_dict(), bundle.model_file)
        preprocessing = checked_in_preprocessing(image_size=SIZE)
        parts = [
            VolumeDataset(load_datalist(datalist, part, dataset_dir), preprocessing, Path(folder, "prepared")).cases
            for part in ("training", "validation")
        ]
        record = provenance(folder, datalist, preprocessing, *parts)
        write_json(bundle.provenance_file, record | {"weights_sha256": file_sha256(bundle.model_file)})
        return bundle

    return make
