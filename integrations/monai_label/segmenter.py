"""A bundle's own inference on one volume, as ``monai.bundle run`` does it, and how sure it is."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import torch
from monai.bundle import ConfigParser

from custom_components.data import check_volumes
from custom_components.errors import InputError
from custom_components.files import file_sha256, read_json, sha256_of, write_json
from custom_components.nifti import voxel_mm3
from custom_components.options import read_options_as_meant
from custom_components.window import border_warning

read_options_as_meant()


@dataclass(frozen=True)
class Segmentation:
    """What a bundle says of a volume.

    Attributes:
        mask: NIfTI, uint8 0/1 on the image's grid; the caller removes it.
        gland_ml: volume of the mask.
        entropy_bits: entropy of the prostate's probability, mean over all voxels: 0 is sure, 1 is a toss-up.
        warning: one line if the window that the bundle sees may have cut the gland, else None.
    """

    mask: Path
    gland_ml: float
    entropy_bits: float
    warning: str | None


class Segmenter:
    """Runs bundles' ``inference.json`` with the weights that are in the bundle now, and remembers entropies.

    Args:
        cache_dir: one small file for each image and each weights whose entropy was asked for; no pixels.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir

    def segment(self, bundle: Path, image: str | Path, device: str | None = None) -> Segmentation:
        """Segment one NIfTI volume, by default on a GPU where there is one.

        Raises:
            InputError: if the bundle is not trained, or the volume is missing, damaged, not 3-D, or holds NaN.
        """
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        remembered = self._file(bundle, image)
        check_volumes([image])
        config = ConfigParser()
        config.read_config(bundle / "configs" / "inference.json")
        with tempfile.TemporaryDirectory() as folder:
            config.update(
                {
                    "bundle_root": str(bundle),
                    "device": torch.device(device),
                    "datalist": [str(image)],
                    "predictions_dir": folder,
                    "keep_probs": True,
                }
            )
            evaluator = config.get_parsed_content("evaluator")
            evaluator.run()
            (written,) = Path(folder).iterdir()
            with tempfile.NamedTemporaryFile(suffix=".nii.gz", delete=False) as mask:
                mask.write(written.read_bytes())
        (output,) = evaluator.state.output
        entropy_bits = _mean_entropy(output["probs"])
        write_json(remembered, {"entropy_bits": entropy_bits})
        warning = border_warning(output["pred"], output["image"], config["field_of_view"])
        return Segmentation(Path(mask.name), _volume_ml(mask.name), entropy_bits, warning)

    def entropy(self, bundle: Path, image: str | Path) -> float:
        """Mean entropy in bits of the bundle's probabilities; computed once for an image and the bundle's weights.

        Raises:
            InputError: as :meth:`segment`.
        """
        remembered = self._file(bundle, image)
        if not remembered.is_file():
            self.segment(bundle, image).mask.unlink()
        return read_json(remembered)["entropy_bits"]

    @staticmethod
    def require_trained(bundle: Path) -> Path:
        """The bundle's weights.

        Raises:
            InputError: if there are none.
        """
        weights = bundle / "models" / "model.pt"
        if not weights.is_file():
            raise InputError(f"{weights}: no such checkpoint; train the bundle first")
        return weights

    def _file(self, bundle: Path, image: str | Path) -> Path:
        weights = self.require_trained(bundle)
        if not Path(image).is_file():
            raise InputError(f"{image}: no such file")
        return self._cache_dir / f"{sha256_of([file_sha256(image), file_sha256(weights)])}.json"


def _mean_entropy(probs: torch.Tensor) -> float:
    """Of probabilities (C, H, W, D)."""
    return float(-(torch.xlogy(probs, probs).sum(dim=0) / np.log(2)).mean())


def _volume_ml(mask: str) -> float:
    volume = nibabel.load(mask)
    return float(np.count_nonzero(volume.dataobj) * voxel_mm3(volume.affine) / 1000)
