"""Other programs write every layout; each import gives the same voxels at the same place in the patient."""

import nibabel
import numpy as np
import pytest
import sources_on_disk as layouts
from raw_cases import small_image, small_mask, validate

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from data_prep import sources
from data_prep.folder_tree import read_tree
from data_prep.importing import import_dataset
from data_prep.sources.case import require_site

# (layout, site given, {case: (patient, image, merged mask or None)})
LAYOUTS = [
    (layouts.multi_site, None, {"RUNMC_Case00": ("RUNMC_Case00", small_image(1), small_mask(1, 1))}),
    (
        layouts.promise12,
        "P12",
        {
            "P12_Case00": ("P12_Case00", small_image(3), None),
            "P12_Case01": ("P12_Case01", small_image(1), small_mask()),
            "P12_Case02": ("P12_Case02", small_image(2), small_mask()),
        },
    ),
    (
        layouts.nci_isbi,
        None,
        {
            "BMC_ProstateDx-01-0007": ("BMC_ProstateDx-01-0007", small_image(1), small_mask(1)),
            "RUNMC_Prostate3T-01-0001": ("RUNMC_Prostate3T-01-0001", small_image(0), small_mask(1, 1)),
        },
    ),
    (
        layouts.i2cvb,
        None,
        {
            "I2CVB_Patient_387": ("I2CVB_Patient_387", small_image(1), small_mask()),
            "I2CVB_Patient_410": ("I2CVB_Patient_410", small_image(2), None),
        },
    ),
    (
        layouts.decathlon,
        "MSD",
        {
            "MSD_prostate_00": ("MSD_prostate_00", small_image(1), small_mask(1, 1)),
            "MSD_prostate_03": ("MSD_prostate_03", small_image(2), None),
        },
    ),
    (
        layouts.bids,
        "B",
        {
            "B_sub-01_acq-axial": ("B_sub-01", small_image(1), small_mask()),
            "B_sub-02_ses-1": ("B_sub-02", small_image(3), None),
        },
    ),
]


@pytest.mark.parametrize(("write", "site", "expected"), LAYOUTS, ids=[layout[0].__name__ for layout in LAYOUTS])
def test_voxels_and_place_survive(tmp_path, write, site, expected):
    raw = write(tmp_path / "raw")
    findings = import_dataset(raw, tmp_path / "set", site=site)
    assert [finding.problem for finding in findings] == (
        ["is the same image as B_sub-02_ses-1"] if write is layouts.bids else []
    )
    entries = {entry["case"]: entry for entry in read_json(tmp_path / "set" / "dataset.json")["cases"]}
    assert entries.keys() == expected.keys()
    for name, (patient, image, mask) in expected.items():
        entry = entries[name]
        assert entry["patient"] == patient
        assert (raw / entry["source"]).exists()
        written = nibabel.load(tmp_path / "set" / entry["image"])
        np.testing.assert_array_equal(written.get_fdata(), image)
        np.testing.assert_allclose(written.affine, layouts.affine(), atol=1e-4)
        if mask is None:
            assert entry["label"] is None
        else:
            label = nibabel.load(tmp_path / "set" / entry["label"])
            np.testing.assert_array_equal(label.get_fdata(), mask)
            np.testing.assert_array_equal(label.affine, written.affine)
    assert validate(tmp_path / "set") == []


@pytest.mark.parametrize(("write", "site", "expected"), LAYOUTS, ids=[layout[0].__name__ for layout in LAYOUTS])
def test_each_layout_is_recognised_by_one_source(tmp_path, write, site, expected):
    raw = write(tmp_path / "raw")
    matching = [source.NAME for source in sources.SOURCES if source.recognises(read_tree(raw))]
    assert [name for name in matching if name != "dicom"] == [write.__name__]
    named = sources.find_cases(raw, site, write.__name__)
    assert [case.name for case in named.cases] == [case.name for case in sources.find_cases(raw, site).cases]


def test_a_mask_stored_in_another_slice_order_lands_on_the_image(tmp_path):
    raw = layouts.multi_site(tmp_path / "raw")
    path = raw / "RUNMC" / "Case00_segmentation.nii.gz"
    voxels = small_mask()
    voxels[0, 0, 0] = 1
    turned = nibabel.Nifti1Image(voxels, layouts.affine()).as_reoriented([[1, -1], [0, 1], [2, -1]])
    assert turned.shape == (7, 8, 4)
    nibabel.save(turned, path)
    import_dataset(raw, tmp_path / "set")
    written = nibabel.load(tmp_path / "set" / "labels" / "RUNMC_Case00.nii.gz")
    np.testing.assert_array_equal(written.get_fdata(), voxels)


def test_two_layouts_in_one_folder_are_asked_about(tmp_path):
    layouts.bids(layouts.promise12(tmp_path / "raw"))
    with pytest.raises(InputError, match=r"\A\S+/raw: several layouts fit; name it with --source \(promise12, bids\)"):
        sources.find_cases(tmp_path / "raw")


def test_a_layout_that_does_not_tell_its_site_asks_for_it(tmp_path):
    with pytest.raises(
        InputError, match=r"\A\S+/raw: nothing in it says which site it comes from; name it with --site"
    ):
        sources.find_cases(layouts.promise12(tmp_path / "raw"))
    assert require_site(tmp_path, "HK") == "HK"


def test_what_is_not_taken_is_said(tmp_path):
    notes = sources.find_cases(layouts.bids(tmp_path / "raw"), "B").notes
    assert notes == ["sub-01/anat/sub-01_acq-sag_T2w.nii.gz: not taken, acq-sag is another plane"]


def test_real_volumes_survive_metaimage_and_nrrd(real_data, tmp_path):
    """itk writes one study of each site in PROMISE12's layout; its import equals the original NIfTI."""
    import itk

    images = sorted((real_data / "promise12_multisite").glob("*/Case??.nii.gz"))[::12]
    for path in images:
        for end in ("", "_segmentation"):
            name = path.name.replace(".nii.gz", f"{end}.nii.gz")
            itk.imwrite(itk.imread(str(path.with_name(name))), str(tmp_path / name.replace(".nii.gz", ".mhd")))
    listing = sources.find_cases(tmp_path, "P12")
    assert len(listing.cases) == len(images) >= 3
    for path, case in zip(sorted(images, key=lambda path: path.name), listing.cases, strict=True):
        original, volume = nibabel.load(path), case.read_image()
        np.testing.assert_array_equal(volume.voxels, np.asanyarray(original.dataobj))
        np.testing.assert_allclose(volume.affine, original.affine, atol=1e-3)
