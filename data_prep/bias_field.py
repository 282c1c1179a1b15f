"""N4 bias field correction: Tustison et al., "N4ITK: Improved N3 Bias Correction" (2010), by itk."""

import itk
import numpy as np

from custom_components.errors import InputError
from data_prep.volumes import Volume

# The field is smooth: fitted on about this many rows and columns, evaluated on all.
FITTED_MATRIX = 64
ITERATIONS_PER_LEVEL = 50
LEVELS = 4


def correct_bias_field(image: Volume) -> Volume:
    """The image without the slow change of brightness across the field of view, as float32.

    The field is fitted inside Otsu's foreground of a coarser copy, four levels of fifty iterations, and divided out of
    the full image.

    Args:
        image: intensities (H, W, D), not negative; of several slices.

    Raises:
        InputError: when N4 fails, or gives voxels that are NaN or infinite.
    """
    try:
        corrected = _correct(image)
    except RuntimeError as error:
        # The lines before the last say where in ITK's source it happened.
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
    # A filter that never ran: it only knows the full grid, on which it draws the field.
    field = _n4(full).ReconstructBiasField(fit.GetLogBiasFieldControlPointLattice())
    return Volume((voxels / np.exp(itk.array_from_image(field))).T, image.affine)


def _n4(image: itk.Image) -> itk.N4BiasFieldCorrectionImageFilter:
    kinds = (type(image), itk.Image[itk.UC, 3], type(image))
    n4 = itk.N4BiasFieldCorrectionImageFilter[kinds].New(image)
    n4.SetNumberOfFittingLevels(LEVELS)
    n4.SetMaximumNumberOfIterations([ITERATIONS_PER_LEVEL] * LEVELS)
    return n4
