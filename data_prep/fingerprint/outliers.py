"""Finds the values that differ from the other cases of the same site, by the modified z-score.

B. Iglewicz and D. C. Hoaglin, How to Detect and Handle Outliers (ASQC, 1993): z = (x - median) / (1.4826 MAD), where
MAD is the median absolute deviation. A value with |z| > 3.5 is an outlier. When more than half of the values are
equal, MAD is 0; then 1.2533 times the mean absolute deviation replaces 1.4826 MAD.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.fingerprint.measuring import QUANTITIES, Case, Quantity

LIMIT = 3.5
FEWEST_CASES = 5  # a site with fewer cases has no usual range


@dataclass(frozen=True)
class Outlier:
    """A value outside the usual range of its site.

    Attributes:
        case: name of the case.
        site: site of the case.
        quantity: the quantity that was measured.
        value: value of the case.
        usual: lower and upper end of the usual range: the values whose scores are -3.5 and 3.5.
        z: modified z-score of the value.
    """

    case: str
    site: str
    quantity: Quantity
    value: float
    usual: tuple[float, float]
    z: float


def find_outliers(sites: Mapping[str, Sequence[Case]]) -> list[Outlier]:
    """Every outlier of every site; the one with the largest |z| comes first."""
    found = []
    for site, cases in sites.items():
        for quantity in QUANTITIES:
            measured = [case for case in cases if case.values[quantity.key] is not None]
            if len(measured) < FEWEST_CASES:
                continue
            values = [case.values[quantity.key] for case in measured]
            scores, usual = modified_z_scores(values, quantity.skewed)
            found += [
                Outlier(case.name, site, quantity, value, usual, float(z))
                for case, value, z in zip(measured, values, scores, strict=True)
                if abs(z) > LIMIT
            ]
    return sorted(found, key=lambda outlier: (-abs(outlier.z), outlier.case, outlier.quantity.key))


def modified_z_scores(values: Sequence[float], skewed: bool) -> tuple[np.ndarray, tuple[float, float]]:
    """The modified z-score of each value, and the usual range: the values whose scores are -LIMIT and LIMIT.

    If ``skewed`` is true and all values are positive, the scores are computed from the logarithms of the values. The
    range is always in the unit of the values.

    >>> scores, usual = modified_z_scores([1.0, 2.0, 3.0, 4.0, 50.0], skewed=False)
    >>> scores.round(1), [round(end, 1) for end in usual]
    (array([-1.3, -0.7,  0. ,  0.7, 31.7]), [0.0, 8.2])
    """
    logarithmic = skewed and min(values) > 0
    scale = np.log(values) if logarithmic else np.asarray(values, float)
    centre = np.median(scale)
    deviations = np.abs(scale - centre)
    spread = 1.4826 * np.median(deviations) or 1.2533 * np.mean(deviations)
    if not spread:
        return np.zeros(len(values)), (values[0], values[0])
    low, high = centre - LIMIT * spread, centre + LIMIT * spread
    if logarithmic:
        low, high = np.exp(low), np.exp(high)
    elif min(values) >= 0:
        low = max(low, 0)
    return (scale - centre) / spread, (float(low), float(high))
