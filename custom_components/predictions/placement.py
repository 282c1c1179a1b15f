"""A search for predictions that were moved or mirrored against their images by the program that wrote them.

A shift that the header shows is found when a prediction is read. This module finds a shift that no header shows, with
the masks of labelled cases. It cannot find a shift by less than a pixel of the prepared images, a shift of single
cases, or a shift in a folder with fewer than three masks.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from custom_components.data.prepared import PreparedCase
from custom_components.predictions.prepared import PreparedPrediction

FEWEST_CASES, MOST_CASES = 3, 50
# The least relative gain. A smaller gain is no sign of a shift: a good teacher may err by half a pixel in every case.
LEAST_GAIN = 0.02
AXES = (("left", "right"), ("back", "front"), ("foot", "head"))


def misplacement(predictions: Mapping[str, PreparedPrediction], cases: Sequence[PreparedCase]) -> str | None:
    """The way in which all predictions seem to be moved or mirrored, in words; None if there is none.

    For each labelled case, this function compares the prostate's mean probability within the mask before and after a
    change of the prediction: a shift by one pixel or slice, or a mirroring. The result names a change that is better in
    every case and better by 2 % in the mean.

    Args:
        predictions: the prediction of each case, by the case's name.
        cases: the prepared cases; at most 50 of those with a mask are used.
    """
    labelled = [case for case in cases if case.label is not None][:MOST_CASES]
    gains = [gain for case in labelled if (gain := _gains(predictions[case.name], case)) is not None]
    if len(gains) < FEWEST_CASES:
        return None
    better = {way: fmean(gain[way] for gain in gains) for way in gains[0] if all(gain[way] > 0 for gain in gains)}
    way = max(better, key=better.get, default=None)
    if way is None or better[way] < LEAST_GAIN:
        return None
    return (
        f"in all {len(gains)} cases that were compared with their masks, the predictions fit {better[way]:.0%} better "
        f"{way}; see that they were written on their images' grids"
    )


def _gains(prediction: PreparedPrediction, case: PreparedCase) -> dict[str, float] | None:
    """The relative gain of each change; None if the mask is empty, or if the prediction is 0 on the whole mask."""
    mask = case.label.volume()[0].numpy()
    inside = np.argwhere(mask)
    if not len(inside):
        return None
    probs = np.stack([1 - prediction.slice(depth)[0].numpy() for depth in range(mask.shape[2])], axis=-1)
    last = np.array(mask.shape) - 1

    def mean(places: np.ndarray) -> float:
        """The mean probability at places; the probability is 0 outside of the volume."""
        inner = places[((places >= 0) & (places <= last)).all(axis=1)]
        return float(probs[tuple(inner.T)].sum()) / len(places)

    as_it_is = mean(inside)
    if as_it_is == 0:
        return None
    gains = {}
    for axis, (low, high) in enumerate(AXES):
        for step, side in ((1, low), (-1, high)):
            moved = inside.copy()
            moved[:, axis] += step
            unit = "slice" if axis == 2 else "pixel"
            gains[f"one {unit} to the {side}"] = mean(moved) / as_it_is - 1
        mirrored = inside.copy()
        mirrored[:, axis] = last[axis] - mirrored[:, axis]
        gains[f"mirrored between {low} and {high}"] = mean(mirrored) / as_it_is - 1
    return gains
