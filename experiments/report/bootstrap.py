"""A mean over cases with its 95 % bootstrap interval: how the result varies with the patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval.

    Attributes:
        mean: mean over the groups of the mean of each group.
        low: lower end of the 95 % interval of the mean.
        high: upper end.
        cases: number of cases.
    """

    mean: float
    low: float
    high: float
    cases: int


def estimate(groups: Sequence[np.ndarray]) -> Estimate:
    """The mean over groups of cases, each of which counts the same, with a percentile bootstrap interval.

    The groups stay, and the cases of each group are drawn: the interval of a mean over sites is for these sites.

    Args:
        groups: the values of the cases of each group; one group gives the mean over the cases.

    >>> estimate([np.array([1.0, 3.0]), np.array([6.0])])
    Estimate(mean=4.0, low=3.5, high=4.5, cases=3)
    """
    rng = np.random.default_rng(0)
    drawn = [rng.choice(values, (RESAMPLES, len(values))).mean(axis=1) for values in groups]
    low, high = np.percentile(np.mean(drawn, axis=0), (2.5, 97.5))
    mean = float(np.mean([values.mean() for values in groups]))
    return Estimate(mean, float(low), float(high), sum(map(len, groups)))
