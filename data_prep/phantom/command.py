"""Make a phantom: synthetic pelvic MRI of six sites with prostate masks, in the released layout.

The seed decides every patient. The sites differ in field of view, coil, contrast and noise. The phantom is for trying
and testing the toolkit; its results say nothing about real patients.
"""

import argparse
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume
from custom_components.foundation.threads import usable_cores
from data_prep.files import new_folder
from data_prep.phantom.anatomy import draw_pelvis
from data_prep.phantom.fields import Grid
from data_prep.phantom.scanner import scan
from data_prep.phantom.sites import SITES, Site
from data_prep.phantom.threshold import threshold_dice
from data_prep.volumes import write_volume


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of ``phantom``."""
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--cases-per-site", type=int, default=6, metavar="N", help="patients of each site (6)")
    parser.add_argument("--seed", type=int, default=0, help="decides every patient (0)")
    parser.add_argument("--matrix", type=int, metavar="N", help="rows and columns at every site (default: 128 to 176)")
    parser.add_argument("--slices", type=int, default=12, metavar="N", help="slices of each volume (12)")


def run(options: argparse.Namespace) -> int:
    """Run ``phantom`` from the command line."""
    dice = make_phantom(options.out, options.cases_per_site, options.seed, options.matrix, options.slices)
    print(f"{options.out}: {options.cases_per_site} cases at each of {', '.join(dice)}")
    print(f"intensity alone: mean Dice {np.mean(list(dice.values())):.2f} with the best window for each case")
    return 0


def make_phantom(
    out: Path, cases_per_site: int = 6, seed: int = 0, matrix: int | None = None, slices: int = 12
) -> dict[str, float]:
    """Write the phantom as ``<SITE>/CaseNN.nii.gz`` and ``CaseNN_segmentation.nii.gz``.

    Returns:
        The mean Dice of :func:`threshold_dice` for each site.

    Raises:
        InputError: if a number is too small to draw a pelvis, or ``out`` already holds something.
    """
    for option, value, least in (
        ("--cases-per-site", cases_per_site, 1),
        ("--matrix", matrix, 32),
        ("--slices", slices, 4),
    ):
        if value is not None and value < least:
            raise InputError(f"{option} {value}: give at least {least}")
    sites = [replace(site, matrix=matrix or site.matrix) for site in SITES]
    scores: dict[str, list[float]] = {site.name: [] for site in sites}
    cases = [(site, index) for site in sites for index in range(cases_per_site)]

    def write(number: int) -> float:
        site, index = cases[number]
        image, label = draw_case(site, slices, seed, index)
        write_volume(partial / site.name / f"Case{number:02d}.nii.gz", image)
        write_volume(partial / site.name / f"Case{number:02d}_segmentation.nii.gz", label)
        return threshold_dice(image.voxels, label.voxels)

    with new_folder(out) as partial, tqdm(total=len(cases), unit="case", disable=None) as progress:
        for site in sites:
            (partial / site.name).mkdir()
        # NumPy and zlib release Python's lock, so threads use all cores.
        with ThreadPoolExecutor(usable_cores()) as pool:
            for (site, _), dice in zip(cases, pool.map(write, range(len(cases))), strict=True):
                scores[site.name].append(dice)
                progress.update()
    return {name: float(np.mean(values)) for name, values in scores.items()}


def draw_case(site: Site, slices: int, seed: int, index: int) -> tuple[Volume, Volume]:
    """Image and mask (H, W, D) of one patient. They depend only on site, size, seed and index."""
    rng = np.random.default_rng([seed, zlib.crc32(site.name.encode()), index])
    in_plane = site.field_of_view_mm / site.matrix
    spacing_mm = (in_plane, in_plane, site.slab_mm / slices)
    grid = Grid.centred((site.matrix, site.matrix, slices), spacing_mm)
    signal, mask, rectum_y_mm = draw_pelvis(grid, site.endorectal, site.peripheral_zone, rng)
    image = scan(signal, grid, site, rectum_y_mm, rng)
    # The grid's axes point to the left, back and head, NIfTI's axes to the right, front and head, so two signs change.
    affine = np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0])
    affine[:3, 3] = -grid.x.flat[0], -grid.y.flat[0], grid.z.flat[0]
    return Volume(image, affine), Volume(mask.astype(np.uint8), affine)
