"""Reading of NRRD and MetaImage with itk."""

from pathlib import Path

import itk
import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import require_readable
from custom_components.foundation.grids import LPS_TO_RAS
from custom_components.foundation.nifti import Volume, require_sane_affine, require_sane_shape
from custom_components.foundation.terminal import is_text


def read_itk_volume(path: Path) -> Volume:
    """Read a scalar 3-D ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` (with its ``.raw`` or ``.zraw``) in its stored type.

    Raises:
        InputError: if the file is missing, truncated, of another kind, or not one upright 3-D scalar volume.
    """
    require_readable(path)
    if not is_text(str(path)):
        raise InputError("has a name that is not UTF-8, which itk cannot open", path, advice="rename it, or its folder")
    try:
        header = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
        if header is None:
            raise InputError("is no image that itk reads, or is cut off", path, advice="copy or export it again")
        header.SetFileName(str(path))
        header.ReadImageInformation()
        shape = tuple(int(header.GetDimensions(axis)) for axis in range(header.GetNumberOfDimensions()))
        require_sane_shape(path, shape)
        if len(shape) != 3 or header.GetNumberOfComponents() != 1:
            problem = f"has shape {shape} and {header.GetNumberOfComponents()} values a voxel"
            raise InputError(problem, path, advice="export one 3-D volume of grey values")
        image = itk.imread(str(path))
    except InputError:
        raise
    except (RuntimeError, TypeError, KeyError) as error:
        reason = [line for line in str(error).splitlines() if line.strip()][-1].removeprefix("Reason: ")
        raise InputError("is truncated or damaged", path, advice="copy or export it again", detail=reason) from error
    affine = _affine(image)
    require_sane_affine(path, affine)
    return Volume(itk.array_from_image(image).T, affine)


def _affine(image: itk.Image) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = itk.array_from_matrix(image.GetDirection()) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ affine
