"""The time of a training with random transforms, against the time of the same training steps on ready batches."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from monai.inferers import SimpleInferer

from benchmarks.distillation_step import STEPS, random_batch, stepper, untrained_enet
from benchmarks.measure import Figure, in_turn, ratios
from custom_components.bundle import SHIPPED_BUNDLES
from custom_components.bundle.parsing import parse_config
from custom_components.data import PrepareSlices, SliceDataset
from custom_components.losses import SegmentationLoss
from data_prep.phantom.command import make_phantom

SIZES = (64, 192)
BATCH = 8


def measure(quick: bool = False) -> list[Figure]:
    """Measure ENet's steps with reading and random transforms, divided by the steps without both."""
    devices = [torch.device("cpu")] + [torch.device("cuda")] * torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as folder:
        make_phantom(Path(folder, "raw"), cases_per_site=1, matrix=64, slices=16)
        sizes = SIZES[:1] if quick else SIZES
        return [_compare(Path(folder), size, device, 2 if quick else 6) for device in devices for size in sizes]


def _compare(folder: Path, size: int, device: torch.device, rounds: int) -> Figure:
    torch.manual_seed(0)
    parser = parse_config(SHIPPED_BUNDLES / "enet" / "configs" / "train.json", {"image_size": size})
    transforms = parser.get_parsed_content("train#random_transforms")
    masks = sorted((folder / "raw").glob("*/*_segmentation.nii.gz"))
    cases = [{"image": str(mask).replace("_segmentation", ""), "label": str(mask), "case": str(mask)} for mask in masks]
    slices = SliceDataset(cases, parser.get_parsed_content("preprocessing"), folder / "prepared", transforms)
    loader = DataLoader(slices, batch_size=BATCH, shuffle=True, drop_last=True)
    augmented, bare = (
        _training(device, loader, PrepareSlices(transforms)),
        _training(device, [random_batch(BATCH, size)]),
    )
    # The first steps of a network are slow, so they are not counted.
    in_turn(2, stepper(augmented), stepper(bare), device=device)
    times = in_turn(rounds, stepper(augmented), stepper(bare), device=device)
    for trainer in (augmented, bare):
        trainer.terminate()
        trainer.run()
    return Figure(
        f"training with random transforms on {device.type.upper()}, ENet, {BATCH}x1x{size}x{size} / bare steps",
        ratios(*times),
        1.1,
        parts={
            f"{what}, s": statistics.median(seconds)
            for what, seconds in zip(("step with reading and random transforms", "bare step"), times, strict=True)
        },
        note="the training process reads and transforms the slices itself, without a loader's workers",
    )


def _training(device: torch.device, batches: Any, prepare: PrepareSlices | None = None) -> SupervisedTrainer:
    return SupervisedTrainer(
        device=device,
        max_epochs=STEPS,
        train_data_loader=batches if prepare else batches * STEPS,
        **untrained_enet(device),
        loss_function=SegmentationLoss(),
        inferer=SimpleInferer(),
        prepare_batch=prepare or PrepareSlices(),
        decollate=False,
    )
