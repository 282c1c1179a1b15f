"""Predictions on the grids of the prepared volumes, kept on disk so that a training reads one slice at a time."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Transform
from numpy.lib import format as npy
from torch import Tensor

from custom_components.data.describe import describe
from custom_components.data.file_hashes import FileHashes
from custom_components.data.prepared import PreparedCase, in_threads
from custom_components.distributed import share_out
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import replace_file, sha256_of
from custom_components.foundation.grids import grid_difference
from custom_components.foundation.nifti import Volume
from custom_components.predictions.folder import PredictionFolder, normalised

# The modules of MONAI whose transforms move voxels. All other transforms read a file or change intensities.
SPATIAL = ("monai.transforms.spatial.", "monai.transforms.croppad.")

# The file that keeps the hashes of the predictions' files.
HASHES = "hashes.json"


@dataclass(frozen=True)
class PreparedPrediction:
    """Probabilities of a case's slices in an ``.npy`` file (D, C, H, W), float16."""

    path: Path
    shape: tuple[int, int, int, int]
    offset: int

    @classmethod
    def open(cls, path: Path) -> "PreparedPrediction":
        stored = npy.open_memmap(path, mode="r")
        return cls(path, stored.shape, stored.offset)

    def slice(self, index: int) -> Tensor:
        """Read the probabilities (C, H, W) of one axial slice, float32, and no other part of the file."""
        count = int(np.prod(self.shape[1:]))
        flat = np.fromfile(self.path, np.float16, count=count, offset=self.offset + index * count * 2)
        return torch.from_numpy(flat.reshape(self.shape[1:])).float()


def spatial_part(preprocessing: Compose) -> Compose:
    """The transforms of a preprocessing that move voxels: orientation, spacing, size, crop and pad."""
    return Compose([transform for transform in preprocessing.transforms if _is_spatial(transform)])


def _is_spatial(transform: Transform) -> bool:
    return type(transform).__module__.startswith(SPATIAL)


def prepare_predictions(
    folder: PredictionFolder,
    cases: Sequence[PreparedCase],
    preprocessing: Compose,
    cache_dir: str | Path,
    progress: str = "predictions",
) -> dict[str, PreparedPrediction]:
    """Bring every prediction that is not prepared yet onto the grid of its prepared image. Processes share the work.

    Args:
        folder: the predictions.
        cases: the prepared cases.
        preprocessing: the preprocessing of these cases. Only its spatial transforms change a prediction, in the same
            way as they change the image.
        cache_dir: folder of the results; a file's name is a hash of the prediction, the image, and the settings.
        progress: text of the progress bar.

    Returns:
        The prepared prediction of each case, by the case's name.

    Raises:
        InputError: as :meth:`PredictionFolder.read`, or if the transforms do not lead to the prepared image's grid.
    """
    cache_dir = Path(cache_dir)
    spatial = spatial_part(preprocessing)
    recipe = sha256_of([folder.settings, describe(spatial.transforms)])
    hashes = FileHashes(cache_dir / HASHES)

    def prepare(case: PreparedCase) -> PreparedPrediction:
        parts = [case.sha256["image"], *(hashes.sha256(file) for file in folder.files(case.name)), recipe]
        path = cache_dir / f"{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:32]}.npy"
        if not path.is_file():
            _write(path, _prepared(folder, case, spatial))
        return PreparedPrediction.open(path)

    share_out(cases, lambda share: in_threads(prepare, share, progress), hashes.share)
    prepared = in_threads(prepare, cases, progress)
    hashes.save()
    return {case.name: prediction for case, prediction in zip(cases, prepared, strict=True)}


def _prepared(folder: PredictionFolder, case: PreparedCase, spatial: Compose) -> MetaTensor:
    """The probabilities (C, H, W, D) on the grid of the prepared image."""
    probs = folder.read(case.name, Path(case.info["image"]), case.sha256["image"])
    try:
        # A copy for each thread: MONAI does not promise that threads may share transforms.
        moved = copy.deepcopy(spatial)({"image": probs})["image"]
        image = nibabel.load(case.image.path)
        own = Volume(np.empty(moved.shape[1:], bool), moved.affine.cpu().numpy())
        problem = grid_difference(Volume(np.empty(case.image.shape, bool), image.affine), own)
        problem = problem and f"{problem} once both are prepared"
    except Exception as error:
        reason = str(error.__cause__ or error).strip().splitlines()
        problem = f"cannot be prepared ({reason[0] if reason else error!r})"
    if problem:
        raise InputError(
            f"the prediction of {case.name} {problem}",
            folder.path,
            "use only spatial and croppad transforms of MONAI that do not depend on the voxels' values",
        )
    return normalised(moved.as_tensor())


def _write(path: Path, probs: Tensor) -> None:
    array = probs.permute(3, 0, 1, 2).to(torch.float16).contiguous().numpy()
    replace_file(path, lambda partial: np.save(partial, array))
