import math
import warnings

import numpy as np
import pytest
import torch

from custom_components.metrics import summarise, volume_scores

SPACING = (0.5, 0.5, 3.0)  # mm, as in a T2w study: thick slices
DIAGONAL = math.sqrt((0.5 * 20) ** 2 + (0.5 * 20) ** 2 + (3.0 * 10) ** 2)


def box(rows, columns, slices):
    mask = np.zeros((20, 20, 10), np.uint8)
    mask[slice(*rows), slice(*columns), slice(*slices)] = 1
    return mask


CUBE = box((5, 9), (5, 9), (3, 7))
EMPTY = np.zeros_like(CUBE)


# A 4x4x4 cube moved by n voxels keeps (4 - n) / 4 of its volume in common: Dice = 1 - n / 4. The face that is left
# behind lies n voxels away from the moved cube, and it holds more than 5 % of the surface: HD95 = n x spacing.
@pytest.mark.parametrize(
    ("moved", "dice", "hd95_mm"),
    [
        (box((6, 10), (5, 9), (3, 7)), 0.75, 0.5),
        (box((5, 9), (7, 11), (3, 7)), 0.5, 1.0),
        (box((5, 9), (5, 9), (4, 8)), 0.75, 3.0),
        (box((5, 9), (15, 19), (3, 7)), 0.0, 5.0),  # 10 voxels aside, beyond the cube: no voxel in common
    ],
)
def test_moved_cube(moved, dice, hd95_mm):
    scores = volume_scores(moved, CUBE, SPACING)
    assert scores["dice"] == pytest.approx(dice)
    assert scores["hd95_mm"] == pytest.approx(hd95_mm)


def test_average_surface_distance_of_a_moved_column():
    # 1x1x5 columns are all surface. Moved by 2 slices of 3 mm, the distances are 0, 0, 0, 3 and 6 mm both ways.
    here, there = box((5, 6), (5, 6), (1, 6)), box((5, 6), (5, 6), (3, 8))
    assert volume_scores(there, here, SPACING)["asd_mm"] == pytest.approx(9 / 5)


def test_average_surface_distance_is_symmetric():
    # truth: one voxel; prediction: it and its neighbour 3 mm away. To the truth 0 and 3, from the truth 0: mean 1.
    truth, prediction = box((5, 6), (5, 6), (3, 4)), box((5, 6), (5, 6), (3, 5))
    assert volume_scores(prediction, truth, SPACING)["asd_mm"] == pytest.approx(1.0)
    assert volume_scores(truth, prediction, SPACING)["asd_mm"] == pytest.approx(1.0)


def test_volumes_in_millilitres():
    scores = volume_scores(box((5, 9), (5, 9), (3, 5)), CUBE, SPACING)
    assert scores["truth_ml"] == pytest.approx(64 * 0.75 / 1000)
    assert scores["prediction_ml"] == pytest.approx(32 * 0.75 / 1000)


def test_same_mask_is_perfect():
    scores = volume_scores(CUBE, CUBE, SPACING)
    assert (scores["dice"], scores["hd95_mm"], scores["asd_mm"], scores["missed"]) == (1, 0, 0, False)


def test_missed_prostate_gets_the_image_diagonal():
    scores = volume_scores(EMPTY, CUBE, SPACING)
    assert scores["missed"] is True
    assert scores["dice"] == 0
    assert scores["hd95_mm"] == scores["asd_mm"] == pytest.approx(DIAGONAL)


def test_prediction_elsewhere_is_missed_with_its_real_distance():
    scores = volume_scores(box((5, 9), (15, 19), (3, 7)), CUBE, SPACING)
    assert scores["missed"] is True
    assert scores["hd95_mm"] == pytest.approx(5.0)


def test_false_alarm_without_prostate_is_penalised_but_not_missed():
    scores = volume_scores(CUBE, EMPTY, SPACING)
    assert (scores["missed"], scores["dice"]) == (False, 0)
    assert scores["hd95_mm"] == pytest.approx(DIAGONAL)


def test_two_empty_masks_agree():
    scores = volume_scores(EMPTY, EMPTY, SPACING)
    assert (scores["dice"], scores["hd95_mm"], scores["asd_mm"], scores["missed"]) == (1, 0, 0, False)


def test_gland_at_the_image_border():
    corner = box((0, 4), (0, 4), (0, 4))
    assert volume_scores(box((0, 4), (1, 5), (0, 4)), corner, SPACING)["hd95_mm"] == pytest.approx(0.5)


def test_scores_say_nothing_on_the_console():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        volume_scores(CUBE, CUBE, SPACING)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_tensors_of_any_type(dtype):
    assert volume_scores(torch.as_tensor(CUBE).to(dtype), CUBE, SPACING)["dice"] == 1


@pytest.mark.parametrize(
    ("prediction", "spacing", "message"),
    [
        (CUBE[None], SPACING, r"prediction must have the shape \(H, W, D\)"),
        (CUBE[:-1], SPACING, r"prediction \(19, 20, 10\) and truth \(20, 20, 10\) differ in shape"),
        (CUBE * 0.7, SPACING, "prediction must be a mask of 0 and 1"),
        (CUBE, (0.5, 0.5), "spacing_mm"),
        (CUBE, (0.5, 0.5, 0), "spacing_mm"),
    ],
)
def test_wrong_use_is_refused(prediction, spacing, message):
    with pytest.raises(ValueError, match=rf"\A{message}"):
        volume_scores(prediction, CUBE, spacing)


def test_one_hit_and_one_miss():
    # For this case, MONAI's aggregated HD95 is 0.0.
    hit = {"site": "RUNMC", **volume_scores(CUBE, CUBE, SPACING)}
    miss = {"site": "RUNMC", **volume_scores(EMPTY, CUBE, SPACING)}
    summary = summarise([hit, miss])["all"]
    assert (summary["n"], summary["missed"], summary["dice_mean"], summary["dice_std"]) == (2, 1, 0.5, 0.5)
    assert summary["hd95_mm_mean"] == pytest.approx(DIAGONAL / 2)


def test_summary_per_site():
    def case(site, dice):
        return {"site": site, "dice": dice, "hd95_mm": 2.0, "asd_mm": 1.0, "missed": False}

    summary = summarise([case("UCL", 0.9), case("HK", 0.6), case("UCL", 0.7)])
    assert list(summary["sites"]) == ["HK", "UCL"]
    assert (summary["sites"]["HK"]["n"], summary["sites"]["HK"]["dice_std"]) == (1, 0)
    assert summary["sites"]["UCL"]["dice_mean"] == pytest.approx(0.8)
    assert summary["sites"]["UCL"]["dice_std"] == pytest.approx(0.1)
    assert summary["all"]["dice_mean"] == pytest.approx(2.2 / 3)
    with pytest.raises(ValueError, match=r"\Athere are no cases"):
        summarise([])
