"""DICOM studies: find the series, pick the axial T2w series, read it as a volume, and read the masks drawn on it."""

from data_prep.dicom.masks import Mask, MaskFile, choose_mask, read_mask, read_mask_file
from data_prep.dicom.pixels import read_series
from data_prep.dicom.selection import Selection, SeriesChoice, select_series
from data_prep.dicom.series import Scan, Series, Study, find_series, scan_folder, scan_tree

__all__ = [
    "Mask",
    "MaskFile",
    "Scan",
    "Selection",
    "Series",
    "SeriesChoice",
    "Study",
    "choose_mask",
    "find_series",
    "read_mask",
    "read_mask_file",
    "read_series",
    "scan_folder",
    "scan_tree",
    "select_series",
]
