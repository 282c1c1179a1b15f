"""The pictures and the table of the worst cases."""

from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json
from experiments.report.failures import SHOWN, case_table, worst_first, worst_pictures
from experiments.report.study import Model

SHAPE = (12, 12, 5)


def save(voxels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels.astype(np.uint8), np.diag([1, 1, 3, 1])), path)


def block(slices, width=4):
    voxels = np.zeros(SHAPE)
    voxels[2 : 2 + width, 2:6, slices] = 1
    return voxels


@pytest.fixture
def dataset(tmp_path):
    names = [f"Case{number:02}" for number in range(10)]
    items = [{"case": name, "image": f"{name}.nii", "label": f"{name}_mask.nii"} for name in names]
    for item in items:
        save(np.arange(np.prod(SHAPE)).reshape(SHAPE) % 251, tmp_path / item["image"])
        save(block(slice(0, 5)), tmp_path / item["label"])
    write_json(tmp_path / "dataset.json", {"cases": items})
    return tmp_path


def run(folder, dice, seed=0, missed=(), wrong_slice=3):
    """A run whose masks are wrong in one slice only."""
    cases = {}
    for name, value in dice.items():
        prediction = block(slice(0, 5))
        prediction[:, :, wrong_slice] = 0
        save(prediction, folder / str(seed) / f"{name}.nii")
        scores = {"hd95_mm": 12.34, "truth_ml": 20.2, "prediction_ml": 16.4 + seed, "missed": name in missed}
        cases[name] = {"site": "HK", "dice": value, **scores}
    return SimpleNamespace(
        label="ENet", seed=seed, cases=cases, prediction=lambda case: folder / str(seed) / f"{case}.nii"
    )


def test_the_worst_case_comes_first_and_equal_cases_in_the_order_of_their_names(dataset):
    dice = {"Case00": 0.9, "Case01": 0.2, "Case03": 0.5, "Case02": 0.5}
    assert worst_first(Model([run(dataset, dice)])) == ["Case01", "Case02", "Case03", "Case00"]


def test_the_order_is_that_of_the_mean_over_the_seeds_and_the_picture_that_of_the_worst_seed(dataset):
    first = run(dataset, {"Case00": 0.4, "Case01": 0.6})
    second = run(dataset, {"Case00": 0.8, "Case01": 0.2}, seed=1, missed=["Case01"])
    model = Model([first, second])
    assert worst_first(model) == ["Case01", "Case00"]  # 40 and 60
    shown = [picture.caption for picture in worst_pictures(model, dataset).pictures]
    assert shown == [
        ["Case01 (HK): missed", "segmented 17 ml, the prostate has 20 ml; seed 1, slice 4 of 5"],
        [
            "Case00 (HK): Dice 40.0, HD95 12.3 mm",
            "segmented 16 ml, the prostate has 20 ml; seed 0, slice 4 of 5",
        ],
    ]
    assert case_table(model).lines[0].cells == ["Case01", "HK", "yes", "40.0", "12.3", "20.2", "16.9"]


@pytest.mark.parametrize("wrong_slice", [0, 3])
def test_a_picture_shows_the_slice_with_the_most_wrong_voxels(dataset, wrong_slice):
    model = Model([run(dataset, {"Case00": 0.5}, wrong_slice=wrong_slice)])
    (picture,) = worst_pictures(model, dataset).pictures
    assert picture.caption[1].endswith(f"; slice {wrong_slice + 1} of 5")
    assert picture.description.startswith(f"Case00, slice {wrong_slice + 1} of 5: ")


def test_a_perfect_mask_is_shown_at_the_largest_slice(dataset):
    truth = block(slice(0, 5), width=3)
    truth[:, :, 2] = block(slice(0, 5))[:, :, 2]
    save(truth, dataset / "Case00_mask.nii")
    model = Model([run(dataset, {"Case00": 1.0})])
    save(truth, model.rows[0].prediction("Case00"))
    (picture,) = worst_pictures(model, dataset).pictures
    assert picture.caption[1].endswith("slice 3 of 5")


def test_only_the_first_cases_have_pictures_and_all_have_a_line(dataset):
    model = Model([run(dataset, {f"Case{number:02}": 0.5 for number in range(10)})])
    assert len(worst_pictures(model, dataset).pictures) == SHOWN == 8
    assert len(case_table(model).lines) == 10


def test_a_case_that_the_dataset_lacks_is_named(dataset):
    write_json(dataset / "dataset.json", {"cases": []})
    with pytest.raises(InputError, match=r"\A\S+dataset\.json: has no case Case00, which a row of this study was"):
        worst_pictures(Model([run(dataset, {"Case00": 0.5})]), dataset)


def test_a_mask_of_another_size_is_named(dataset):
    model = Model([run(dataset, {"Case00": 0.5})])
    save(np.zeros((6, 6, 5)), model.rows[0].prediction("Case00"))
    with pytest.raises(
        InputError, match=r"\A\S+Case00\.nii: has another size than Case00_mask\.nii; evaluate this row"
    ):
        worst_pictures(model, dataset)
