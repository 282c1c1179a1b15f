import numpy as np
import pytest

from custom_components.metrics.calibration import MARGIN_MM, Calibration

SPACING = (1.0, 1.0, 5.0)


def box(shape=(40, 40, 8)):
    truth = np.zeros(shape)
    truth[15:25, 15:25, 3:5] = 1
    return truth


def test_a_sure_and_right_model_has_no_error():
    found = Calibration()
    found.add(box(), box(), SPACING)
    summary = found.summary()
    assert summary["ece"] == 0
    # 10 mm around: 30 x 30 pixels, and of the slices of 5 mm two on each side.
    assert [bin["voxels"] for bin in summary["bins"]] == [30 * 30 * 6 - 200, 200]
    assert [(bin["probability"], bin["frequency"]) for bin in summary["bins"]] == [(0, 0), (1, 1)]
    assert MARGIN_MM == 10


def test_error_by_hand_pooled_over_cases():
    found = Calibration()
    truth = np.ones((2, 2, 2))
    found.add(np.full((2, 2, 2), 0.7), truth, SPACING)  # 8 voxels with probability 0.7, all of them prostate
    half = truth.copy()
    half[0] = 0
    found.add(np.full((2, 2, 2), 0.9), half, SPACING)  # 8 voxels with probability 0.9, half of them prostate
    found.add(np.ones((2, 2, 2)), np.zeros((2, 2, 2)), SPACING)  # a case without prostate does not count
    summary = found.summary()
    assert summary["ece"] == pytest.approx((8 * 0.3 + 8 * 0.4) / 16)
    assert [(bin["voxels"], bin["probability"], bin["frequency"]) for bin in summary["bins"]] == [
        (8, pytest.approx(0.7), 1.0),
        (8, pytest.approx(0.9), 0.5),
    ]


def test_nothing_seen_is_no_error():
    assert Calibration().summary() == {"ece": 0.0, "bins": []}
