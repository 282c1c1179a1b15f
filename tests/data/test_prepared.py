"""Prepared volumes equal the input of inference, are computed once, and an error names the faulty file."""

import gzip
import os
import shutil
import signal
from functools import partial

import ignite.distributed as idist
import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import Compose
from two_processes import in_two_processes

from custom_components.data import VolumeDataset, prepare_cases, prepared
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json


def stamps(folder) -> dict:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.nii")}


@pytest.fixture
def own_case(cases, tmp_path) -> dict:
    """A case whose files a test may spoil."""
    folder = tmp_path / "own"
    folder.mkdir()
    paths = {key: shutil.copy(cases[0][key], folder / f"{key}.nii.gz") for key in ("image", "label")}
    return {**cases[0], **paths}


@pytest.mark.parametrize("field_of_view", [None, 40])
def test_prepared_volumes_are_what_inference_sees(cases, checked_in_preprocessing, tmp_path, field_of_view):
    prepared = VolumeDataset(cases, checked_in_preprocessing("train", field_of_view=field_of_view), tmp_path)
    inference = checked_in_preprocessing("inference", field_of_view=field_of_view)
    for case, volume in zip(cases, prepared, strict=True):
        # Inference has no mask.
        expected = inference({"image": case["image"]})["image"].as_tensor()
        assert volume["image"].shape == (1, 32, 32, 4)
        assert torch.equal(volume["image"], expected)


def test_the_mask_stays_on_the_image_and_0_or_1(cases, preprocessing, tmp_path):
    for sample in VolumeDataset(cases, preprocessing, tmp_path):
        assert sample["label"].dtype == torch.uint8
        assert sample["label"].unique().tolist() == [0, 1]
        assert not sample["label"][..., 0].any()
        # The blob is the bright part: its mean stands out from the rest by two thirds of the intensity range.
        inside, outside = (sample["image"][sample["label"] == value].mean() for value in (1, 0))
        assert inside - outside > 1.5


def test_a_field_of_view_is_centred_and_gives_every_case_one_pixel_size(checked_in_preprocessing, tmp_path):
    """Two scans of one scene, a square of 24 mm, on grids of 2 mm and 0.8 mm, one smaller than the field of view."""
    preprocessing = checked_in_preprocessing("inference", field_of_view=48)
    for name, width, spacing in (("coarse", 40, 2.0), ("fine", 50, 0.8)):
        centre = (np.arange(width) - (width - 1) / 2) * spacing
        inside = np.abs(centre) < 12
        image = np.repeat((inside[:, None] & inside[None])[..., None], 3, axis=2).astype(np.float32)
        affine = np.diag([spacing, spacing, 3, 1])
        affine[:2, 3] = centre[0]
        nibabel.save(nibabel.Nifti1Image(image, affine), tmp_path / f"{name}.nii.gz")
        prepared = preprocessing({"image": str(tmp_path / f"{name}.nii.gz")})["image"]
        assert prepared.shape == (1, 32, 32, 3)
        assert prepared.pixdim.tolist() == pytest.approx([1.5, 1.5, 3])
        bright = (prepared[0, :, :, 1] > prepared.mean()).sum(dim=0).max()
        assert bright * 1.5 == pytest.approx(24, abs=3)
        assert torch.allclose(prepared[0, :, :, 1], prepared[0, :, :, 1].flip(0), atol=0.6)


def test_a_second_time_nothing_is_written(cases, preprocessing, tmp_path):
    first = prepare_cases(cases, preprocessing, tmp_path)
    before = stamps(tmp_path)
    assert len(before) == 2 * len(cases)
    assert prepare_cases(cases, preprocessing, tmp_path) == first
    assert stamps(tmp_path) == before


def test_several_threads_prepare_the_same_volumes(cases, preprocessing, tmp_path, monkeypatch):
    made = []
    for threads in (1, 4):
        monkeypatch.setattr(prepared, "usable_cores", lambda threads=threads: threads)
        folder = tmp_path / str(threads)
        prepare_cases(cases, preprocessing, folder)
        made.append({file.name: file.read_bytes() for file in folder.glob("*.nii")})
    assert len(made[0]) == 2 * len(cases)
    assert made[0] == made[1]


def test_each_process_prepares_its_share(cases, preprocessing, tmp_path, monkeypatch):
    """The second of three processes; what the others made is simulated when they tell what they have learnt."""
    prepare_cases(cases, preprocessing, tmp_path / "others")
    monkeypatch.setattr(idist, "get_world_size", lambda: 3)
    monkeypatch.setattr(idist, "get_rank", lambda: 1)
    own = []

    def all_gather(learnt):
        own.extend((tmp_path / "cache").glob("*.nii"))
        assert len(learnt["known"]) == len(own)
        for file in (tmp_path / "others").glob("*.nii"):
            shutil.copy(file, tmp_path / "cache")
        return [learnt]

    monkeypatch.setattr(idist, "all_gather", all_gather)
    assert [case.name for case in prepare_cases(cases, preprocessing, tmp_path / "cache")] == [
        case["case"] for case in cases
    ]
    assert len(own) == 2 * len(cases[1::3])


def files_of_two_ranks(rank: int, cases, preprocessing, cache_dirs) -> tuple[list, set]:
    """The prepared cases in each of two processes, and the volumes that this process has written."""
    written = set()
    write = prepared.replace_file
    prepared.replace_file = lambda file, save: written.add(file.name) or write(file, save)
    found = prepare_cases(cases, preprocessing, cache_dirs[rank])
    return found, written


def test_two_processes_share_the_work_and_get_the_same_cases(cases, preprocessing, tmp_path):
    expected = prepare_cases(cases, preprocessing, tmp_path / "alone")
    work = partial(files_of_two_ranks, cases=cases, preprocessing=preprocessing, cache_dirs=[tmp_path / "both"] * 2)
    (first, own), (second, others) = in_two_processes(work, tmp_path)
    assert first == second
    assert [case.key for case in first] == [case.key for case in expected]
    assert own | others == set(stamps(tmp_path / "alone"))
    assert not own & others
    assert len(own) == len(others) == len(cases)
    assert read_json(tmp_path / "both" / "hashes.json") == read_json(tmp_path / "alone" / "hashes.json")


def test_two_processes_with_disks_of_their_own_make_all_volumes_each(cases, preprocessing, tmp_path):
    work = partial(
        files_of_two_ranks, cases=cases, preprocessing=preprocessing, cache_dirs=[tmp_path / "0", tmp_path / "1"]
    )
    found = in_two_processes(work, tmp_path)
    assert [case.key for case in found[0][0]] == [case.key for case in found[1][0]]
    assert stamps(tmp_path / "0").keys() == stamps(tmp_path / "1").keys() == found[0][1] == found[1][1]


@pytest.mark.parametrize("jobs", [1, 3])
def test_worker_processes_prepare_the_same_volumes(cases, preprocessing, tmp_path, jobs):
    expected = prepare_cases(cases, preprocessing, tmp_path / "threads")
    found = prepare_cases(cases, preprocessing, tmp_path / "processes", jobs=jobs)
    assert [(case.info, case.key, case.sha256) for case in found] == [
        (case.info, case.key, case.sha256) for case in expected
    ]
    for file in (tmp_path / "threads").glob("*.nii"):
        assert (tmp_path / "processes" / file.name).read_bytes() == file.read_bytes()
    assert len(list((tmp_path / "processes").iterdir())) == 2 * len(cases) + 1
    assert read_json(tmp_path / "processes" / "hashes.json") == read_json(tmp_path / "threads" / "hashes.json")
    before = stamps(tmp_path / "processes")
    assert prepare_cases(cases, preprocessing, tmp_path / "processes", jobs=jobs) == found
    assert stamps(tmp_path / "processes") == before


def test_a_broken_file_in_a_worker_process_is_one_line(own_case, cases, preprocessing, tmp_path):
    (tmp_path / "own" / "image.nii.gz").write_bytes(b"no NIfTI at all")
    with pytest.raises(InputError, match=r"\A[^\n]*own/image\.nii\.gz[^\n]*cannot be prepared[^\n]*\Z"):
        prepare_cases([cases[1], own_case, cases[2]], preprocessing, tmp_path / "cache", jobs=2)


def end_the_process(image):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_one_line(own_case, preprocessing, tmp_path):
    deadly = Compose([*preprocessing.transforms, end_the_process])
    with pytest.raises(InputError, match=rf"\A{own_case['image']}: a process that prepared it .* give fewer --jobs\Z"):
        prepare_cases([own_case], deadly, tmp_path / "cache", jobs=1)
    with pytest.raises(InputError, match=r"\A--jobs 0: give at least 1\Z"):
        prepare_cases([own_case], preprocessing, tmp_path / "cache", jobs=0)


def test_the_cache_follows_contents_not_names(own_case, preprocessing, tmp_path):
    cache = tmp_path / "cache"
    (first,) = prepare_cases([own_case], preprocessing, cache)
    moved = {**own_case, "image": shutil.move(own_case["image"], tmp_path / "moved.nii.gz")}
    (second,) = prepare_cases([moved], preprocessing, cache)
    assert second.image == first.image


@pytest.mark.parametrize("key", ["image", "label"])
def test_a_changed_file_is_prepared_anew(own_case, preprocessing, tmp_path, key):
    cache = tmp_path / "cache"
    (before,) = prepare_cases([own_case], preprocessing, cache)
    volume = nibabel.load(own_case[key])
    voxels = np.asarray(volume.dataobj).copy()
    voxels[0, 0, 0] += 1
    nibabel.save(nibabel.Nifti1Image(voxels, volume.affine), own_case[key])
    (after,) = prepare_cases([own_case], preprocessing, cache)
    assert after.image.path != before.image.path
    assert len(stamps(cache)) == 4


def test_another_preprocessing_is_another_entry(own_case, checked_in_preprocessing, tmp_path):
    (small,) = prepare_cases([own_case], checked_in_preprocessing(image_size=16), tmp_path / "cache")
    (large,) = prepare_cases([own_case], checked_in_preprocessing(image_size=32), tmp_path / "cache")
    assert (small.image.shape, large.image.shape) == ((16, 16, 4), (32, 32, 4))
    assert small.image.path != large.image.path


def test_an_interrupted_case_is_completed(own_case, preprocessing, tmp_path):
    (case,) = prepare_cases([own_case], preprocessing, tmp_path / "cache")
    expected = case.label.volume()
    case.label.path.unlink()
    (case,) = prepare_cases([own_case], preprocessing, tmp_path / "cache")
    assert torch.equal(case.label.volume(), expected)


def test_slices_are_those_of_the_volume(cases, preprocessing, tmp_path):
    (case,) = prepare_cases(cases[:1], preprocessing, tmp_path)
    volume = case.image.volume()
    stored = np.asarray(nibabel.load(case.image.path).dataobj)
    assert np.array_equal(volume[0].numpy(), stored)
    for depth in range(4):
        assert torch.equal(case.image.slice(depth), volume[..., depth])


def test_a_case_is_named_by_its_file_if_the_datalist_does_not(cases, preprocessing, tmp_path):
    bare = {key: cases[0][key] for key in ("image", "label")}
    (case,) = prepare_cases([bare], preprocessing, tmp_path)
    assert case.name == cases[0]["case"]


@pytest.mark.parametrize("key", ["image", "label"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no NIfTI at all"),
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        lambda file: file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:600])),
    ],
    ids=["missing", "empty", "text", "cut short", "cut short inside"],
)
def test_a_broken_file_is_one_line_that_names_it(own_case, preprocessing, tmp_path, key, spoil):
    spoil(tmp_path / "own" / f"{key}.nii.gz")
    with pytest.raises(InputError, match=rf"\A[^\n]*own/{key}\.nii\.gz[^\n]*\Z"):
        prepare_cases([own_case], preprocessing, tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*"))


def test_a_case_without_a_mask_is_named(own_case, preprocessing, tmp_path):
    del own_case["label"]
    with pytest.raises(InputError, match=rf"\ANone: no such file \(the label of case {own_case['case']}\)"):
        prepare_cases([own_case], preprocessing, tmp_path / "cache")


def test_a_case_may_be_said_to_have_no_mask(own_case, preprocessing, tmp_path):
    (full,) = prepare_cases([own_case], preprocessing, tmp_path / "cache")
    del own_case["label"]
    (case,) = prepare_cases([own_case], preprocessing, tmp_path / "cache", masks=False)
    assert case.label is None
    assert case.sha256 == {"image": full.sha256["image"]}
    assert torch.equal(case.image.volume(), full.image.volume())
    assert case.key != full.key
    before = stamps(tmp_path / "cache")
    assert prepare_cases([own_case], preprocessing, tmp_path / "cache", masks=False) == [case]
    assert stamps(tmp_path / "cache") == before
    own_case["image"] = "gone.nii.gz"
    with pytest.raises(InputError, match=r"\Agone.nii.gz: no such file \(the image of case"):
        prepare_cases([own_case], preprocessing, tmp_path / "cache", masks=False)


def test_a_mask_of_another_size_is_named(own_case, preprocessing, tmp_path):
    volume = nibabel.load(own_case["label"])
    nibabel.save(nibabel.Nifti1Image(np.asarray(volume.dataobj)[..., :3], volume.affine), own_case["label"])
    with pytest.raises(
        InputError,
        match=r"\A\S+/image\.nii\.gz: image and mask \S+/label\.nii\.gz differ in shape once prepared: "
        r"\(1, 32, 32, 4\) and \(1, 32, 32, 3\)",
    ):
        prepare_cases([own_case], preprocessing, tmp_path / "cache")
