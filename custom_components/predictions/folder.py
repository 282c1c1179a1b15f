"""A folder of predictions: a teacher that another program has run already, read on the grids of the images."""

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
    """A way in which the predictions of a case are kept."""

    def files(self, case: str) -> list[Path]:
        """The files of a case, whether they are there or not."""

    def read(self, case: str) -> Volume:
        """Probabilities (H, W, D, C) of the student's classes, on the grid of the files."""


class PredictionFolder:
    """Probabilities of the student's classes for each case, from one of four layouts, which is found by itself:

    - masks ``<case>.nii.gz``, if a confidence is given;
    - nnU-Net v2's ``<case>.npz`` and ``<case>.pkl`` (:mod:`custom_components.predictions.nnunet`);
    - ``<case>_<class>.nii.gz``, a file for each class, as ``python -m custom_components.bundle predict`` writes them;
    - ``<case>.nii.gz`` with the classes on the fourth axis.

    Args:
        folder: holds the files of all cases.
        cases: the names of the cases that are to be read.
        classes: the names of the student's classes, the background first.
        channels: which channels of the folder make which class, see :class:`ClassMap`.
        confidence: of masks, see :class:`Masks`.

    Raises:
        InputError: if there is no such folder, if it lacks a case, or if the table or the confidence is wrong.
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

        A prediction whose axes only point in other directions is turned; one on another grid is resampled (linear). A
        prediction that was moved against its image in the same header cannot be seen here.

        Args:
            case: name of the case.
            image: its image.
            image_sha256: SHA-256 of the image's file, if it is known.

        Raises:
            InputError: if the prediction is damaged, or of another image as its record or its grid tells.
        """
        made_of = self.record.images.get(case) if self.record else None
        if made_of and made_of != (image_sha256 or file_sha256(image)):
            raise InputError(f"{case} was predicted from another file than {image}", self.path / FILE, "predict again")
        own = self._layout.read(case)
        return on_image_grid(read_volume(image), own, self.files(case)[0])


def _layout(folder: Path, cases: Sequence[str], classes: ClassMap, record: Any, confidence: float | None) -> Layout:
    names = (record.classes or None) if record else None
    if confidence is not None:
        return Masks(folder, classes, confidence, dataset_labels(folder))
    if any((folder / f"{case}.npz").is_file() for case in cases):
        return NnUNetFolder(folder, classes)
    if record or not any(nifti_file(folder, case).is_file() for case in cases):
        return ClassFiles(folder, classes, names)
    return FourD(folder, classes, names)


def on_image_grid(image: Volume, own: Volume, file: Path) -> MetaTensor:
    """Probabilities (C, H, W, D) on the grid of an image, from (H, W, D, C) on their own grid.

    Raises:
        InputError: if their grid does not cover the image: if a voxel of the image has its centre more than a fifth of
            a voxel (:data:`GRID_TOLERANCE`) outside the volume of their voxels.
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
    """Probabilities (C, ...) that sum to 1 again after an interpolation; where there were none, it is background."""
    probs = probs.float().clamp(min=0)
    total = probs.sum(dim=0)
    known = total > 0.5
    background = torch.zeros_like(probs)
    background[0] = 1
    return torch.where(known, probs / torch.where(known, total, 1), background)
