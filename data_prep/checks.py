"""What can be wrong with an image and its mask; ``import`` refuses what ``validate`` lists."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from custom_components.errors import InputError
from data_prep.files import voxel_sha256
from data_prep.findings import Finding
from data_prep.sources.case import SourceCase
from data_prep.volumes import Volume

AFFINE_TOLERANCE_MM = 1e-3


@dataclass(frozen=True)
class CheckedCase:
    """A case's findings, and what of its content later steps need (None and empty when it could not be read)."""

    findings: list[Finding]
    voxel_sha256: str | None = None
    labels: tuple[float, ...] = ()


def check_case(case: SourceCase, allowed_labels: set[int]) -> CheckedCase:
    """Read one case and list every fault of its image, its mask, and the two together."""
    findings: list[Finding] = []
    image = _read(case.read_image, findings)
    if image is not None:
        findings += _image_findings(case.image, image)
    if case.label is None:
        findings.append(
            Finding(str(case.image), "has no mask", f"add {case.name}_segmentation.nii.gz or take the image out")
        )
        label = None
    else:
        label = _read(case.read_label, findings)
    labels: tuple[float, ...] = ()
    if label is not None:
        labels = tuple(np.unique(label.voxels).tolist())
        findings += _label_findings(case.label, labels, allowed_labels)
    if image is not None and label is not None:
        findings += _grid_findings(case.label, image, label)
    return CheckedCase(findings, None if image is None else voxel_sha256(image.voxels), labels)


def same_image_findings(hashes: dict[Path, str | None]) -> list[Finding]:
    """One finding for each image whose voxels were seen before, by voxel hash."""
    first: dict[str, Path] = {}
    findings = []
    for path, digest in hashes.items():
        if digest is None:
            continue
        if digest in first:
            findings.append(
                Finding(str(path), f"is the same image as {first[digest]}", "keep one, or it is trained and tested on")
            )
        first.setdefault(digest, path)
    return findings


def _read(read: Callable[[], Volume], findings: list[Finding]) -> Volume | None:
    try:
        return read()
    except InputError as error:
        findings.append(Finding.from_error(error))
        return None


def _image_findings(path: Path, image: Volume) -> list[Finding]:
    bad = np.count_nonzero(~np.isfinite(image.voxels))
    if bad:
        return [Finding(str(path), f"holds {bad} voxels that are NaN or infinite", "export it again")]
    if image.voxels.min() == image.voxels.max():
        return [Finding(str(path), f"is constant (every voxel {image.voxels.flat[0]:g})", "export it again")]
    return []


def _label_findings(path: Path, labels: tuple[float, ...], allowed: set[int]) -> list[Finding]:
    unknown = [value for value in labels if value not in allowed]
    if unknown:
        shown = ", ".join(f"{value:g}" for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        accepted = "/".join(str(value) for value in sorted(allowed))
        return [Finding(str(path), f"holds the labels {shown}", f"only {accepted} are a prostate mask")]
    if labels == (0,):
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
