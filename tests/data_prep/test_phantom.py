import json

import numpy as np
import pytest
from raw_cases import validate
from scipy.ndimage import label

from data_prep.__main__ import main
from data_prep.importing import import_dataset
from data_prep.phantom.command import draw_case, make_phantom
from data_prep.phantom.fields import Grid, ellipse, inside, paint, shell
from data_prep.phantom.sites import SITES
from data_prep.phantom.threshold import threshold_dice

SITE = {site.name: site for site in SITES}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "raw"
    return folder, make_phantom(folder, cases_per_site=3, matrix=96)


def test_it_is_sound_raw_data_of_six_sites(phantom, tmp_path):
    folder, _ = phantom
    assert sorted(path.name for path in folder.iterdir()) == ["BIDMC", "BMC", "HK", "I2CVB", "RUNMC", "UCL"]
    assert validate(folder) == []
    import_dataset(folder, tmp_path / "set")
    cases = json.loads((tmp_path / "set" / "dataset.json").read_text())["cases"]
    assert len(cases) == 18
    assert {case["shape"][2] for case in cases} == {12}
    assert len({case["spacing_mm"][0] for case in cases}) >= 5


def test_equal_seeds_give_equal_files_and_other_seeds_other_patients(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make_phantom(tmp_path / name, cases_per_site=1, seed=seed, matrix=48, slices=6)
    files = {name: [path.read_bytes() for path in sorted((tmp_path / name).rglob("*.gz"))] for name in "abc"}
    assert len(files["a"]) == 12
    assert files["a"] == files["b"]
    assert not set(files["a"]) & set(files["c"])


def test_intensity_alone_does_not_find_the_gland(phantom):
    _, scores = phantom
    assert max(scores.values()) < 0.6
    assert np.mean(list(scores.values())) < 0.4


def test_its_greys_are_found_all_over_the_pelvis():
    """Most voxels within the middle half of the gland's intensities lie outside the gland."""
    for site in SITES:
        image, mask = (volume.voxels for volume in draw_case(site, 12, 0, 0))
        gland = mask > 0
        low, high = np.percentile(image[gland], [25, 75])
        alike = (image >= low) & (image <= high)
        assert np.count_nonzero(alike & ~gland) > 3 * np.count_nonzero(alike & gland), site.name


def test_the_gland_is_one_piece_of_human_size_and_absent_at_both_ends():
    for number, site in enumerate(SITES * 2):
        _, mask = draw_case(site, 12, 5, number)
        volume_ml = mask.voxels.sum() * np.prod(mask.spacing_mm) / 1000
        slices = mask.voxels.any(axis=(0, 1))
        assert 12 < volume_ml < 110
        assert not slices[0] or not slices[-1]
        assert 7 <= slices.sum() <= 11
        assert label(mask.voxels)[1] == 1


def test_the_peripheral_zone_shines_before_the_central_gland():
    """At sites without a coil in the rectum, the gland is brighter behind its centre than in front of it."""
    differences = []
    for index in range(4):
        image, mask = (volume.voxels for volume in draw_case(SITE["HK"], 12, 1, index))
        middle = mask.any(axis=(0, 1)).nonzero()[0].mean().astype(int)
        rows = mask[:, :, middle].nonzero()[1]
        front = (np.arange(image.shape[1]) < np.median(rows))[None]
        gland = mask[:, :, middle] > 0
        differences.append(image[:, :, middle][gland & ~front].mean() / image[:, :, middle][gland & front].mean())
    assert np.mean(differences) > 1.15


def test_an_endorectal_coil_is_dark_behind_the_gland_and_bright_around():
    image, mask = (volume.voxels for volume in draw_case(SITE["BIDMC"], 12, 0, 0))
    middle = mask.any(axis=(0, 1)).nonzero()[0].mean().astype(int)
    column = int(np.median(mask[:, :, middle].nonzero()[0]))
    back = mask[:, :, middle].nonzero()[1].max()
    behind = image[column - 3 : column + 4, back + 8 : back + 35, middle]
    assert behind.min() < 0.1 * np.percentile(image, 99)
    corner = image[:20, :20, middle]
    assert image[:, :, middle][mask[:, :, middle] > 0].mean() > 1.5 * corner.mean()


def test_threshold_dice_is_one_for_a_plain_blob_and_low_for_a_camouflaged_one():
    mask = np.zeros((32, 32, 4), bool)
    mask[8:20, 8:20, 1:3] = True
    assert threshold_dice(np.where(mask, 100.0, 0.0), mask) > 0.85
    noise = np.random.default_rng(0).uniform(0, 1, mask.shape)
    assert threshold_dice(noise, mask) < 0.5


def test_smooth_noise_has_its_grain_in_mm():
    grid = Grid.centred((64, 64, 16), (1.0, 0.5, 3.0))
    fine, coarse = (grid.noise(np.random.default_rng(0), scale) for scale in (4, 20))
    for field in (fine, coarse):
        assert field.shape == (64, 64, 16)
        assert field.dtype == np.float32
        assert abs(float(field.mean())) < 1e-4
        assert float(field.std()) == pytest.approx(1, abs=1e-3)
    # Voxels 4 mm apart have nearly equal values in the coarse field, but not in the fine field.
    along_x = [float((field[4:] * field[:-4]).mean()) for field in (fine, coarse)]
    assert along_x[0] < 0.7 < 0.9 < along_x[1]


def test_shapes_are_measured_in_mm():
    x, y = np.array([0.0, 10.0, 12.0, 0.0]), np.array([0.0, 0.0, 0.0, 4.0])
    np.testing.assert_allclose(ellipse(x, y, (0, 0), (10, 4)), [-4, 0, 0.8, 0])
    np.testing.assert_allclose(ellipse(y, x, (0, 0), (10, 4), 90), [-4, 0, 0.8, 0], atol=1e-9)
    np.testing.assert_allclose(inside(np.array([-3, 0, 0.3, 3.0])), [1, 0.5, 0.25, 0])
    np.testing.assert_allclose(shell(np.array([-9, -1, 9.0]), 2), [0, 1, 0])
    signal = np.array([1.0, 1.0])
    paint(signal, np.array([0.0, 0.25]), 0.0)
    np.testing.assert_allclose(signal, [1, 0.75])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases-per-site", "0"], "--cases-per-site 0: give at least 1"),
        (["--matrix", "8"], "--matrix 8: give at least 32"),
        (["--slices", "1"], "--slices 1: give at least 4"),
    ],
)
def test_sizes_that_are_too_small_are_refused(tmp_path, capsys, arguments, message):
    assert main(["phantom", str(tmp_path / "raw"), *arguments]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_it_made(tmp_path, capsys):
    arguments = ["--cases-per-site", "1", "--matrix", "64", "--slices", "6"]
    assert main(["phantom", str(tmp_path / "raw"), *arguments]) == 0
    made, score = capsys.readouterr().out.splitlines()
    assert made == f"{tmp_path / 'raw'}: 1 cases at each of RUNMC, BMC, I2CVB, UCL, BIDMC, HK"
    assert score.startswith("intensity alone: mean Dice 0.")
