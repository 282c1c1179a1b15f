"""Write the files of a segmented series: SEG, report and picture. MONAI Deploy and the runner use this module."""

import math
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume, voxel_mm3
from data_prep.dicom.derived import deriving_from, read_source_images
from data_prep.dicom.picture import outlined_slices
from data_prep.dicom.results import Algorithm, prostate_seg, volume_report
from data_prep.dicom.series import Series

MM3_PER_ML = 1000
SEG_FILE, REPORT_FILE, PICTURE_FILE = "prostate_seg.dcm", "prostate_report.dcm", "prostate.png"


def write_results(
    mask: np.ndarray,
    series: Series,
    image: Volume,
    algorithm: Algorithm,
    psa_ng_per_ml: float | None,
    folder: Path,
) -> str:
    """Write SEG, report and picture; if one cannot be written, none is written.

    Args:
        mask: (columns, rows, slices), with the values 0 and 1, on the image's grid.
        series: the segmented series.
        image: the series' voxels, from ``read_series``.
        algorithm: the bundle that drew the mask.
        psa_ng_per_ml: prostate specific antigen in serum, or None.
        folder: the folder of the three files; it is made if it is missing.

    Returns:
        One line that tells the prostate's volume and the folder of the files.

    Raises:
        InputError: if the mask is empty, or if the series' headers do not allow a result.
        OSError: if a file cannot be written.
    """
    if not mask.any():
        raise InputError(f"{series.files[0]}: {algorithm.name} found no prostate in its series; nothing was written")
    volume_ml = float(mask.sum()) * voxel_mm3(image.affine) / MM3_PER_ML
    with deriving_from(series):
        sources = read_source_images(series)
        seg = prostate_seg(mask, series, sources, algorithm)
        report = volume_report(volume_ml, psa_ng_per_ml, seg, sources, algorithm)

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial_", dir=folder) as partial:
        seg.save_as(Path(partial, SEG_FILE))
        report.save_as(Path(partial, REPORT_FILE))
        Image.fromarray(outlined_slices(image.voxels, mask)).save(Path(partial, PICTURE_FILE), compress_level=1)
        for path in sorted(Path(partial).iterdir()):
            os.replace(path, folder / path.name)
    density = "" if psa_ng_per_ml is None else f", PSA density {psa_ng_per_ml / volume_ml:.3f} ng/ml/cm3"
    return f"prostate {volume_ml:.1f} ml{density}; SEG, report and picture in {folder}"


def read_psa(text: str, name: str) -> float:
    """The serum PSA in ng/ml from an option's text.

    Args:
        text: the value as the user gave it.
        name: the option's name, for the message, such as ``PSA=``.

    Raises:
        InputError: if the text is not a positive number.
    """
    try:
        psa = float(text)
    except ValueError:
        psa = math.nan
    if not 0 < psa < math.inf:
        raise InputError(f"{name}{text}: not a positive number; give the serum PSA in ng/ml, such as {name}6.5")
    return psa
