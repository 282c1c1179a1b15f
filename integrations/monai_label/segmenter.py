"""A bundle's own inference on one volume, as ``monai.bundle run`` does it, and the entropy of its probabilities."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import torch

from custom_components.bundle import weights_file
from custom_components.bundle.segmenting import Segmenting, open_bundle
from custom_components.bundle.weights import require_weights
from custom_components.data import check_volumes
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json, sha256_of, write_json
from custom_components.foundation.nifti import voxel_mm3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segmentation:
    """The segmentation of a volume by a bundle.

    Attributes:
        mask: NIfTI, uint8 0/1 on the image's grid; the caller removes it.
        gland_ml: volume of the mask.
        entropy_bits: entropy of the prostate's probability, mean over all voxels; 1 bit is a probability of 0.5.
        warning: one line if the window that the bundle sees may have cut the gland, else None.
    """

    mask: Path
    gland_ml: float
    entropy_bits: float
    warning: str | None


class Segmenter:
    """Runs the ``inference.json`` of bundles with their present weights, and remembers entropies.

    Args:
        cache_dir: folder of the entropies. It gets one small file, without pixels, for each image and each version of
            the weights.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir

    def segment(self, bundle: Path, image: str | Path, device: str | None = None) -> Segmentation:
        """Segment one NIfTI volume, by default on a GPU if there is one.

        Raises:
            InputError: if the bundle is not trained, its weights are of another network, or the volume is missing,
                damaged, not 3-D, or holds NaN.
        """
        remembered = self._file(bundle, image)
        check_volumes([image])
        with tempfile.TemporaryDirectory() as folder:
            said = Segmenting(open_bundle(bundle), Path(folder), device, keep_probs=True)(image)
            with tempfile.NamedTemporaryFile(suffix=".nii.gz", delete=False) as mask:
                mask.write(said.mask.read_bytes())
        if said.warning:
            logger.warning(f"{image}: {said.warning}")
        entropy_bits = _mean_entropy(said.probs)
        write_json(remembered, {"entropy_bits": entropy_bits})
        return Segmentation(Path(mask.name), _volume_ml(mask.name), entropy_bits, said.warning)

    def entropy(self, bundle: Path, image: str | Path) -> float:
        """Mean entropy in bits of the bundle's probabilities; computed once for an image and the bundle's weights.

        Raises:
            InputError: as :meth:`segment`.
        """
        remembered = self._file(bundle, image)
        if not remembered.is_file():
            self.segment(bundle, image).mask.unlink()
        return read_json(remembered)["entropy_bits"]

    def _file(self, bundle: Path, image: str | Path) -> Path:
        weights = require_weights(weights_file(bundle))
        if not Path(image).is_file():
            raise InputError(f"{image}: no such file")
        return self._cache_dir / f"{sha256_of([file_sha256(image), file_sha256(weights)])}.json"


def _mean_entropy(probs: torch.Tensor) -> float:
    """Mean over the voxels of the entropy in bits of probabilities (C, H, W, D)."""
    return float(-(torch.xlogy(probs, probs).sum(dim=0) / np.log(2)).mean())


def _volume_ml(mask: str) -> float:
    volume = nibabel.load(mask)
    return float(np.count_nonzero(volume.dataobj) * voxel_mm3(volume.affine) / 1000)
