"""Datasets of training slices and whole volumes, made from a datalist of volumes."""

from custom_components.data.datalist import load_datalist
from custom_components.data.datasets import SliceDataset, VolumeDataset, require_slices
from custom_components.data.mixed_sampler import MixedSampler
from custom_components.data.prepared import PreparedCase, prepare_cases
from custom_components.data.preparing import prepare_elsewhere, share_of, worker_processes
from custom_components.data.random_transforms import PrepareSlices, RandomTransforms
from custom_components.data.save_masks import SaveImaged
from custom_components.data.volumes import check_cases, volumes_to_score, volumes_to_segment
from custom_components.foundation.volumes import check_volumes, list_volumes

__all__ = [
    "MixedSampler",
    "PrepareSlices",
    "PreparedCase",
    "RandomTransforms",
    "SaveImaged",
    "SliceDataset",
    "VolumeDataset",
    "check_cases",
    "check_volumes",
    "list_volumes",
    "load_datalist",
    "prepare_cases",
    "prepare_elsewhere",
    "require_slices",
    "share_of",
    "volumes_to_score",
    "volumes_to_segment",
    "worker_processes",
]
