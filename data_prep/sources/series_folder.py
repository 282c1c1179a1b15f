"""Reading of a folder with the DICOM files of one patient, for layouts with such a folder for each patient."""

from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume
from data_prep.dicom import SeriesChoice, find_series, read_series, select_series


def read_series_folder(folder: Path) -> Volume:
    """Read the folder's only series or, if there are several, the axial T2w series.

    Returns:
        Voxels (columns, rows, slices) and their affine, as :func:`data_prep.dicom.read_series` gives them.

    Raises:
        InputError: if the folder holds no series, if it holds several series of which not exactly one is axial T2w, or
            if a file cannot be read.
    """
    series = find_series(folder)
    if len(series) == 1:
        return read_series(series[0])
    selection = select_series(series, SeriesChoice())
    if selection.picked is None:
        raise InputError(selection.problem, folder, advice="keep the axial T2w series alone")
    return read_series(selection.picked)
