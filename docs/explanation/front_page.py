"""Draws the picture of the README: ``python docs/explanation/front_page.py``.

It runs the study of ``front_page.yaml`` on the phantom (ten minutes on two cores), or goes on with the one in
``runs/front_page``, and draws one slice with the masks of a teacher, the student alone and the distilled student.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from custom_components.foundation.files import read_json
from custom_components.foundation.nifti import read_volume
from data_prep.importing import import_dataset
from data_prep.phantom.command import make_phantom
from experiments.__main__ import main as experiments
from reporting.plots import INK, png
from reporting.slices import Stack, axial, note, outline, show

HERE = Path(__file__).resolve().parent
STUDY = HERE.parents[1] / "runs" / "front_page"
DATASET = STUDY / "dataset"
SITES, NEW_SITE = ("RUNMC", "I2CVB", "HK", "UCL"), "UCL"
CASES_PER_SITE = 10
TEACHERS = tuple(f"enet_{site}" for site in SITES if site != NEW_SITE)
ALONE, DISTILLED = "alone_UCL-1", "distilled_UCL-1"
TRUTH, GREEN, ORANGE, BLUE = "#FFD166", "#81C784", "#FF7043", "#4FC3F7"
VIEW_MM = 84.0


def main() -> None:
    """Run the study, and draw the picture."""
    run_study()
    (HERE / "front_page.png").write_bytes(png(picture()))


def run_study() -> None:
    """Make the phantom, and train all networks that are not trained yet."""
    if not (DATASET / "dataset.json").exists():
        shutil.rmtree(STUDY, ignore_errors=True)
        make_phantom(STUDY / "raw", CASES_PER_SITE)
        for folder in (STUDY / "raw").iterdir():
            if folder.name not in SITES:
                shutil.rmtree(folder)
        import_dataset(STUDY / "raw", DATASET)
    where = ["--plan", str(HERE / "front_page.yaml"), "--dataset", str(DATASET), "--out", str(STUDY / "out")]
    if code := experiments(["run", *where, "--leave-out", NEW_SITE, "--only", "*UCL-1", "--jobs", "2"]):
        raise SystemExit(code)


def picture() -> Figure:
    """Draw a typical case: the one with the median gain, and the teacher with the median Dice on it."""
    dice = {row: case_dice(row) for row in (*TEACHERS, ALONE, DISTILLED)}
    case = middle(dice[ALONE], key=lambda name: dice[DISTILLED][name] - dice[ALONE][name])
    teacher = middle(TEACHERS, key=lambda row: dice[row][case])
    truth = stack(DATASET / "labels" / f"{case}.nii.gz")
    largest = int(np.argmax(truth.pixels.sum(axis=(0, 1))))
    image, mask = stack(DATASET / "images" / f"{case}.nii.gz")[largest], truth[largest]
    row, column = (np.argwhere(mask.pixels).mean(axis=0) + 0.5) * mask.pixel_mm
    figure = Figure(figsize=(9.2, 2.7), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.08, wspace=0)
    columns = {
        "slice of a new site": (None, TRUTH),
        "teacher of another site": (teacher, GREEN),
        "student alone, one mask": (ALONE, ORANGE),
        "student distilled, one mask": (DISTILLED, BLUE),
    }
    for axes, (title, (name, colour)) in zip(figure.subplots(1, len(columns)), columns.items(), strict=True):
        show(axes, image, (float(row), float(column), VIEW_MM))
        outline(axes, mask, TRUTH, width=1.7 if name is None else 0.9)
        if name:
            outline(
                axes,
                stack(STUDY / "out" / "bundles" / name / "output" / "predictions" / f"{case}.nii.gz")[largest],
                colour,
            )
            note(axes, f"Dice of the volume {100 * dice[name][case]:.0f}", "bottom")
        else:
            note(axes, "phantom; the prostate outlined", "bottom")
        axes.set_title(title, fontsize=9.5, color=INK)
    return figure


def output(row: str) -> Path:
    """The folder that holds the evaluation and the predictions of a row."""
    return STUDY / "out" / "bundles" / row / "output"


def case_dice(row: str) -> dict[str, float]:
    """The Dice of each test case of a row."""
    report = read_json(output(row) / "evaluation.json")
    return {case["case"]: case["dice"] for case in report["cases"]}


def middle(names: Iterable[str], key: Callable[[str], float]) -> str:
    """The name in the middle of the order that ``key`` gives."""
    ranked = sorted(names, key=lambda name: (key(name), name))
    return ranked[(len(ranked) - 1) // 2]


def stack(path: Path) -> Stack:
    """The axial slices of a NIfTI."""
    volume = read_volume(path)
    return axial(volume.voxels, volume.affine)


if __name__ == "__main__":
    main()
