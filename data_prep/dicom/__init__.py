"""DICOM studies: find the series, pick the axial T2w series, read it as a volume.

The masks drawn on a series are read by :mod:`data_prep.dicom.masks`, which needs more libraries.
"""

from data_prep.dicom.pixels import read_series
from data_prep.dicom.selection import Selection, SeriesChoice, pick_series, select_series
from data_prep.dicom.series import Scan, Series, Study, find_series, scan_folder, scan_tree

__all__ = [
    "Scan",
    "Selection",
    "Series",
    "SeriesChoice",
    "Study",
    "find_series",
    "pick_series",
    "read_series",
    "scan_folder",
    "scan_tree",
    "select_series",
]
