import numpy as np
import pytest

from experiments.report.bootstrap import estimate


def test_the_groups_count_the_same_whatever_their_number_of_cases():
    found = estimate([np.array([0.0, 0.0, 0.0, 0.0]), np.array([10.0])])
    # The cases of each group are equal, so that every resample has the same mean.
    assert (found.mean, found.low, found.high, found.cases) == (5.0, 5.0, 5.0, 5)


def test_the_interval_of_one_group_is_that_of_a_mean_of_many_draws():
    values = np.random.default_rng(1).normal(50, 10, 400)
    found = estimate([values])
    # Of many cases, the bootstrap agrees with the normal interval: the mean ± 1.96 standard errors.
    error = values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((found.mean - 1.96 * error, found.mean + 1.96 * error), abs=0.05)
