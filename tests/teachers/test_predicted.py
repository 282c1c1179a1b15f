"""Folders of predictions as teachers."""

import json
import logging
import math
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from custom_components.data import PrepareSlices, SliceDataset
from custom_components.foundation.errors import InputError
from custom_components.losses import DistillationLoss, teacher_dice_losses
from custom_components.teachers import (
    Batch,
    TaughtSlices,
    TeacherEnsemble,
    TeachersTogether,
    load_predictions,
    load_teacher,
    measured_weights,
)

CLASSES = ["background", "prostate"]
LOSS = DistillationLoss("emkd")
HELD_OUT = [{"case": "Test", "voxel_sha256": "cc", "patient": "patient 9"}]


@pytest.fixture
def folder(cases, tmp_path) -> Path:
    """A folder of predictions for two cases: probability .9 inside the mask, and .2 outside."""
    folder = tmp_path / "nnunet"
    folder.mkdir()
    for case in cases[:2]:
        mask = nibabel.load(case["label"])
        probs = np.where(np.asarray(mask.dataobj) > 0, 0.9, 0.2).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(probs, mask.affine), folder / f"{case['case']}_prostate.nii.gz")
    return folder


@pytest.fixture
def load(preprocessing, tmp_path):
    def load(teachers, dataset, held_out=(), saw_test_cases=None):
        return load_predictions(
            teachers,
            tmp_path / "bundles",
            dataset=dataset,
            preprocessing=preprocessing,
            held_out=held_out,
            classes=CLASSES,
            cache_dir=tmp_path / "predictions",
            saw_test_cases=saw_test_cases,
        )

    return load


@pytest.fixture
def slices(cases, preprocessing, tmp_path, random_transforms):
    def make(transform=None, views: int = 0) -> SliceDataset:
        return SliceDataset(cases[:2], preprocessing, tmp_path / "prepared", transform, views)

    return make


def answered(teachers, dataset):
    torch.manual_seed(0)
    taught = TaughtSlices(dataset, teachers)
    sample = default_collate([taught[index] for index in (1, 6, 2)])
    image, target = PrepareSlices(dataset.transform)(sample)
    return teachers.answer(Batch(image, target, sample, 0.0), LOSS.answer), sample, target


def test_the_probabilities_of_the_folder_are_the_answers(folder, load, slices):
    teachers = load(str(folder), slices())
    (answer,), _, target = answered(teachers, slices())
    probs = answer.logits.exp()
    assert answer.summaries == {}
    torch.testing.assert_close(probs.sum(dim=1), torch.ones_like(probs[:, 0]), rtol=0, atol=2e-3)
    # The preprocessing interpolates at the prostate's border.
    prostate, inside = probs[:, 1], target[:, 0].bool()
    assert inside.any()
    assert (prostate[inside] > 0.5).float().mean() > 0.95
    assert torch.isclose(prostate, torch.tensor(0.2), atol=2e-3).float().mean() > 0.5
    assert prostate.min() > 0.19
    assert prostate.max() < 0.91


def test_the_answers_move_with_the_image(folder, load, slices, random_transforms):
    transform = random_transforms()
    teachers = load(str(folder), slices(transform))
    (answer,), sample, target = answered(teachers, slices(transform))
    still = sample["answers"]["nnunet"]["probs"]
    assert torch.equal(answer.logits, transform.move(still, sample["seed"].tolist()).clamp(min=1e-6).log())
    assert not torch.equal(answer.logits.exp(), still)
    agreement = ((answer.logits[:, 1].exp() > 0.5) == target[:, 0].bool()).float().mean()
    assert agreement > 0.97


def test_the_weight_of_a_folder_is_measured_without_random_versions(
    folder, load, cases, preprocessing, random_transforms, tmp_path
):
    wrong_folder = tmp_path / "wrong"
    wrong_folder.mkdir()
    for file in folder.iterdir():
        probs = nibabel.load(file)
        nibabel.save(nibabel.Nifti1Image(1 - probs.get_fdata(), probs.affine), wrong_folder / file.name)
    # Two cases of one site; one of them has a mask.
    hidden = cases[1:2]
    dataset = SliceDataset(cases[:1], preprocessing, tmp_path / "prepared", random_transforms(), without_masks=hidden)
    teachers = load([str(folder), str(wrong_folder)], dataset)
    loss = DistillationLoss(unlabeled_weighting="site", weighting_temperature=0.5)
    right, wrong = measured_weights(loss, teachers, dataset, "cpu")
    plain = SliceDataset(cases[:1], preprocessing, tmp_path / "prepared")
    taught = TaughtSlices(plain, teachers)
    sample = default_collate([taught[index] for index in range(4)])
    del sample["seed"]
    answers = teachers.answer(Batch(sample["image"], sample["label"], sample, 0.0), LOSS.answer)
    good, bad = teacher_dice_losses([answer.logits for answer in answers], sample["label"]).tolist()
    assert torch.equal(answers[0].logits, sample["answers"]["nnunet"]["probs"].clamp(min=1e-6).log())
    assert right / wrong == pytest.approx(math.exp((bad - good) / 0.5), rel=1e-4)
    assert right > wrong


def test_kinds_answer_together_in_the_order_of_the_option(folder, load, slices, make_teacher):
    ensemble = TeacherEnsemble([load_teacher(str(make_teacher("espnet")))], ("stride2", "stride8"))
    predicted = load([str(folder), {"predictions": str(folder), "name": "again"}], slices())
    together = TeachersTogether([ensemble, predicted], [1, 0, 1])
    assert together.names == ["nnunet", "espnet", "again"]
    assert together.weights_sha256[0] is None
    assert together.identities == [predicted.identities[0], ensemble.identities[0], predicted.identities[1]]
    assert list(together.seen) == ["nnunet", "again"]
    answers, *_ = answered(together, slices())
    assert [bool(answer.summaries) for answer in answers] == [False, True, False]
    assert torch.equal(answers[0].logits, answers[2].logits)
    with pytest.raises(InputError, match=r"\Ateachers: two teachers are called nnunet; give one a name: "):
        TeachersTogether([predicted, load(str(folder), slices())], [0, 0, 1])


def test_bundles_alone_are_no_predictions(load, slices):
    assert load(["espnet"], slices()) is None


def test_whether_the_model_saw_test_cases_must_be_said(folder, load, slices):
    with pytest.raises(
        InputError, match=r"\A\S*nnunet: no file tells whether its model was trained on .* test cases; say it"
    ):
        load(str(folder), slices(), HELD_OUT)
    for said in (False, True):
        teachers = load(str(folder), slices(), HELD_OUT, said)
        assert teachers.seen == {"nnunet": {"saw_test_cases": said, "by": "the user's word"}}


def test_a_record_of_the_models_cases_is_checked(folder, load, slices):
    record = {"name": "unet3d", "classes": CLASSES, "weights_sha256": "ab", "model": {}, "images": {}}
    seen = {"training": [{"voxel_sha256": "aa", "site": "HK"}], "validation": []}
    (folder / "predictions.json").write_text(json.dumps({**record, "cases": seen}))
    teachers = load(str(folder), slices(), HELD_OUT)
    assert (teachers.names, teachers.weights_sha256) == (["unet3d"], ["ab"])
    assert teachers.seen["unet3d"]["saw_test_cases"] is False
    seen["validation"] = [{"voxel_sha256": "cc", "site": "HK"}]
    (folder / "predictions.json").write_text(json.dumps({**record, "cases": seen}))
    # The record counts more than the user's word.
    with pytest.raises(InputError, match=r"\A\S*predictions\.json: 1 of the .* test cases were in this teacher's"):
        load(str(folder), slices(), HELD_OUT, False)


def test_other_files_or_settings_are_another_teacher(folder, load, slices, cases):
    first = load(str(folder), slices()).identities[0]
    assert load(str(folder), slices()).identities[0] == first
    table = {"predictions": str(folder), "classes": {"prostate": "prostate"}}
    assert load(table, slices()).identities[0] != first
    file = folder / f"{cases[0]['case']}_prostate.nii.gz"
    image = nibabel.load(file)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj) * np.float32(0.5), image.affine), file)
    assert load(str(folder), slices()).identities[0] != first


def test_a_folder_that_lacks_cases_is_refused(folder, load, slices, cases):
    (folder / f"{cases[1]['case']}_prostate.nii.gz").unlink()
    with pytest.raises(InputError, match=r"\A\S*nnunet: holds predictions of 1 of 2 cases, 1 are missing"):
        load(str(folder), slices())


def test_a_prepared_file_that_vanishes_is_told_in_one_line(folder, load, slices, tmp_path):
    teachers = load(str(folder), slices())
    for file in (tmp_path / "predictions").glob("*.npy"):
        file.unlink()
    with pytest.raises(InputError, match=r"\A\S*nnunet: a file that was prepared from it was removed or changed"):
        TaughtSlices(slices(), teachers)[0]


def test_predictions_that_do_not_lie_on_their_masks_are_told(folder, load, cases, preprocessing, tmp_path, caplog):
    for case in cases[:3]:
        mask = nibabel.load(case["label"])
        probs = np.where(np.asarray(mask.dataobj) > 0, 0.9, 0.1).astype(np.float32)
        moved = nibabel.Nifti1Image(np.roll(probs, probs.shape[0] // 12, axis=0), mask.affine)
        nibabel.save(moved, folder / f"{case['case']}_prostate.nii.gz")
    dataset = SliceDataset(cases[:3], preprocessing, tmp_path / "prepared")
    with caplog.at_level(logging.WARNING):
        load(str(folder), dataset)
    assert "nnunet: in all 3 cases that were compared with their masks, the predictions fit" in caplog.text
