"""Writing of masks: a mask is written completely or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai import transforms
from monai.config import KeysCollection

from custom_components.foundation.nifti import volume_name
from custom_components.foundation.volumes import write_mask


class SaveImaged(transforms.SaveImaged):
    """Writes masks (1, H, W, D) under the names of their images; replaces MONAI's transform, whose name hosts look for.

    MONAI's transform has four faults: on a full disk it leaves an empty mask and prints a hundred lines, it calls the
    mask of ``A.NII.GZ`` ``A.NII.nii.gz``, and it removes the last axis of a volume with one slice.

    Args:
        keys: keys of the masks, whose metadata hold the affine and the image's file name.
        output_dir: folder of the files ``<name of the image>.nii.gz``; made if missing.
    """

    def __init__(self, keys: KeysCollection, output_dir: str | Path) -> None:
        super().__init__(keys, output_dir=output_dir)
        self._folder = Path(output_dir)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write the masks as uint8 NIfTI and return the data unchanged.

        Raises:
            WriteError: if a file cannot be written; the former file is kept.
        """
        for key in self.key_iterator(data):
            mask = data[key]
            name = volume_name(os.fspath(mask.meta["filename_or_obj"]))
            write_mask(self._folder / f"{name}.nii.gz", mask[0].cpu().numpy(), mask.affine.cpu().numpy())
        return dict(data)
