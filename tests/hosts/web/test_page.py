"""The page segments volumes of any kind as the runner does, and what a person does with the mask is right."""

import dataclasses
import re

import nibabel
import numpy as np
import onnxruntime
import pytest
from conftest import WHOLE, WINDOW
from dicom_studies import SAGITTAL, save, series_datasets
from nibabel import Nifti1Image, Nifti2Image
from student_runner.niftis import segment_file
from student_runner.student import Student

from data_prep.dicom import SeriesChoice, pick_series, read_series

TILT = np.deg2rad(14)
# Columns of the affine: axial, sagittal, flipped and tilted volumes.
ORIENTATIONS = {
    "RAS": np.eye(3),
    "LPS": np.diag([-1.0, -1, 1]),
    "ASR": np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]]),
    "PIL": np.array([[0, 0, -1.0], [-1, 0, 0], [0, -1, 0]]),
    "tilted": np.array([[-1, 0, 0], [0, -np.cos(TILT), np.sin(TILT)], [0, np.sin(TILT), np.cos(TILT)]]),
}
SPACINGS = [(0.9, 0.9, 3.0), (1.25, 1.0, 3.6), (0.625, 0.625, 4.0)]


def gland(shape, rng):
    """A bright ellipsoid in noise, with texture."""
    places = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    distance = sum(place**2 for place in places)
    return 100 + 250 * (distance < 0.3) * (1 + 0.3 * np.sin(9 * places[0])) + rng.normal(0, 20, shape)


def volumes(folder):
    """One volume for each orientation, with changing spacing, matrix, type, scaling, byte order and NIfTI version."""
    for number, (name, axes) in enumerate(ORIENTATIONS.items()):
        rng = np.random.default_rng(number)
        affine = np.eye(4)
        affine[:3, :3] = axes * SPACINGS[number % 3]
        affine[:3, 3] = rng.normal(0, 40, 3)
        voxels = gland((44 + number, 52 - 3 * number, 7 + number), rng)
        kind = Nifti2Image if name == "tilted" else Nifti1Image
        header = kind.header_class(endianness=">" if name == "PIL" else "<")
        image = kind(voxels.astype((np.int16, np.float32, np.uint16)[number % 3]), affine, header)
        if number % 2:
            image.header.set_slope_inter(2.5, -7)
        path = folder / f"{name}{'.nii' if number % 2 else '.nii.gz'}"
        nibabel.save(image, path)
        yield path


@pytest.mark.parametrize("student", [WHOLE, WINDOW])
def test_masks_are_those_of_the_runner(open_page, students, student, tmp_path, capsys):
    page = open_page(student)
    runner = Student(students[student])
    for path in volumes(tmp_path):
        page.open(path)
        name = path.name.partition(".")[0]
        written = nibabel.load(page.download(f"{name}_mask.nii.gz"))
        segment_file(runner, path, tmp_path / "out" / "mask.nii.gz")
        assert (page.text("#warning") or "").lower()[:50] == capsys.readouterr().err.partition(f"{path}: ")[2][:50]
        expected = nibabel.load(tmp_path / "out" / "mask.nii.gz")
        mask, expected_mask = np.asarray(written.dataobj), np.asarray(expected.dataobj)
        assert mask.dtype == np.uint8
        assert mask.shape == expected_mask.shape
        assert 0.002 < expected_mask.mean() < 0.9
        assert (mask != expected_mask).sum() <= 1e-5 * mask.size, name
        np.testing.assert_allclose(written.affine, expected.affine, atol=1e-5)
        np.testing.assert_allclose(written.header.get_qform(), expected.affine, atol=1e-4)
        assert (int(written.header["sform_code"]), int(written.header["qform_code"])) == (1, 1)
        assert written.header.get_xyzt_units()[0] == "mm"
        ml = expected_mask.sum() * abs(np.linalg.det(expected.affine[:3, :3])) / 1000
        assert page.text("#volume") == f"{ml:.1f}"
    assert page.browser.complaints == []
    with capsys.disabled():
        print(f"\n{name}: {page.text('#timing')} All processes of the browser: {page.browser.memory_mb():.0f} MB.")


def test_the_page_tells_what_it_does(open_page, tmp_path):
    path = next(volumes(tmp_path))
    page = open_page(WHOLE)
    page.browser.run("""
        const step = document.querySelector('#step');
        window.steps = [];
        new MutationObserver(() => window.steps.push(step.innerText)).observe(step, { childList: true }), null
    """)
    page.open(path)
    steps = page.browser.run("[...new Set(window.steps)]")
    assert steps == [f"{verb} RAS.nii.gz…" for verb in ("Reading", "Segmenting", "Drawing")]
    assert re.fullmatch(r"Segmented in \d+\.\d s. 44 x 52 x 7 voxels of 0.9 x 0.9 x 3 mm.", page.text("#timing"))


def test_a_real_volume_and_a_real_study(open_page, students, real_data, tmp_path):
    page = open_page(WINDOW)
    runner = Student(students[WINDOW])
    volume = sorted((real_data / "promise12_multisite").glob("*/Case??.nii.gz"))[0]
    page.open(volume)
    written = nibabel.load(page.download(f"{volume.name.partition('.')[0]}_mask.nii.gz"))
    segment_file(runner, volume, tmp_path / "mask.nii.gz")
    expected = nibabel.load(tmp_path / "mask.nii.gz")
    assert expected.get_fdata().any()
    assert np.count_nonzero(np.asarray(written.dataobj) != np.asarray(expected.dataobj)) <= 1e-5 * np.prod(
        expected.shape
    )

    page.open(real_data / "dicom_prostatex" / "ProstateX-0000")
    titles = page.browser.run("[...document.querySelectorAll('#series-list button')].map((one) => one.innerText)")
    assert len(titles) == 7
    (title,) = [one for one in titles if one.startswith("4 ")]
    assert "axial, 384 x 384 x 19, TE 104 ms" in title
    require_mask_of_the_runner(page, runner, real_data / "dicom_prostatex" / "ProstateX-0000", titles.index(title))


def require_mask_of_the_runner(page, runner, study, place):
    """Choose a series, and compare its mask with that of the runner, both turned to RAS."""
    page.browser.run(f"document.querySelectorAll('#series-list button')[{place}].click()")
    page.browser.wait("!document.querySelector('#result').hidden")
    written = nibabel.as_closest_canonical(nibabel.load(page.download(f"{page.text('#name')}_mask.nii.gz")))
    image = read_series(pick_series(study, SeriesChoice()))
    affine = image.affine.astype(np.float32).astype(np.float64)
    mask = runner.segment(dataclasses.replace(image, affine=affine)).mask
    expected = nibabel.as_closest_canonical(Nifti1Image(mask, affine))
    assert mask.any()
    assert np.count_nonzero(np.asarray(written.dataobj) != np.asarray(expected.dataobj)) <= 1e-5 * mask.size
    np.testing.assert_allclose(written.affine, expected.affine, atol=1e-3)


def test_a_dicom_study_of_several_series(open_page, students, tmp_path):
    shape = (44, 40, 8)
    image = gland(shape, np.random.default_rng(0)).astype(np.uint16)
    save(series_datasets(image=image), tmp_path / "study" / "t2")
    save(series_datasets(number=5, orientation=SAGITTAL, description="t2_sag"), tmp_path / "study" / "sag")
    (tmp_path / "study" / "readme.txt").write_text("no image")
    page = open_page(WHOLE)
    page.browser.drop([tmp_path / "study"])
    page.wait_for_end()
    titles = page.browser.run("[...document.querySelectorAll('#series-list button')].map((one) => one.innerText)")
    assert [title.split("\n")[0] for title in titles] == ["4 t2_tse_tra", "5 t2_sag"]
    assert titles[0].split("\n")[1].startswith("axial, 44 x 40 x 8, TE ")
    assert titles[1].split("\n")[1].startswith("sagittal, ")
    require_mask_of_the_runner(page, Student(students[WHOLE]), tmp_path / "study", 0)


def test_a_correction_changes_the_volume_and_the_downloaded_mask(open_page, tmp_path):
    path = next(volumes(tmp_path))
    page = open_page(WHOLE)
    page.open(path)
    before = np.asarray(nibabel.load(page.download("RAS_mask.nii.gz")).dataobj)
    (page.browser.downloads / "RAS_mask.nii.gz").unlink()
    voxel_ml = 0.9 * 0.9 * 3 / 1000
    page.browser.run("document.querySelector('#size').value = 3; document.querySelector('#size').oninput()")
    page.click("[value=eraser]")
    page.browser.wait("document.querySelector('#canvas').width > 300")
    page.browser.drag([(690, 390), (690, 400)])
    assert page.text("#corrected") == ", corrected by hand"
    erased = nibabel.load(page.download("RAS_mask.nii.gz"))
    after = np.asarray(erased.dataobj)
    gone = np.argwhere(before & ~after & 1)
    assert 9 <= len(gone) <= 60
    assert not (after & ~before & 1).any()
    assert np.ptp(gone, axis=0)[2] == 0  # one slice
    assert page.text("#volume") == f"{after.sum() * voxel_ml:.1f}"

    page.click("#undo")
    page.browser.wait("document.querySelector('#corrected').hidden")
    assert page.text("#volume") == f"{before.sum() * voxel_ml:.1f}"
    page.click("[value=brush]")
    page.browser.drag([(560, 240), (820, 240)])
    assert float(page.text("#volume")) > round(before.sum() * voxel_ml, 1)
    page.click("#reset")
    page.browser.wait("document.querySelector('#corrected').hidden")
    page.click("[value=look]")
    page.browser.drag([(690, 390), (690, 400)])
    assert page.text("#corrected") is None


def test_a_correction_is_not_lost_without_a_question(open_page, tmp_path):
    first, second, *_ = volumes(tmp_path)
    page = open_page(WHOLE)
    page.open(first)
    page.browser.wait("document.querySelector('#canvas').width > 300")
    page.click("[value=eraser]")
    page.browser.drag([(690, 390), (690, 400)])
    page.browser.accepts = False
    page.browser.give_files("#file", [second])
    page.browser.wait("document.querySelector('#name').innerText === 'RAS.nii.gz'")
    page.browser.accepts = True
    page.open(second)
    assert page.text("#name") == second.name
    assert (
        page.browser.questions
        == ["The corrected mask is not downloaded. Open another volume, and lose the corrections?"] * 2
    )


def test_the_page_tells_which_student_it_has(open_page, students):
    page = open_page(WINDOW)
    page.browser.wait("document.querySelector('#notes').childElementCount")
    notes = onnxruntime.InferenceSession(students[WINDOW]).get_modelmeta().custom_metadata_map
    shown = page.text("#notes")
    for key in ("name", "version", "preprocessing", "licence", "intended_use", "weights_sha256", "provenance_sha256"):
        assert notes[key] in shown
    assert "0 background, 1 prostate" in shown
    assert page.text("header").startswith("Prostate segmentation\n\nResearch use only. Not a medical device")


def test_a_second_volume_replaces_the_first_even_while_it_is_segmented(open_page, tmp_path):
    first, second, *_ = volumes(tmp_path)
    page = open_page(WHOLE)
    page.open(first, wait=False)
    page.open(second, wait=False)
    page.browser.wait("!document.querySelector('#result').hidden")
    assert page.text("#name") == second.name
    assert page.browser.complaints == []
