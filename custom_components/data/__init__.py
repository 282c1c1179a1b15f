"""From a datalist of volumes to training slices."""

from custom_components.data.datalist import load_datalist
from custom_components.data.datasets import SliceDataset, VolumeDataset
from custom_components.data.prepared import PreparedCase, prepare_cases

__all__ = ["PreparedCase", "SliceDataset", "VolumeDataset", "load_datalist", "prepare_cases"]
