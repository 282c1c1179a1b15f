"""SliceDataset against MONAI's PersistentDataset and CacheDataset: slices per second, memory, and start-up."""

import os
import pickle
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.data import CacheDataset, PersistentDataset
from monai.transforms import Compose
from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import Figure, in_turn, ratios, seconds
from custom_components.bundle import SHIPPED_BUNDLES
from custom_components.bundle.parsing import parse_config
from custom_components.data import SliceDataset
from data_prep.phantom.command import make_phantom

VOLUMES = 1000


class SlicesOf(Dataset):
    """The slices of a dataset of volumes, read in the simplest way: take the whole volume and keep one slice."""

    def __init__(self, volumes: Dataset, depth: int) -> None:
        self.volumes = volumes
        self.depth = depth

    def __len__(self) -> int:
        return len(self.volumes) * self.depth

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        volume = self.volumes[index // self.depth]
        return {key: volume[key][..., index % self.depth] for key in ("image", "label")}


def measure(quick: bool = False) -> list[Figure]:
    """Measure three datasets of the same phantom volumes, with the same preprocessing, in the same random order.

    Raises:
        AssertionError: if the datasets do not give the same slices.
    """
    size, depth, rounds = (32, 4, 1) if quick else (384, 20, 5)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_phantom(folder / "raw", cases_per_site=1 if quick else 2, matrix=size, slices=depth)
        cases = [
            {
                "image": str(mask).replace("_segmentation", ""),
                "label": str(mask),
                "case": f"{mask.parent.name}{mask.name}",
            }
            for mask in sorted((folder / "raw").glob("*/*_segmentation.nii.gz"))
        ]
        preprocessing = _preprocessing(size)
        ours = SliceDataset(cases, preprocessing, folder / "prepared")
        cached = SlicesOf(CacheDataset(cases, preprocessing, progress=False), depth)
        persistent = SlicesOf(PersistentDataset(cases, preprocessing, folder / "persistent"), depth)
        for index in (0, depth + 1):
            for other in (cached, persistent):
                for key in ("image", "label"):
                    torch.testing.assert_close(ours[index][key].float(), other[index][key].float(), rtol=0, atol=0)

        own, cache, disk = in_turn(rounds, _epoch(ours), _epoch(cached), _epoch(persistent))
        rate = {
            f"{name}, slices/s": len(ours) / statistics.median(times)
            for name, times in (("SliceDataset", own), ("CacheDataset", cache), ("PersistentDataset", disk))
        }
        alone = len(ours) / seconds(lambda: [ours[index] for index in range(len(ours))])
        held = {
            name: len(pickle.dumps(dataset)) / 1e6
            for name, dataset in (("SliceDataset", ours), ("CacheDataset", cached))
        }
        volumes = 10 if quick else VOLUMES
        many = _under_other_names(cases, volumes, folder / "many")
        SliceDataset(many, preprocessing, folder / "prepared")
        start_up = [seconds(lambda: SliceDataset(many, preprocessing, folder / "prepared")) for _ in range(rounds)]
        raw = sum(os.path.getsize(case[key]) for case in many for key in ("image", "label"))

    slices = f"slices per second, {len(cases)} volumes of {size}x{size}x{depth}, 2 workers"
    return [
        Figure(
            f"{slices}: SliceDataset / PersistentDataset",
            ratios(disk, own),
            5.0,
            at_least=True,
            parts=rate | {"SliceDataset without a loader, slices/s": alone},
            note="the transfer from the loader's workers to the training process limits SliceDataset",
        ),
        Figure(f"{slices}: SliceDataset / CacheDataset", ratios(cache, own), 0.8, at_least=True, parts=rate),
        Figure(
            "memory: SliceDataset / CacheDataset",
            [held["SliceDataset"] / held["CacheDataset"]],
            0.1,
            parts={f"{name}, MB": size for name, size in held.items()},
        ),
        Figure(
            f"start-up of SliceDataset, {volumes} cases prepared before",
            start_up,
            10.0,
            unit="s",
            parts={"raw files, MB": raw / 1e6},
            note=f"each case has files of its own, with the contents of one of {len(cases)} cases",
        ),
    ]


def _under_other_names(cases: list[dict[str, str]], count: int, folder: Path) -> list[dict[str, str]]:
    """The requested number of cases, each with copies of the files under other names."""
    folder.mkdir()
    many = [{"case": f"Case{number}"} for number in range(count)]
    for number, case in enumerate(many):
        for key in ("image", "label"):
            case[key] = str(folder / f"{number}_{key}.nii.gz")
            os.link(cases[number % len(cases)][key], case[key])
    return many


def _preprocessing(size: int) -> Compose:
    parser = parse_config(SHIPPED_BUNDLES / "enet" / "configs" / "train.json", {"image_size": size})
    return parser.get_parsed_content("preprocessing")


def _epoch(dataset: Dataset) -> Callable[[], None]:
    """Read one epoch with workers that are already running."""
    loader = DataLoader(
        dataset,
        batch_size=8,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        collate_fn=_collate,
        generator=torch.Generator().manual_seed(0),
    )

    def run() -> None:
        for _ in loader:
            pass

    return run


def _collate(samples: list[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    return {key: torch.stack([sample[key] for sample in samples]) for key in ("image", "label")}
