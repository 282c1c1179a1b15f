"""A folder of predictions that another program has written, read on the grids of the images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import SpatialResample

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256
from custom_components.foundation.grids import GRID_TOLERANCE, corners, grid_difference, on_grid_of
from custom_components.foundation.nifti import Volume, read_volume
from custom_components.predictions.class_map import ClassMap
from custom_components.predictions.nifti_maps import ClassFiles, FourD, Masks, nifti_file
from custom_components.predictions.nnunet import NnUNetFolder, dataset_labels
from custom_components.predictions.record import FILE, read_record


class Layout(Protocol):
    """A layout of the files of a case."""

    def files(self, case: str) -> list[Path]:
        """The files that a case has in this layout, even if they are missing."""

    def read(self, case: str) -> Volume:
        """Probabilities (H, W, D, C) of the student's classes, on the grid of the files."""


class PredictionFolder:
    """A folder with the probabilities of the student's classes for each case. It may have one of four layouts:

    - masks ``<case>.nii.gz``, if a confidence is given;
    - nnU-Net v2's ``<case>.npz`` and ``<case>.pkl`` (:mod:`custom_components.predictions.nnunet`);
    - ``<case>_<class>.nii.gz``, a file for each class, as ``python -m custom_components.bundle predict`` writes them;
    - ``<case>.nii.gz`` with the classes on the fourth axis.

    Args:
        folder: the folder with the files of all cases.
        cases: the names of the cases to read.
        classes: the names of the student's classes, the background first.
        channels: the channels of the folder for each class, see :class:`ClassMap`.
        confidence: the probability that a label of a mask is right, see :class:`Masks`.

    Raises:
        InputError: if there is no such folder, if a case lacks a file, or if the table or the confidence is wrong.
    """

    def __init__(
        self,
        folder: str | Path,
        cases: Sequence[str],
        classes: Sequence[str],
        channels: Mapping[str, Any] | None = None,
        confidence: float | None = None,
    ) -> None:
        self.path = Path(folder)
        if not self.path.is_dir():
            raise InputError("no such folder of predictions", folder, "give the folder that holds a file for each case")
        self.record = read_record(self.path)
        self._layout = _layout(self.path, cases, ClassMap(tuple(classes), channels, self.path), self.record, confidence)
        # Everything that the probabilities depend on, except the files.
        self.settings = {
            "layout": type(self._layout).__name__,
            "classes": list(classes),
            "channels": channels and {name: channels[name] for name in sorted(channels)},
            "confidence": confidence,
        }
        self._require(cases)

    @property
    def name(self) -> str:
        """The name of the model, or of the folder."""
        return self.record.name if self.record else self.path.resolve().name

    def files(self, case: str) -> list[Path]:
        """The files of a case."""
        return self._layout.files(case)

    def _require(self, cases: Sequence[str]) -> None:
        missing = [case for case in cases if not all(file.is_file() for file in self.files(case))]
        if not missing:
            return
        names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        example = next(file.name for file in self.files(missing[0]) if not file.is_file())
        raise InputError(
            f"holds predictions of {len(cases) - len(missing)} of {len(cases)} cases, {len(missing)} are missing "
            f"({names}; looked for {example})",
            self.path,
            "predict these too, or take them out of the datalist",
        )

    def read(self, case: str, image: Path, image_sha256: str | None = None) -> MetaTensor:
        """The probabilities (C, H, W, D) of a case on the grid of its image, float32; they sum to 1.

        If the axes of a prediction only have another order or direction, they are reordered and flipped. A prediction
        on another grid is resampled linearly. If a prediction was moved but has the image's header, this method cannot
        notice it.

        Args:
            case: name of the case.
            image: file of the case's image.
            image_sha256: SHA-256 of the image's file, if the caller knows it.

        Raises:
            InputError: if the prediction is damaged, or if its record or its grid shows that it is of another image.
        """
        made_of = self.record.images.get(case) if self.record else None
        if made_of and made_of != (image_sha256 or file_sha256(image)):
            raise InputError(f"{case} was predicted from another file than {image}", self.path / FILE, "predict again")
        own = self._layout.read(case)
        return on_image_grid(read_volume(image), own, self.files(case)[0])


def _layout(folder: Path, cases: Sequence[str], classes: ClassMap, record: Any, confidence: float | None) -> Layout:
    if confidence is not None:
        return Masks(folder, classes, confidence, dataset_labels(folder))
    if any((folder / f"{case}.npz").is_file() for case in cases):
        return NnUNetFolder(folder, classes)
    if record or not any(nifti_file(folder, case).is_file() for case in cases):
        return ClassFiles(folder, classes, (record.classes or None) if record else None)
    return FourD(folder, classes)


def on_image_grid(image: Volume, own: Volume, file: Path) -> MetaTensor:
    """Probabilities (C, H, W, D) on the grid of an image, from (H, W, D, C) on their own grid.

    Raises:
        InputError: if the probabilities do not cover the image: the centre of a voxel of the image lies more than a
            fifth of a voxel (:data:`GRID_TOLERANCE`) outside of their volume.
    """
    own = on_grid_of(image, own)
    probs = torch.from_numpy(np.ascontiguousarray(own.voxels.transpose(3, 0, 1, 2)))
    affine = torch.from_numpy(image.affine)
    if grid_difference(image, own) is not None:
        _require_cover(image, own, file)
        resample = SpatialResample(mode="bilinear", padding_mode="border", align_corners=False, dtype=np.float64)
        moved = resample(MetaTensor(probs, affine=torch.from_numpy(own.affine)), affine, image.voxels.shape)
        probs = moved.as_tensor()
    return MetaTensor(normalised(probs), affine=affine)


def _require_cover(image: Volume, own: Volume, file: Path) -> None:
    to_own = np.linalg.inv(own.affine) @ image.affine
    places = (to_own @ corners(image))[:3]  # the image is a box, so its corners are its farthest voxels
    last = np.array(own.voxels.shape[:3])[:, None] - 1
    margin = 0.5 + GRID_TOLERANCE
    outside = np.maximum(-places, places - last).max(axis=1)
    if (outside <= margin).all():
        return
    problem = grid_difference(image, own)
    shift = own.affine[:3, 3] - image.affine[:3, 3]
    is_shifted = own.voxels.shape[:3] == image.voxels.shape and np.allclose(
        own.affine[:3, :3], image.affine[:3, :3], rtol=1e-2, atol=1e-3
    )
    if is_shifted:
        voxels = np.linalg.solve(image.affine[:3, :3], shift)
        told = ", ".join(f"{length:+g}" if length else "0" for length in voxels.round(2).tolist())
        problem = f"{problem}: it is shifted by ({told}) voxels along the image's axes"
    else:
        beyond = float(((outside - 0.5) * np.linalg.norm(own.affine[:3, :3], axis=0)).max())
        problem = f"{problem}, and does not cover it: the image goes up to {beyond:.3g} mm beyond its voxels"
    raise InputError(problem, file, "predict this image, or write the prediction with the image's geometry")


def normalised(probs: torch.Tensor) -> torch.Tensor:
    """Make probabilities (C, ...) sum to 1 again after an interpolation.

    A voxel whose probabilities sum to one half or less becomes background."""
    probs = probs.float().clamp(min=0)
    total = probs.sum(dim=0)
    known = total > 0.5
    background = torch.zeros_like(probs)
    background[0] = 1
    return torch.where(known, probs / torch.where(known, total, 1), background)
