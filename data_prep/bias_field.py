"""N4 bias field correction with itk: Tustison et al., "N4ITK: Improved N3 Bias Correction" (2010)."""

import itk
import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume

# The field is smooth, so it is fitted on about this number of rows and columns, and then evaluated on all.
FITTED_MATRIX = 64
ITERATIONS_PER_LEVEL = 50
LEVELS = 4


def require_n4() -> None:
    """Raise an InputError if the filters of itk are not installed; reading and writing needs no filters."""
    if not hasattr(itk, "N4BiasFieldCorrectionImageFilter"):
        advice = "type 'make n4', or 'pip install -r requirements-n4.txt', in the folder of the project"
        raise InputError("needs the package itk-filtering (0.7 GB)", "--n4", advice)


def correct_bias_field(image: Volume) -> Volume:
    """Remove the slow change of brightness across the field of view; the result is float32.

    The field is fitted in the foreground (Otsu's threshold) of a coarser copy, with four levels of fifty iterations.
    Then the full image is divided by the field.

    Args:
        image: intensities (H, W, D), not negative; several slices.

    Raises:
        InputError: if N4 fails, or gives voxels that are NaN or infinite.
    """
    try:
        corrected = _correct(image)
    except RuntimeError as error:
        # The last line holds the reason; the lines before it only name places in ITK's source.
        raise InputError(f"N4 fails ({str(error).splitlines()[-1]})") from error
    if not np.isfinite(corrected.voxels).all():
        raise InputError("N4 gives voxels that are NaN or infinite")
    return corrected


def _correct(image: Volume) -> Volume:
    voxels = np.ascontiguousarray(image.voxels.T, dtype=np.float32)
    full = itk.image_from_array(voxels)
    full.SetSpacing([float(size) for size in image.spacing_mm])
    factor = max(1, min(image.voxels.shape[:2]) // FITTED_MATRIX)
    coarse = itk.shrink_image_filter(full, shrink_factors=[factor, factor, 1])
    mask = itk.otsu_threshold_image_filter(
        coarse, inside_value=0, outside_value=1, ttype=(type(coarse), itk.Image[itk.UC, 3])
    )
    fit = _n4(coarse)
    fit.SetMaskImage(mask)
    fit.Update()
    # This filter is not run; it only knows the full grid, on which it evaluates the field.
    field = _n4(full).ReconstructBiasField(fit.GetLogBiasFieldControlPointLattice())
    return Volume((voxels / np.exp(itk.array_from_image(field))).T, image.affine)


def _n4(image: itk.Image) -> "itk.N4BiasFieldCorrectionImageFilter":
    kinds = (type(image), itk.Image[itk.UC, 3], type(image))
    n4 = itk.N4BiasFieldCorrectionImageFilter[kinds].New(image)
    n4.SetNumberOfFittingLevels(LEVELS)
    n4.SetMaximumNumberOfIterations([ITERATIONS_PER_LEVEL] * LEVELS)
    return n4
