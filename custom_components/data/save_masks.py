"""The writing of masks: each one whole, or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai import transforms
from monai.config import KeysCollection

from custom_components.files import replace_file
from custom_components.nifti import volume_name


class SaveImaged(transforms.SaveImaged):
    """MONAI's transform of this name, by which hosts know it, for masks (1, H, W, D) named after their images.

    MONAI's own leaves an empty mask on a full disk, tells of it in a hundred lines, names the mask of ``A.NII.GZ``
    ``A.NII.nii.gz``, and takes away the last axis of a volume of one slice.

    Args:
        keys: of the masks, with the affine and the image's file name in their metadata.
        output_dir: where ``<name of the image>.nii.gz`` goes; made if missing.
    """

    def __init__(self, keys: KeysCollection, output_dir: str | Path) -> None:
        super().__init__(keys, output_dir=output_dir)
        self._folder = Path(output_dir)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write the masks as uint8 NIfTI; the data stay as they are.

        Raises:
            WriteError: if a file cannot be written; what was there before is kept.
        """
        for key in self.key_iterator(data):
            mask = data[key]
            affine = mask.affine.cpu().numpy()
            image = nibabel.Nifti1Image(mask[0].cpu().numpy().astype(np.uint8), affine)
            image.set_sform(affine, code="scanner")
            image.set_qform(affine, code="scanner")
            name = volume_name(os.fspath(mask.meta["filename_or_obj"]))
            replace_file(self._folder / f"{name}.nii.gz", image.to_filename)
        return dict(data)
