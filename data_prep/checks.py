"""Checks of an image and its mask. ``validate`` lists the faults; ``import`` quarantines the cases that have them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import require_readable
from custom_components.foundation.grids import grid_difference, on_grid_of
from custom_components.foundation.nifti import Volume
from data_prep.findings import Finding, findings_of
from data_prep.mask_values import in_words, whole_labels
from data_prep.sources.case import SourceCase


@dataclass(frozen=True)
class CheckedCase:
    """A case after reading, with its findings.

    Attributes:
        image: the image; None if it could not be read.
        label: the mask on the image's grid, with the source's labels as whole numbers; None if there is no mask or it
            could not be read.
        findings: all faults of the image, of the mask, and of the two together.
        is_rounded: whether the mask held values that are whole numbers except for rounding.
    """

    image: Volume | None
    label: Volume | None
    findings: list[Finding]
    is_rounded: bool = False


def check_case(case: SourceCase) -> CheckedCase:
    """Read one case and list its faults. The function raises no error, whatever the files hold."""
    findings = _unreadable_findings(case)
    if findings:
        return CheckedCase(None, None, findings)
    image = _read(case, case.read_image, case.image, findings)
    if image is not None:
        findings += _image_findings(case.image, image)
    label, is_rounded = None, False
    if case.read_label is not None:
        label = _read(case, case.read_label, case.label, findings)
    if label is not None:
        whole = whole_labels(label.voxels)
        is_rounded = not np.array_equal(whole, label.voxels)
        label = Volume(whole, label.affine)
        findings += _label_findings(case.label, np.unique(label.voxels), case.labels)
    if image is not None and label is not None:
        label = on_grid_of(image, label)
        findings += _grid_findings(case.label, image, label)
    return CheckedCase(image, label, findings, is_rounded)


def same_image_finding(path: Path, first: str) -> Finding:
    """The finding for an image with the same voxels as the case ``first``."""
    return Finding(str(path), f"is the same image as {first}", "keep one, or it is trained and tested on")


def taken_name_finding(path: Path) -> Finding:
    """The finding for a case whose name the dataset already has from another raw folder."""
    problem = "has the name of a case that was imported from another folder"
    return Finding(str(path), problem, "give another --site, or rename it")


def _read(case: SourceCase, read: Callable[[], Volume], path: Path, findings: list[Finding]) -> Volume | None:
    try:
        return read()
    except InputError as error:
        findings += findings_of(error, path)
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        detail = f"{type(error).__name__}: {reason}"
        findings.append(Finding(str(path), "cannot be read", "copy or export it again", detail))
    return None


def _unreadable_findings(case: SourceCase) -> list[Finding]:
    """The findings for missing or unreadable files.

    A library would call them damaged, such as a MetaImage's raw file.
    """
    findings: list[Finding] = []
    for path in case.files:
        try:
            require_readable(path)
        except InputError as error:
            findings += findings_of(error, path)
    return findings


def _image_findings(path: Path, image: Volume) -> list[Finding]:
    bad = np.count_nonzero(~np.isfinite(image.voxels))
    if bad:
        return [Finding(str(path), f"holds {bad} voxels that are NaN or infinite", "export it again")]
    if image.voxels.min() == image.voxels.max():
        return [Finding(str(path), f"is constant (every voxel {image.voxels.flat[0]:g})", "export it again")]
    return []


def _label_findings(path: Path, labels: np.ndarray, allowed: frozenset[int]) -> list[Finding]:
    unknown = labels[~np.isin(labels, list(allowed))]
    if unknown.size:
        accepted = "/".join(str(value) for value in sorted(allowed))
        return [Finding(str(path), f"holds the labels {in_words(unknown)}", f"only {accepted} are a prostate mask")]
    if not labels.any():
        return [Finding(str(path), "is an empty mask", "draw the prostate or take the case out")]
    return []


def _grid_findings(path: Path, image: Volume, label: Volume) -> list[Finding]:
    if problem := grid_difference(image, label):
        return [Finding(str(path), problem, "export the mask on the image's grid")]
    return []
