"""What can be wrong with an image and its mask; ``import`` quarantines what ``validate`` lists."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom_components.errors import InputError
from data_prep.findings import Finding, findings_of
from data_prep.sources.case import SourceCase
from data_prep.volumes import Volume, on_grid_of

AFFINE_TOLERANCE_MM = 1e-3


@dataclass(frozen=True)
class CheckedCase:
    """A case as read, and its findings.

    Attributes:
        image: None when it could not be read.
        label: on the image's grid, with the source's labels; None when there is none or it could not be read.
        findings: every fault of the image, the mask, and the two together.
    """

    image: Volume | None
    label: Volume | None
    findings: list[Finding]


def check_case(case: SourceCase) -> CheckedCase:
    """Read one case and list its faults; it raises nothing, whatever the files hold."""
    findings: list[Finding] = []
    image = _read(case, case.read_image, case.image, findings)
    if image is not None:
        findings += _image_findings(case.image, image)
    label = None
    if case.read_label is not None:
        label = _read(case, case.read_label, case.label, findings)
    if label is not None:
        findings += _label_findings(case.label, np.unique(label.voxels).tolist(), case.labels)
    if image is not None and label is not None:
        label = on_grid_of(image, label)
        findings += _grid_findings(case.label, image, label)
    return CheckedCase(image, label, findings)


def same_image_finding(path: Path, first: str) -> Finding:
    """The finding of an image whose voxels are those of the case ``first``."""
    return Finding(str(path), f"is the same image as {first}", "keep one, or it is trained and tested on")


def taken_name_finding(path: Path) -> Finding:
    """The finding of a case whose name another raw folder's case has in the dataset."""
    problem = "has the name of a case that was imported from another folder"
    return Finding(str(path), problem, "give another --site, or rename it")


def crash_finding(path: Path) -> Finding:
    """The finding of an image that no process survived."""
    return Finding(str(path), "ended the process that read it (a crash, or too little memory)", "export it again")


def _read(case: SourceCase, read: Callable[[], Volume], path: Path, findings: list[Finding]) -> Volume | None:
    try:
        return read()
    except InputError as error:
        findings += findings_of(error, (path, *case.files))
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        detail = f"{type(error).__name__}: {reason}"
        findings.append(Finding(str(path), "cannot be read", "copy or export it again", detail))
    return None


def _image_findings(path: Path, image: Volume) -> list[Finding]:
    bad = np.count_nonzero(~np.isfinite(image.voxels))
    if bad:
        return [Finding(str(path), f"holds {bad} voxels that are NaN or infinite", "export it again")]
    if image.voxels.min() == image.voxels.max():
        return [Finding(str(path), f"is constant (every voxel {image.voxels.flat[0]:g})", "export it again")]
    return []


def _label_findings(path: Path, labels: list[float], allowed: frozenset[int]) -> list[Finding]:
    unknown = [value for value in labels if value not in allowed]
    if unknown:
        shown = ", ".join(f"{value:g}" for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        accepted = "/".join(str(value) for value in sorted(allowed))
        return [Finding(str(path), f"holds the labels {shown}", f"only {accepted} are a prostate mask")]
    if labels == [0]:
        return [Finding(str(path), "is an empty mask", "draw the prostate or take the case out")]
    return []


def _grid_findings(path: Path, image: Volume, label: Volume) -> list[Finding]:
    if image.voxels.shape != label.voxels.shape:
        problem = f"has shape {label.voxels.shape}, its image {image.voxels.shape}"
        return [Finding(str(path), problem, "export the mask on the image's grid")]
    # How far apart image and mask put the same voxel: largest at a corner, since the map is affine.
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in image.voxels.shape])).reshape(3, -1)
    offset = (image.affine - label.affine) @ np.vstack([corners, np.ones(8)])
    distance = float(np.linalg.norm(offset[:3], axis=0).max())
    if not distance <= AFFINE_TOLERANCE_MM:
        problem = f"lies up to {distance:.3g} mm off its image (other affine)"
        return [Finding(str(path), problem, "export the mask on the image's grid")]
    return []
