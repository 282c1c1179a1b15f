"""Exports a trained bundle to TorchScript, ONNX and a Triton repository, and checks that all say what the bundle says.

python bundles/export.py enet
python bundles/export.py enet --calibrate dataset    # also INT8, calibrated on the dataset's training slices
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigParser

from custom_components.data import SliceDataset, load_datalist
from custom_components.errors import InputError, report_input_errors_in_one_line
from custom_components.export import (
    OnnxNetwork,
    check_parity,
    evaluate,
    export_onnx,
    export_torchscript,
    quantise,
    read_notes,
    write_notes,
    write_triton_model,
)
from custom_components.files import read_json
from custom_components.teachers import Bundle, load_weights
from facts import find_student_or_teacher, read_provenance

CALIBRATION_SLICES, PARITY_SLICES = 64, 4
REPEATS = 7
INT8 = "model.int8.onnx"


def export(name_or_path: str, dataset_dir: Path | None = None, datalist: Path | None = None) -> Path:
    """Write ``model.ts``, ``model.onnx`` and ``triton/`` into the bundle's ``models``; with a dataset also INT8.

    Args:
        name_or_path: a trained bundle: its name in the repository, or its folder.
        dataset_dir: a canonical dataset, on whose training slices INT8 is calibrated, and on whose test cases scored.
        datalist: the split that the bundle was trained with; ``<dataset_dir>/splits/all.json`` if not given.

    Returns:
        The folder ``models``.

    Raises:
        InputError: if the bundle is not trained or the split not its own, or if an exported network differs from the
            bundle's; nothing is written then, and what was there before is kept.
    """
    bundle = find_student_or_teacher(name_or_path)
    provenance = read_provenance(bundle, bundle.path / "configs")
    if dataset_dir:
        datalist = datalist or dataset_dir / "splits" / "all.json"
        slices = prepared_slices(bundle, provenance["split"]["sha256"], dataset_dir, datalist)
    else:
        size = read_json(bundle.path / "configs" / "inference.json")["image_size"]
        slices = torch.randn(PARITY_SLICES, 1, size, size, generator=torch.Generator().manual_seed(0))

    models = bundle.model_file.parent
    with tempfile.TemporaryDirectory(dir=models, prefix=".export_") as temporary:
        scratch = Path(temporary)
        export_float(bundle, slices, scratch)
        notes = {"weights_sha256": provenance["weights_sha256"], "network_def": json.dumps(bundle.network_def)}
        if dataset_dir:
            export_int8(bundle, slices, dataset_dir, datalist, notes, scratch)
        elif (models / INT8).is_file() and read_notes(models / INT8).get("weights_sha256") != notes["weights_sha256"]:
            (models / INT8).unlink()
            print(f"{INT8}: removed, it was made from other weights; give the dataset to make it again")
        for file in sorted(path for path in scratch.rglob("*") if path.is_file()):
            target = models / file.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
    return models


def prepared_slices(bundle: Bundle, split_sha256: str, dataset_dir: Path, datalist: Path) -> torch.Tensor:
    """Slices (N, 1, H, W) from all over the training cases, preprocessed as the bundle does it."""
    cases = load_datalist(datalist, "training", dataset_dir)
    if read_json(datalist).get("sha256") != split_sha256:
        raise InputError(f"{datalist}: not the split that {bundle.name} was trained with; give that one (DATALIST=...)")
    parser = ConfigParser()
    parser.read_config(bundle.path / "configs" / "inference.json")
    dataset = SliceDataset(cases, parser.get_parsed_content("preprocessing"), dataset_dir / "prepared")
    chosen = np.linspace(0, len(dataset) - 1, min(CALIBRATION_SLICES, len(dataset))).round().astype(int)
    return torch.stack([dataset[index]["image"] for index in chosen])


def export_float(bundle: Bundle, slices: torch.Tensor, folder: Path) -> None:
    """Write ``model.ts``, ``model.onnx`` and ``triton/``, each checked, into ``folder``."""
    network = load_weights(bundle.build_network(), bundle.model_file).eval()
    some = slices[np.linspace(0, len(slices) - 1, PARITY_SLICES).astype(int)]
    # Other batches and sizes than those of the export: nothing may be frozen into it.
    batches = [some, torch.nn.functional.pad(some[:1], (0, 16))]
    script, onnx = folder / "model.ts", folder / "model.onnx"
    export_torchscript(bundle, script)
    export_onnx(bundle, onnx)
    options = bundle.network_def
    for file, load in ((script, torch.jit.load), (onnx, OnnxNetwork)):
        difference = check_parity(file.name, load(file), network, batches)
        print(f"{file.name}: the bundle's masks, probabilities within {difference:.1e}")
        kind = {".ts": "torchscript", ".onnx": "onnx"}[file.suffix]
        channels, classes = options.get("in_channels", 1), options.get("out_channels", 2)
        write_triton_model(folder / "triton", f"{bundle.name}_{kind}", file, channels, classes)


def export_int8(
    bundle: Bundle, slices: torch.Tensor, dataset_dir: Path, datalist: Path, notes: dict[str, str], folder: Path
) -> None:
    """Quantise ``folder / "model.onnx"`` and tell what it costs in Dice and gains in time, on paper and in the file."""
    file = folder / INT8
    quantise(folder / "model.onnx", slices, file)
    networks = {"float": OnnxNetwork(folder / "model.onnx"), "int8": OnnxNetwork(file)}
    scores = {}
    for name, network in networks.items():
        with contextlib.redirect_stdout(None):
            scores[name] = evaluate(bundle, network, dataset_dir, datalist)
    dice = {name: f"{score['dice_mean']:.4f}" for name, score in scores.items()}
    cases = scores["int8"]["n"]
    write_notes(file, {**notes, "dice_float": dice["float"], "dice_int8": dice["int8"], "test_cases": str(cases)})

    float_ms, int8_ms = medians_ms(*(lambda network=network: network(slices[:1]) for network in networks.values()))
    change = scores["int8"]["dice_mean"] - scores["float"]["dice_mean"]
    print(f"{INT8}: volume Dice {dice['int8']}, float {dice['float']} ({change:+.4f}), on {cases} test cases")
    print(f"{INT8}: {int8_ms:.0f} ms a slice, float {float_ms:.0f} ms, {torch.get_num_threads()} threads")


def medians_ms(*runs: Callable[[], object]) -> list[float]:
    """The median time of each, taken in turns so that other load hits all."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(REPEATS):
        for run, own in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            own.append(1000 * (time.perf_counter() - start))
    return [statistics.median(own) for own in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="name or folder of a trained bundle")
    parser.add_argument("--calibrate", type=Path, metavar="DATASET", help="also INT8, calibrated on this dataset")
    parser.add_argument("--datalist", type=Path, help="the split trained with (DATASET/splits/all.json)")
    options = parser.parse_args()
    report_input_errors_in_one_line()
    print(f"written: {export(options.bundle, options.calibrate, options.datalist)}")


if __name__ == "__main__":
    main()
