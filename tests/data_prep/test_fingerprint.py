import base64
import csv
import json
import re

import numpy as np
import pytest
from nibabel.affines import from_matvec
from raw_cases import AFFINE, save, small_image, small_mask

from custom_components.foundation.errors import InputError
from data_prep.__main__ import main
from data_prep.fingerprint.command import fingerprint
from data_prep.fingerprint.contact_sheet import PER_SHEET, largest_slice
from data_prep.fingerprint.dataset_sections import LISTED_OUTLIERS, dataset_sections
from data_prep.fingerprint.measuring import QUANTITIES, Case, measure, summarise
from data_prep.fingerprint.outliers import Outlier, find_outliers, modified_z_scores
from reporting.slices import axial

COLUMNS = QUANTITIES[3]


def add_case(dataset, site, number, image=None, mask=None, affine=AFFINE):
    """Add a case to a dataset; with ``mask=False`` the case has no mask."""
    name = f"{site}_Case{number:02d}"
    image = small_image(number) if image is None else image
    entry = {"case": name, "site": site, "patient": name, "image": f"images/{number}.nii.gz", "label": None}
    entry["voxel_sha256"] = str(number)
    save(dataset / entry["image"], image, affine)
    if mask is not False:
        entry["label"] = f"labels/{number}.nii.gz"
        save(dataset / entry["label"], small_mask() if mask is None else mask, affine)
    path = dataset / "dataset.json"
    content = json.loads(path.read_text()) if path.is_file() else {"cases": []}
    content["cases"].append(entry)
    path.write_text(json.dumps(content))
    return entry


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "set"


def read(out):
    return (out / "fingerprint.html").read_text(encoding="utf-8"), json.loads((out / "fingerprint.json").read_text())


def test_a_box_in_an_oblique_sagittal_file_is_measured_in_its_axial_view(dataset):
    # The axes of the array run up, to the front and to the right, and are tilted. The array has 12 slices of 3 mm, 20
    # rows of 0.8 mm and 16 columns of 0.5 mm.
    angle = np.radians(15)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = from_matvec(tilt @ np.array([[0, 0, 0.5], [0, 0.8, 0], [3.0, 0, 0]]), (5, 6, 7))
    image = np.arange(12 * 20 * 16, dtype=np.int16).reshape(12, 20, 16)
    mask = np.zeros(image.shape, np.uint8)
    mask[4:7, 5:10, 6:10] = 1
    case = measure(dataset, add_case(dataset, "HK", 1, image, mask, affine))
    assert (case.name, case.site) == ("HK_Case01", "HK")
    assert case.values == pytest.approx(
        {
            "column_spacing_mm": 0.5,
            "row_spacing_mm": 0.8,
            "slice_spacing_mm": 3.0,
            "columns": 16,
            "rows": 20,
            "slices": 12,
            "intensity_p1": 38.39,  # 0.01 * 3839
            "intensity_p50": 1919.5,
            "intensity_p99": 3800.61,
            "gland_ml": 0.072,  # 3 * 5 * 4 voxels of 1.2 mm3
            "gland_slices": 3,
            "gland_field_mm": 8.0,  # the gland begins at row 5, whose outer edge is 5 rows from the centre
        }
    )


def test_a_case_without_mask_has_no_gland(dataset):
    values = measure(dataset, add_case(dataset, "HK", 1, mask=False)).values
    assert (values["gland_ml"], values["gland_slices"], values["slices"]) == (None, None, 4)


def test_summary_of_a_site():
    cases = [_case(f"{slices}", slices) for slices in (10, 20, 60)]
    summary = summarise(cases)
    assert summary["columns"] == {"n": 3, "mean": 30, "median": 20, "min": 10, "max": 60}
    assert summary["gland_ml"] is None


def _case(name, columns, site="HK"):
    values = dict.fromkeys(quantity.key for quantity in QUANTITIES) | {"columns": columns}
    return Case(name, site, values)


def test_modified_z_scores_by_hand():
    # The median is 3, the absolute deviations are 2 1 0 1 97, and their median is 1.
    scores, usual = modified_z_scores([1, 2, 3, 4, 100], skewed=False)
    assert scores == pytest.approx(np.array([-2, -1, 0, 1, 97]) / 1.4826)
    assert usual == pytest.approx((0, 3 + 3.5 * 1.4826))  # values that are never negative have a range from 0

    # The median deviation is 0, and the mean deviation is 0.1.
    scores, usual = modified_z_scores([3] * 9 + [4], skewed=False)
    assert scores[-1] == pytest.approx(1 / 0.12533)
    assert usual == pytest.approx((3 - 3.5 * 0.12533, 3 + 3.5 * 0.12533))

    # The logarithms are 0 1 2. Their median is 1, and their median deviation is 1.
    scores, usual = modified_z_scores([1, np.e, np.e**2], skewed=True)
    assert scores == pytest.approx(np.array([-1, 0, 1]) / 1.4826)
    assert usual == pytest.approx((np.exp(1 - 3.5 * 1.4826), np.exp(1 + 3.5 * 1.4826)))

    scores, usual = modified_z_scores([0, 5, 5], skewed=True)  # 0 has no logarithm
    assert scores[0] == pytest.approx(-5 / (1.2533 * 5 / 3))
    assert (modified_z_scores([7, 7], skewed=True)[1]) == (7, 7)


def test_a_case_is_held_against_its_own_site():
    hk = [_case(f"HK{place}", value) for place, value in enumerate([100, 101, 102, 103, 104, 160])]
    ucl = [_case(f"UCL{place}", value, "UCL") for place, value in enumerate([160, 161, 162, 163, 164])]
    few = [_case(f"BMC{place}", value, "BMC") for place, value in enumerate([10, 11, 12, 900])]
    (found,) = find_outliers({"HK": hk, "UCL": ucl, "BMC": few})
    assert (found.case, found.quantity, found.value) == ("HK5", COLUMNS, 160)
    assert find_outliers({"UCL": ucl}) == []


def test_the_tile_shows_the_slice_with_the_largest_gland():
    image = np.arange(8 * 7 * 4).reshape(8, 7, 4)
    mask = np.zeros(image.shape, np.uint8)
    mask[2:5, 2:5, 1], mask[2:6, 2:6, 2] = 1, 1
    stack, gland = axial(image, AFFINE), axial(mask, AFFINE)
    pictured, outlined = largest_slice(stack, gland)
    assert pictured.pixels.tolist() == stack.pixels[:, :, 2].tolist()
    assert outlined.pixels.sum() == 16
    pictured, outlined = largest_slice(stack, None)
    assert (pictured.pixels.tolist(), outlined) == (stack.pixels[:, :, 2].tolist(), None)


def test_the_page_needs_nothing_beside_it(dataset, capsys):
    for number in range(6):
        # Only case 5 has voxels that differ from those of the other cases.
        add_case(dataset, "<b>H$K$", number, small_image(number) + 5000 * (number == 5))
    add_case(dataset, "UCL", 6, mask=False)
    assert main(["fingerprint", str(dataset)]) == 0
    summary = "7 cases of 2 sites, 6 with a mask; 1 case unlike the others of the site"
    assert capsys.readouterr().out == f"{dataset}/fingerprint/fingerprint.html: {summary}\n"
    page, numbers = read(dataset / "fingerprint")
    assert summary in page
    assert "&lt;b&gt;H$K$_Case05" in page
    assert "<b>" not in page
    assert not re.search(r'https?:|<link|<script|src="(?!data:)', page)
    sources = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    assert len(sources) == 5  # spacing, matrix, intensity, gland, contact sheet
    assert all(base64.b64decode(source).startswith(b"\x89PNG") for source in sources)
    assert "Sites with fewer than 5 cases are not judged: UCL." in page
    assert {found["case"] for found in numbers["outliers"]} == {"<b>H$K$_Case05"}
    assert {found["quantity"] for found in numbers["outliers"]} == {"intensity_p1", "intensity_p50", "intensity_p99"}
    assert [case["case"] for case in numbers["cases"]] == [f"<b>H$K$_Case{n:02d}" for n in range(6)] + ["UCL_Case06"]
    # The gland has 2 voxels of 1.25 * 1.25 * 3.6 mm3.
    assert numbers["sites"]["<b>H$K$"]["gland_ml"]["median"] == pytest.approx(0.01125, abs=1e-4)
    assert numbers["sites"]["UCL"]["gland_ml"] is None


def test_one_case_is_a_dataset(dataset, tmp_path):
    add_case(dataset, "HK", 1)
    fingerprint(dataset, tmp_path / "out")
    page, numbers = read(tmp_path / "out")
    assert "1 case of 1 site, 1 with a mask; 0 cases unlike" in page
    assert "all sites" not in page
    assert numbers["outliers"] == []


def test_many_cases_fill_several_sheets_and_a_rerun_takes_old_ones_away(dataset, tmp_path):
    for number in range(PER_SHEET + 1):
        add_case(dataset, "HK", number)
    fingerprint(dataset, tmp_path / "out")
    assert _pictures(tmp_path / "out") == ["contact_sheet.png", "contact_sheet_2.png"]
    content = json.loads((dataset / "dataset.json").read_text())
    (dataset / "dataset.json").write_text(json.dumps({"cases": content["cases"][:2]}))
    fingerprint(dataset, tmp_path / "out")
    assert _pictures(tmp_path / "out") == ["contact_sheet.png"]


def _pictures(folder):
    return sorted(path.name for path in folder.glob("*.png"))


def test_the_list_of_outliers_has_an_end():
    cases = [_case(f"HK_Case{number}", number) for number in range(60)]
    outliers = [Outlier(case.name, "HK", COLUMNS, 1, (2, 3), 4.0) for case in cases]
    _, listed, _ = dataset_sections({"HK": cases}, outliers, [], [])
    assert len(listed.blocks[0].lines) == LISTED_OUTLIERS
    assert listed.blocks[1].text == "The 40 farthest; 20 more are in fingerprint.json."


def test_sheets_that_do_not_fit_on_the_page_are_named():
    _, _, sheets = dataset_sections({"HK": [_case("HK_Case1", 1)]}, [], [], ["contact_sheet_6.png"])
    assert sheets.blocks[-1].text == "Further sheets lie beside this page: contact_sheet_6.png."


def _lose_image(dataset):
    (dataset / "images/1.nii.gz").unlink()


def _cut_mask(dataset):
    save(dataset / "labels/1.nii.gz", small_mask()[:7])


def _move_mask(dataset):
    one_slice_up = from_matvec(np.eye(3), [0, 0, 3.6])
    save(dataset / "labels/1.nii.gz", small_mask(), one_slice_up @ AFFINE)


def _spoil_image(dataset):
    image = small_image(1).astype(np.float32)
    image[0, 0, 0] = np.nan
    save(dataset / "images/1.nii.gz", image)


def _empty(dataset):
    (dataset / "dataset.json").write_text('{"cases": []}')


def _forget_image(dataset):
    content = json.loads((dataset / "dataset.json").read_text())
    del content["cases"][0]["image"]
    (dataset / "dataset.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_lose_image, "images/1.nii.gz: no such file"),
        (_cut_mask, r"labels/1.nii.gz: has shape \(7, 7, 4\), its image \(8, 7, 4\)"),
        (_move_mask, "labels/1.nii.gz: lies up to 3.6 mm off its image .*; import the dataset again"),
        (_spoil_image, "images/1.nii.gz: holds voxels that are NaN or infinite"),
        (_empty, "dataset.json: has no case"),
        (_forget_image, "dataset.json: has a case without image;"),
    ],
)
def test_a_fault_is_named_and_nothing_written(dataset, tmp_path, spoil, message):
    add_case(dataset, "HK", 1)
    spoil(dataset)
    with pytest.raises(InputError, match=rf"\A{dataset}/{message}"):
        fingerprint(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_place_to_write_to(dataset, tmp_path):
    add_case(dataset, "HK", 1)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match=r"\A\S+/out: is a file; name a folder"):
        fingerprint(dataset, tmp_path / "out")


def test_real_cases_measure_what_their_manifest_says(real_data):
    folder = real_data / "promise12_multisite"
    with (folder / "manifest.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        label = line["file"].replace(".nii.gz", "_segmentation.nii.gz")
        values = measure(folder, {**line, "image": line["file"], "label": label}).values
        assert values["gland_ml"] == pytest.approx(float(line["mask_ml"]), abs=0.06)
        assert values["gland_slices"] == int(line["mask_slices"])
        assert f"{values['columns']}x{values['rows']}x{values['slices']}" == line["shape_xyz"]
        assert values["slice_spacing_mm"] == pytest.approx(float(line["spacing_z"]), abs=6e-4)
