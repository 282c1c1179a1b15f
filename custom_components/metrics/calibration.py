"""The calibration of a model: the expected calibration error and the bins of a reliability plot.

Guo et al., On Calibration of Modern Neural Networks, 2017. Only voxels near the prostate count. Nearly all voxels of a
pelvis are background that every model recognises, and they would hide the errors.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

BINS = 15
MARGIN_MM = 10.0


class Calibration:
    """Collects cases; all voxels near a prostate have the same weight."""

    def __init__(self) -> None:
        self.voxels, self.probability, self.prostate = np.zeros((3, BINS))

    def add(self, probs: ArrayLike, truth: ArrayLike, spacing_mm: ArrayLike) -> None:
        """Add one case.

        Args:
            probs: probability of prostate in each voxel, (H, W, D).
            truth: 0/1 mask (H, W, D); a case without prostate is not counted.
            spacing_mm: voxel size in mm along H, W, D.
        """
        probs, truth = np.asarray(probs), np.asarray(truth) > 0
        if not truth.any():
            return
        near = _near(truth, np.asarray(spacing_mm, dtype=float))
        probs, truth = probs[near].ravel(), truth[near].ravel()
        bins = np.minimum((probs * BINS).astype(int), BINS - 1)
        self.voxels += np.bincount(bins, minlength=BINS)
        self.probability += np.bincount(bins, probs, minlength=BINS)
        self.prostate += np.bincount(bins, truth, minlength=BINS)

    def summary(self) -> dict[str, Any]:
        """The calibration of all cases: ``ece`` and ``bins``.

        ``ece`` is the mean difference between probability and frequency over the voxels. ``bins`` lists the bins with
        voxels, of 15 bins of equal width, each with its number of ``voxels``, mean ``probability``, and ``frequency``,
        the share of voxels that are prostate.
        """
        filled = self.voxels > 0
        voxels = self.voxels[filled]
        probability, frequency = self.probability[filled] / voxels, self.prostate[filled] / voxels
        error = np.abs(probability - frequency)
        return {
            "ece": float((error * voxels).sum() / max(1, voxels.sum())),
            "bins": [
                {"voxels": int(count), "probability": round(float(sure), 6), "frequency": round(float(true), 6)}
                for count, sure, true in zip(voxels, probability, frequency, strict=True)
            ],
        }


def join_calibrations(summaries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The calibration of several groups of cases together, from their :meth:`Calibration.summary`.

    >>> one = {"ece": 0.1, "bins": [{"voxels": 1, "probability": 0.5, "frequency": 0.6}]}
    >>> other = {"ece": 0.1, "bins": [{"voxels": 3, "probability": 0.5, "frequency": 0.4}]}
    >>> join_calibrations([one, other])["bins"]
    [{'voxels': 4, 'probability': 0.5, 'frequency': 0.45}]
    """
    joined = Calibration()
    for summary in summaries:
        for one in summary["bins"]:
            place = min(int(one["probability"] * BINS), BINS - 1)
            joined.voxels[place] += one["voxels"]
            joined.probability[place] += one["voxels"] * one["probability"]
            joined.prostate[place] += one["voxels"] * one["frequency"]
    return joined.summary()


def _near(truth: np.ndarray, spacing_mm: np.ndarray) -> tuple[slice, ...]:
    """The bounding box of the prostate with a margin on every side."""
    places = np.argwhere(truth)
    margin = np.ceil(MARGIN_MM / spacing_mm).astype(int)
    low, high = np.maximum(places.min(axis=0) - margin, 0), places.max(axis=0) + margin + 1
    return tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
