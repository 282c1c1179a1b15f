"""Inference on any volume: the mask lies on the input's own grid, whatever its orientation, spacing, matrix and depth.

The network is a single 1x1 convolution that finds prostate in bright pixels, so the expected mask is known.
"""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

# A user must not see other warnings.
pytestmark = pytest.mark.filterwarnings("error::UserWarning", "ignore:NvImgCodecPydicomReader")

NETWORK = "$torch.nn.Conv2d(1, 2, 1)"
BRIGHTER_THAN = 1.5  # standard deviations above the volume's mean
CENTRE_MM = np.array([6.0, -9.0, 4.0])
RADII_MM = np.array([16.0, 11.0, 14.0])
SPECK_MM = np.array([-24.0, 22.0, 4.0])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, copy_bundles_to) -> Path:
    bundle = copy_bundles_to(tmp_path_factory.mktemp("bundles"), "enet") / "enet"
    (bundle / "models").mkdir()
    threshold = {"weight": torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), "bias": torch.tensor([0.0, -BRIGHTER_THAN])}
    torch.save(threshold, bundle / "models" / "model.pt")
    return bundle


@pytest.fixture
def infer(bundle, workflow, tmp_path):
    """``infer(volumes, **options)`` runs inference on a folder of volumes, and returns the masks by file name."""

    def run(volumes: Path, **own_options: object) -> dict[str, nibabel.Nifti1Image]:
        options = {"network_def": NETWORK, "image_size": 64, "output_dir": str(tmp_path / "out"), **own_options}
        workflow(bundle, "inference", dataset_dir=str(volumes), **options).run()
        return {file.name: nibabel.load(file) for file in sorted((tmp_path / "out" / "predictions").iterdir())}

    return run


def affine_of(axcodes: str, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """A grid around the world's 0; shape and spacing are in the order of the array's axes, as the axis codes are."""
    affine = np.zeros((4, 4))
    for axis, code in enumerate(axcodes):
        world = next(index for index, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        affine[world, axis] = spacing_mm[axis] if code in "RAS" else -spacing_mm[axis]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    affine[3, 3] = 1
    return affine


def scene(affine: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image of a bright ellipsoid and a separate bright speck, and the mask of the ellipsoid alone."""
    world = np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    ellipsoid = (((world - CENTRE_MM) / RADII_MM) ** 2).sum(axis=-1) < 1
    speck = np.linalg.norm(world - SPECK_MM, axis=-1) < 6
    noise = np.random.default_rng(0).normal(0, 8, shape)
    return (200 + 300 * (ellipsoid | speck) + noise).astype(np.float32), ellipsoid


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return 2 * np.logical_and(mask, truth).sum() / (mask.sum() + truth.sum())


def assert_mask(mask: nibabel.Nifti1Image, image: nibabel.Nifti1Image, truth: np.ndarray) -> None:
    assert mask.shape == image.shape[:3]
    np.testing.assert_allclose(mask.affine, image.affine, atol=1e-4)
    assert mask.get_data_dtype() == np.uint8
    voxels = np.asarray(mask.dataobj)
    assert set(np.unique(voxels)) == {0, 1}
    assert dice(voxels, truth) > 0.9


GRIDS = {
    "RAS": ("RAS", (64, 64, 24), (1.2, 1.2, 3.0)),
    "LAS": ("LAS", (64, 64, 24), (1.2, 1.2, 3.0)),
    "RPI": ("RPI", (64, 64, 24), (1.2, 1.2, 3.0)),
    "slices-first": ("SPL", (24, 60, 64), (3.0, 1.2, 1.2)),
    "axes-turned": ("AIR", (64, 30, 60), (1.2, 2.5, 1.2)),
    "anisotropic": ("LPS", (48, 96, 18), (1.6, 0.8, 4.0)),
    "odd-sized": ("LPS", (131, 97, 19), (0.6, 0.8, 3.6)),
    "small": ("LAS", (33, 31, 21), (2.4, 2.4, 3.0)),
}


@pytest.mark.parametrize("options", [{}, {"field_of_view": 72}], ids=["whole-image", "field-of-view"])
def test_a_mask_on_every_grid(infer, tmp_path, options):
    folder = tmp_path / "volumes"
    folder.mkdir()
    truths = {}
    for name, (axcodes, shape, spacing_mm) in GRIDS.items():
        affine = affine_of(axcodes, shape, spacing_mm)
        assert "".join(nibabel.aff2axcodes(affine)) == axcodes
        image, truths[name] = scene(affine, shape)
        nibabel.save(nibabel.Nifti1Image(image, affine), folder / f"{name}.nii.gz")
    masks = infer(folder, **options)
    assert list(masks) == sorted(f"{name}.nii.gz" for name in GRIDS)
    for name, truth in truths.items():
        assert_mask(masks[f"{name}.nii.gz"], nibabel.load(folder / f"{name}.nii.gz"), truth)


def test_an_oblique_scan(infer, tmp_path):
    """The scan is rotated by 20 degrees about the left-right axis, as prostate scans often are."""
    shape = (64, 64, 24)
    affine = affine_of("LPS", shape, (1.2, 1.2, 3.0))
    cos, sin = np.cos(np.radians(20)), np.sin(np.radians(20))
    affine = np.array([[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]]) @ affine
    image, truth = scene(affine, shape)
    (tmp_path / "volumes").mkdir()
    path = tmp_path / "volumes" / "Case07.nii.gz"
    nibabel.save(nibabel.Nifti1Image(image, affine), path)
    assert_mask(infer(path.parent)["Case07.nii.gz"], nibabel.load(path), truth)


@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1)], ids=["sform-only", "qform-only"])
def test_either_way_of_saying_where_the_grid_lies(infer, tmp_path, sform, qform):
    shape = (64, 64, 24)
    affine = affine_of("LPS", shape, (1.2, 1.2, 3.0))
    voxels, truth = scene(affine, shape)
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine if sform else None, code=sform)
    image.set_qform(affine if qform else None, code=qform)
    (tmp_path / "volumes").mkdir()
    nibabel.save(image, tmp_path / "volumes" / "Case07.nii")
    read = nibabel.load(tmp_path / "volumes" / "Case07.nii")
    assert (int(read.header["sform_code"]), int(read.header["qform_code"])) == (sform, qform)
    assert_mask(infer(tmp_path / "volumes")["Case07.nii.gz"], read, truth)


@pytest.mark.parametrize("trailing", [(), (1,)], ids=["3-D", "4-D-of-one"])
def test_one_slice(infer, tmp_path, trailing):
    shape = (64, 56, 1)
    affine = affine_of("LPS", shape, (1.2, 1.2, 3.0))
    affine[2, 3] = CENTRE_MM[2]
    voxels, truth = scene(affine, shape)
    (tmp_path / "volumes").mkdir()
    nibabel.save(nibabel.Nifti1Image(voxels.reshape(shape + trailing), affine), tmp_path / "volumes" / "Case07.nii.gz")
    (mask,) = infer(tmp_path / "volumes").values()
    assert_mask(mask, nibabel.load(tmp_path / "volumes" / "Case07.nii.gz"), truth)


def test_a_folder_with_brackets_in_its_name(infer, dataset_dir, tmp_path):
    volumes = shutil.copytree(dataset_dir / "images", tmp_path / "MR [2024]")
    assert len(infer(volumes)) == len(list(volumes.iterdir()))


def spoil_by_a_fourth_axis(path: Path) -> None:
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.stack([image.get_fdata()] * 2, axis=-1), image.affine), path)


def spoil_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FAULTS = {
    spoil_by_a_fourth_axis: "has 4 dimensions (40, 36, 4, 2); export one 3-D volume (T2w)",
    spoil_by_cutting: "is ",  # where the cut falls decides how it is noticed
}


@pytest.mark.parametrize("spoil", FAULTS)
def test_inference_names_a_bad_volume_before_any_work(infer, dataset_dir, one_error_line, tmp_path, spoil):
    folder = shutil.copytree(dataset_dir / "images", tmp_path / "volumes")
    last = sorted(folder.iterdir())[-1]
    spoil(last)
    assert f"error: {last}: {FAULTS[spoil]}" in one_error_line(lambda: infer(folder))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", ["image", "label"])
@pytest.mark.parametrize("spoil", FAULTS)
def test_an_evaluation_names_a_bad_volume_before_any_work(
    bundle, workflow, dataset_dir, one_error_line, tmp_path, part, spoil
):
    folder = shutil.copytree(dataset_dir, tmp_path / "dataset", ignore=shutil.ignore_patterns("prepared"))
    case = json.loads((folder / "splits" / "all.json").read_text())["test"][-1]
    bad = folder / case[part]
    spoil(bad)
    options = {"network_def": NETWORK, "dataset_dir": str(folder), "output_dir": str(tmp_path / "out")}
    line = one_error_line(workflow(bundle, "evaluate", **options).run)
    assert f"error: {bad}: {FAULTS[spoil]}" in line
    assert not (tmp_path / "out").exists()


def test_an_evaluation_scores_the_masks_on_their_own_grids(bundle, workflow, tmp_path):
    options = {"network_def": NETWORK, "image_size": 64, "output_dir": str(tmp_path / "out")}
    workflow(bundle, "evaluate", **options).run()
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert min(case["dice"] for case in report["cases"]) > 0.9


def test_two_volumes_of_one_name_are_refused(infer, dataset_dir, tmp_path):
    folder = tmp_path / "volumes"
    folder.mkdir()
    volume = sorted((dataset_dir / "images").iterdir())[0]
    shutil.copy(volume, folder / "Case00.nii.gz")
    nibabel.save(nibabel.load(volume), folder / "Case00.nii")
    with pytest.raises(SystemExit, match=r"\Aerror: .*: two volumes of one name; one mask would replace the other\Z"):
        infer(folder)


def test_a_folder_without_volumes(infer, tmp_path):
    with pytest.raises(SystemExit, match=r"\Aerror: .*: no NIfTI volume \(\*.nii, \*.nii.gz\) in this folder\Z"):
        infer(tmp_path)


def test_a_plain_decathlon_list_is_evaluated(bundle, workflow, dataset_dir, tmp_path):
    split = json.loads((dataset_dir / "splits" / "all.json").read_text())
    split["test"] = [{key: case[key] for key in ("image", "label")} for case in split["test"]]
    (tmp_path / "plain.json").write_text(json.dumps(split))
    options = {"network_def": NETWORK, "image_size": 64, "output_dir": str(tmp_path / "out")}
    plain = {"dataset_dir": str(dataset_dir), "datalist": str(tmp_path / "plain.json")}
    workflow(bundle, "evaluate", **options, **plain).run()
    cases = json.loads((tmp_path / "out" / "evaluation.json").read_text())["cases"]
    assert [case["case"] for case in cases] == [Path(case["image"]).name.split(".nii")[0] for case in split["test"]]


def test_endings_in_capitals(infer, dataset_dir, tmp_path):
    volumes = shutil.copytree(dataset_dir / "images", tmp_path / "volumes")
    first, second, third, *others = sorted(volumes.iterdir())
    first.rename(volumes / "A.NII.GZ")
    second.rename(volumes / "B.v1.NII.gz")
    nibabel.save(nibabel.load(third), tmp_path / "c.nii")
    third.unlink()
    (tmp_path / "c.nii").rename(volumes / "C.NII")
    (volumes / "._A.NII.GZ").write_bytes(b"of a Mac")
    (volumes / "notes.txt").touch()
    masks = infer(volumes)
    assert set(masks) == {"A.nii.gz", "B.v1.nii.gz", "C.nii.gz", *(path.name for path in others)}


def test_two_volumes_of_one_name_in_other_capitals(infer, dataset_dir, tmp_path):
    volumes = shutil.copytree(dataset_dir / "images", tmp_path / "volumes")
    first = min(volumes.iterdir())
    shutil.copy(first, volumes / first.name.replace(".nii.gz", ".NII.GZ"))
    with pytest.raises(SystemExit, match=r"\Aerror: .*: two volumes of one name; one mask would replace the other\Z"):
        infer(volumes)


def test_a_mask_that_cannot_be_written_whole_is_not_written(
    bundle, workflow, dataset_dir, tmp_path, monkeypatch, one_error_line
):
    def full(image: nibabel.Nifti1Image, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nibabel.Nifti1Image, "to_filename", full)
    out = tmp_path / "out"
    options = {"network_def": NETWORK, "image_size": 64, "output_dir": str(out)}
    run = workflow(bundle, "inference", **{"dataset_dir": str(dataset_dir / "images"), **options}).run
    first = min(path.name for path in (dataset_dir / "images").iterdir())
    told = "cannot be written (No space left on device); what was there before is kept"
    assert one_error_line(run) == f"error: {out}/predictions/{first}: {told}\n"
    assert list((out / "predictions").iterdir()) == []
