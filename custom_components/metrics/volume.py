"""Scores of whole volumes, in one patient's millimetres.

Usual metrics are too favourable in two ways, which this module avoids. First, slice-wise Dice skips the slices without
prostate, so a false alarm there costs nothing. Therefore scores are per volume. Second, MONAI's aggregation drops the
cases without a distance, so a missed prostate does not change the mean HD95 (Project-MONAI/MONAI#9095). Therefore such
a case gets the diagonal of its image, the largest possible distance, and the number of missed prostates is reported
next to the mean.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from math import dist
from typing import Any

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance
from numpy.typing import ArrayLike

from custom_components.foundation.nifti import voxel_mm3

SCORES = ("dice", "hd95_mm", "asd_mm")


def volume_scores(prediction: ArrayLike, truth: ArrayLike, spacing_mm: Sequence[float]) -> dict[str, float | bool]:
    """Scores one case.

    Args:
        prediction: 0/1 mask (H, W, D).
        truth: 0/1 mask (H, W, D).
        spacing_mm: voxel size in mm along H, W, D.

    Returns:
        ``dice``; ``hd95_mm``, the larger of the two directed 95th percentiles of the surface distances; ``asd_mm``, the
        mean of the surface distances in both directions; ``missed``, true if there is a prostate and the prediction has
        no voxel in common with it; the volumes ``truth_ml`` and ``prediction_ml``. If only one of the two masks is
        empty, there is no surface distance, and the distances are the image's diagonal in mm. If both masks are empty,
        Dice is 1 and the distances are 0.

    Raises:
        ValueError: When the masks are not 3-D, differ in shape, hold other values than 0 and 1, or when ``spacing_mm``
            is not three positive numbers.

    >>> truth = np.zeros((4, 4, 2))
    >>> truth[1:3, 1:3] = 1
    >>> scores = volume_scores(truth, truth, spacing_mm=(5, 5, 10))
    >>> scores["dice"], scores["hd95_mm"], scores["missed"], round(scores["truth_ml"], 3)
    (1.0, 0.0, False, 2.0)
    """
    prediction, truth = _mask(prediction, "prediction"), _mask(truth, "truth")
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and truth {tuple(truth.shape)} differ in shape")
    spacing_mm = [float(length) for length in spacing_mm]
    if len(spacing_mm) != 3 or not all(length > 0 for length in spacing_mm):
        raise ValueError(f"spacing_mm must be three positive lengths, got {spacing_mm}")

    has_truth, has_prediction = bool(truth.any()), bool(prediction.any())
    if has_truth and has_prediction:
        dice, hd95_mm, asd_mm = _overlap_and_distances(prediction, truth, spacing_mm)
    elif has_truth or has_prediction:
        diagonal_mm = dist(np.multiply(truth.shape, spacing_mm), (0, 0, 0))
        dice, hd95_mm, asd_mm = 0.0, diagonal_mm, diagonal_mm
    else:
        dice, hd95_mm, asd_mm = 1.0, 0.0, 0.0
    ml_per_voxel = voxel_mm3(np.diag([*spacing_mm, 1])) / 1000
    return {
        "dice": dice,
        "hd95_mm": hd95_mm,
        "asd_mm": asd_mm,
        "missed": has_truth and not bool((prediction & truth).any()),
        "truth_ml": int(truth.sum()) * ml_per_voxel,
        "prediction_ml": int(prediction.sum()) * ml_per_voxel,
    }


def summarise(cases: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarises scored cases. Each case is a result of ``volume_scores`` with its ``site``.

    Returns:
        ``{"all": S, "sites": {site: S}}``, where S holds ``n``, the mean and standard deviation over the cases of each
        score (``dice_mean``, ``dice_std``, ``hd95_mm_mean``, ...), and the number of cases ``missed``. The standard
        deviation divides by n, not by n - 1, so a single case has 0.

    Raises:
        ValueError: When there are no cases.

    >>> found = {"dice": 0.8, "hd95_mm": 4.0, "asd_mm": 1.0, "missed": False, "site": "BMC"}
    >>> lost = {"dice": 0.0, "hd95_mm": 90.0, "asd_mm": 90.0, "missed": True, "site": "HK"}
    >>> summary = summarise([found, lost])
    >>> summary["all"]["dice_mean"], summary["all"]["missed"], summary["sites"]["BMC"]["hd95_mm_mean"]
    (0.4, 1, 4.0)
    """
    cases = list(cases)
    if not cases:
        raise ValueError("there are no cases to summarise")
    sites = sorted({case["site"] for case in cases})
    return {
        "all": _summary(cases),
        "sites": {site: _summary([case for case in cases if case["site"] == site]) for site in sites},
    }


def _summary(cases: list[Mapping[str, Any]]) -> dict[str, float | int]:
    summary: dict[str, float | int] = {"n": len(cases)}
    for score in SCORES:
        values = [case[score] for case in cases]
        summary[f"{score}_mean"] = float(np.mean(values))
        summary[f"{score}_std"] = float(np.std(values))
    summary["missed"] = sum(bool(case["missed"]) for case in cases)
    return summary


def _mask(mask: ArrayLike, name: str) -> torch.Tensor:
    values = torch.from_numpy(np.ascontiguousarray(mask.cpu() if isinstance(mask, torch.Tensor) else mask))
    if values.ndim != 3:
        raise ValueError(f"{name} must have the shape (H, W, D), got {tuple(values.shape)}")
    mask = values != 0
    if not torch.equal(values, mask.to(values.dtype)):
        raise ValueError(f"{name} must be a mask of 0 and 1, got values from {values.min()} to {values.max()}")
    return mask


def _overlap_and_distances(
    prediction: torch.Tensor, truth: torch.Tensor, spacing_mm: Sequence[float]
) -> tuple[float, float, float]:
    """Dice, HD95 and ASD (both in mm) of two masks (H, W, D) that are not empty."""
    pair = {"y_pred": prediction[None, None], "y": truth[None, None], "include_background": True}
    with warnings.catch_warnings():
        # MONAI 1.6 warns about an argument that only MONAI itself passes.
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy", category=FutureWarning)
        hd95_mm = compute_hausdorff_distance(**pair, percentile=95, spacing=spacing_mm)
        asd_mm = compute_average_surface_distance(**pair, symmetric=True, spacing=spacing_mm)
    return compute_dice(**pair).item(), hd95_mm.item(), asd_mm.item()
