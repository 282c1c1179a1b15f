"""A study of four cases of two sites, with two teachers, two baselines and two students, written without training."""

import csv
import hashlib
import json

import nibabel as nib
import numpy as np

from custom_components.metrics import summarise, volume_scores

SPACING = (0.8, 0.8, 3.5)
SHAPE = (72, 72, 8)
CASES = [("RUNMC", "RUNMC_Case01"), ("RUNMC", "RUNMC_Case02"), ("HK", "HK_Case01"), ("HK", "HK_Case02")]
TEACHERS = ("deeplabv3plus", "pspnet")
SPLIT_SHA256 = hashlib.sha256(b"split").hexdigest()
EQUATION_4 = {"loss::cross_entropy_weight": 0}
ROWS = [
    {"name": "deeplabv3plus", "label": "DeepLabV3+", "role": "teacher", "network": "deeplabv3plus", "sites": ["RUNMC"]},
    {"name": "pspnet", "label": "PSPNet", "role": "teacher", "network": "pspnet"},
    {"name": "enet", "label": "ENet alone", "role": "baseline", "network": "enet", "settings": EQUATION_4},
    {
        "name": "enet_kd",
        "label": "ENet <distilled>",
        "role": "student",
        "network": "enet",
        "teachers": ["deeplabv3plus", "pspnet"],
    },
    {"name": "espnet", "label": "ESPNet alone", "role": "baseline", "network": "espnet", "settings": EQUATION_4},
    {"name": "espnet_kd", "label": "ESPNet distilled", "role": "student", "network": "espnet", "teachers": ["pspnet"]},
]
# The number of voxels by which the predictions of a row are shifted, for each case.
OFFSETS = {
    "deeplabv3plus": (2, 3, 5, 6),
    "pspnet": (6, 5, 2, 3),
    "enet": (4, 5, 6, None),
    "enet_kd": (1, 2, 3, 4),
    "espnet": (5, 5, 5, 5),
    "espnet_kd": (4, 6, 5, 5),
}


def gland(offset):
    """An ellipsoid that is absent from the end slices; the mask is empty if ``offset`` is None."""
    if offset is None:
        return np.zeros(SHAPE, np.uint8)
    x, y, z = np.indices(SHAPE)
    return (((x - 36 - offset) / 16) ** 2 + ((y - 34) / 12) ** 2 + ((z - 4) / 3) ** 2 < 1).astype(np.uint8)


def save(array, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1])), path)


def write_dataset(folder):
    cases = []
    for number, (site, case) in enumerate(CASES):
        noise = np.random.default_rng(number).normal(size=SHAPE)
        body = np.linalg.norm((np.indices(SHAPE)[:2] - 36) / 34, axis=0) < 1
        image = (200 * body + 120 * gland(0) + 40 * noise).astype(np.float32)
        save(image, folder / f"images/{case}.nii.gz")
        save(gland(0), folder / f"labels/{case}.nii.gz")
        paths = {"image": f"images/{case}.nii.gz", "label": f"labels/{case}.nii.gz"}
        cases.append({"case": case, "site": site, "patient": case, **paths})
    (folder / "dataset.json").write_text(json.dumps({"name": "sample", "cases": cases}))


def write_run(folder, row):
    output = folder / "output"
    cases = []
    for (site, case), offset in zip(CASES, OFFSETS[row["name"]], strict=True):
        prediction = gland(offset)
        save(prediction, output / f"predictions/{case}.nii.gz")
        cases.append({"case": case, "site": site, **volume_scores(prediction, gland(0), SPACING)})
    evaluation = {
        "bundle": row["name"],
        "split": {"name": "all", "sha256": SPLIT_SHA256},
        "part": "test",
        "params": 58_000_000 if row["role"] == "teacher" else 353_760,
        "cases": cases,
        "summary": summarise(cases),
        "calibration": {"ece": 0.05, "bins": [{"voxels": 90, "probability": 0.1, "frequency": 0.2}] * 2},
    }
    (output / "evaluation.json").write_text(json.dumps(evaluation))
    (output / "done.json").write_text("{}")

    noise = np.random.default_rng(len(row["name"])).uniform(0.95, 1.05, size=(40, 8))
    with open(output / "training.csv", "w", newline="") as file:
        writer = None
        for epoch in range(1, 41):
            fall = np.exp(-epoch / 12) * noise[epoch - 1]
            line = {"epoch": epoch, "learning_rate": 0.001, "loss": fall[0], "dice": fall[1], "lovasz": 0.8 * fall[2]}
            if row["role"] == "student":
                line |= {"importance": 8 * fall[3], "region_contrast": 0.02 * fall[4], "prediction": 0.6 * fall[5]}
                for place in ("", "/HK", "/RUNMC"):
                    line |= {f"weight_deeplabv3plus{place}": 0.5 + 0.1 * fall[6]}
                    line |= {f"weight_pspnet{place}": 0.5 - 0.1 * fall[6]}
            line["val_mean_dice"] = "" if epoch % 5 else 0.9 - 0.7 * fall[7]
            writer = writer or csv.DictWriter(file, list(line))
            if epoch == 1:
                writer.writeheader()
            writer.writerow(line)


def write_study(folder, rows):
    write_dataset(folder / "dataset")
    for row in rows:
        write_run(folder / "bundles" / row["name"], row)
    study = {
        "title": "Sample study",
        "rows": [{"seed": 0, "sites": [], "teachers": [], "settings": {}, **row} for row in rows],
        "dataset": str(folder / "dataset"),
        "split": {
            "name": "all",
            "sha256": SPLIT_SHA256,
            "counts": {"training": 20, "validation": 4, "test": len(CASES)},
        },
        "machine": {"processor": "x86_64", "cores": 2},
        "settings": {"image_size": 96, "scored_on": "test", "site groups": ["RUNMC"]},
    }
    (folder / "study.json").write_text(json.dumps(study))
    return folder


def change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
