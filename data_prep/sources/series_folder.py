"""A folder that holds one patient's DICOM, for layouts whose folders say what lies in them."""

from pathlib import Path

from custom_components.errors import InputError
from custom_components.nifti import Volume
from data_prep.dicom import SeriesChoice, find_series, read_series, select_series


def read_series_folder(folder: Path) -> Volume:
    """Read the folder's only series, or the axial T2w one of several.

    Raises:
        InputError: when there is no series, none or more than one is axial T2w, or it cannot be read.
    """
    series = find_series(folder)
    if len(series) == 1:
        return read_series(series[0])
    selection = select_series(series, SeriesChoice())
    if selection.picked is None:
        raise InputError(selection.problem, folder, advice="keep the axial T2w series alone")
    return read_series(selection.picked)
