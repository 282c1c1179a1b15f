"""Exports of a trained bundle: TorchScript, ONNX, Triton repository and student.onnx, each compared with the bundle."""

import contextlib
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from custom_components.bundle.evaluating import evaluate
from custom_components.bundle.facts import find_student_or_teacher, fitting_provenance
from custom_components.bundle.parsing import parse_config
from custom_components.bundle.reading import Bundle
from custom_components.bundle.student_file import STUDENT, reason_against, write_student
from custom_components.bundle.weights import load_weights
from custom_components.data import SliceDataset, load_datalist
from custom_components.export import (
    OnnxNetwork,
    check_parity,
    export_onnx,
    export_torchscript,
    quantise,
    read_notes,
    write_notes,
    write_triton_model,
)
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, replace_file

CALIBRATION_SLICES, PARITY_SLICES = 64, 4
INT8 = "model.int8.onnx"


def export(name_or_path: str, dataset_dir: Path | None = None, datalist: Path | None = None) -> Path:
    """Write ``model.ts``, ``model.onnx``, ``triton/`` and ``student.onnx`` into the bundle's ``models``; with a dataset
    also INT8.

    Args:
        name_or_path: a trained bundle: its name in the repository, or its folder.
        dataset_dir: a canonical dataset. INT8 is calibrated on its training slices and scored on its test cases.
        datalist: the split that the bundle was trained with; ``<dataset_dir>/splits/all.json`` if not given.

    Returns:
        The folder ``models``.

    Raises:
        InputError: if the bundle is not trained, or if it was trained with another split. The former exports are kept.
        ParityError: if an exported file differs from the bundle. The former exports are kept.
        WriteError: if a file cannot be written. The former exports are kept.
    """
    bundle = find_student_or_teacher(name_or_path)
    provenance = fitting_provenance(bundle, bundle.path / "configs")
    if dataset_dir:
        datalist = datalist or dataset_dir / "splits" / "all.json"
        split = provenance["split"] or {}  # None if a host has trained the bundle on files of its own
        slices = prepared_slices(bundle, split.get("sha256"), dataset_dir, datalist)
    else:
        size = read_json(bundle.path / "configs" / "inference.json")["image_size"]
        slices = torch.randn(PARITY_SLICES, 1, size, size, generator=torch.Generator().manual_seed(0))

    models = bundle.model_file.parent
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        export_float(bundle, slices, scratch)
        export_volumes(bundle, scratch)
        if dataset_dir:
            export_int8(bundle, slices, dataset_dir, datalist, provenance["weights_sha256"], scratch)
        else:
            remove_int8_of_other_weights(models / INT8, provenance["weights_sha256"])
        for file in sorted(path for path in scratch.rglob("*") if path.is_file()):
            replace_file(models / file.relative_to(scratch), partial(shutil.copyfile, file))
        if not (scratch / STUDENT).is_file():
            (models / STUDENT).unlink(missing_ok=True)
    return models


def prepared_slices(bundle: Bundle, split_sha256: str | None, dataset_dir: Path, datalist: Path) -> torch.Tensor:
    """Slices (N, 1, H, W) spread over the training cases, preprocessed as the bundle does."""
    cases = load_datalist(datalist, "training", dataset_dir)
    if split_sha256 is None or read_json(datalist).get("sha256") != split_sha256:
        raise InputError(f"{datalist}: not the split that {bundle.name} was trained with; give that one (DATALIST=...)")
    parser = parse_config(bundle.path / "configs" / "inference.json", {})
    dataset = SliceDataset(cases, parser.get_parsed_content("preprocessing"), dataset_dir / "prepared")
    chosen = np.linspace(0, len(dataset) - 1, min(CALIBRATION_SLICES, len(dataset))).round().astype(int)
    return torch.stack([dataset[index]["image"] for index in chosen])


def export_float(bundle: Bundle, slices: torch.Tensor, folder: Path) -> None:
    """Write ``model.ts``, ``model.onnx`` and ``triton/`` into ``folder``, and compare each with the network."""
    network = load_weights(bundle.build_network(), bundle.model_file).eval()
    some = slices[np.linspace(0, len(slices) - 1, PARITY_SLICES).astype(int)]
    # Batches and sizes that differ from the export's: the exported network must accept every size.
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


def export_volumes(bundle: Bundle, folder: Path) -> None:
    """Write ``student.onnx`` into ``folder``; if the bundle cannot become one, print why."""
    if reason := reason_against(bundle):
        print(f"{STUDENT}: not written: {reason}", file=sys.stderr)
        return
    difference = write_student(bundle, folder / "model.onnx", folder / STUDENT)
    print(f"{STUDENT}: the bundle's probabilities within {difference:.1e} in the mean")


def export_int8(
    bundle: Bundle, slices: torch.Tensor, dataset_dir: Path, datalist: Path, weights_sha256: str, folder: Path
) -> None:
    """Quantise ``folder / "model.onnx"``; print the loss of Dice and write it into the file."""
    file = folder / INT8
    quantise(folder / "model.onnx", slices, file)
    with contextlib.redirect_stdout(None):
        before, after = (
            evaluate(bundle, OnnxNetwork(path), dataset_dir, datalist) for path in (folder / "model.onnx", file)
        )
    notes = {
        "weights_sha256": weights_sha256,
        "dice": f"{after['dice_mean']:.4f}",
        "dice_in_float": f"{before['dice_mean']:.4f}",
        "test_cases": str(after["n"]),
    }
    write_notes(file, notes)
    print(
        f"{INT8}: volume Dice {notes['dice']}, in float {notes['dice_in_float']} "
        f"({after['dice_mean'] - before['dice_mean']:+.4f}), on {after['n']} test cases"
    )


def remove_int8_of_other_weights(file: Path, weights_sha256: str) -> None:
    """Remove the INT8 network of a former training, which does not belong to the new exports."""
    if file.is_file() and read_notes(file).get("weights_sha256") != weights_sha256:
        file.unlink()
        print(f"{INT8}: removed, it was made from other weights; give the dataset to make it again")
