import pytest

from custom_components.foundation.errors import InputError
from data_prep.sources import find_cases


@pytest.fixture
def layout(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


def full_names(listing):
    return [f"{case.site}_{case.name}" for case in listing.cases]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("Case00.nii.gz", "Case00_segmentation.nii.gz"),
        ("Case00.nii.gz", "Case00_Segmentation.nii.gz"),
        ("Case00.NII.GZ", "case00_SEGMENTATION.nii"),
        ("Case00.nii", "Case00_segmentation.nii.gz"),
    ],
)
def test_the_mask_is_found_in_every_spelling(layout, image, mask):
    listing = find_cases(layout(f"HK/{image}", f"HK/{mask}"))
    (case,) = listing.cases
    assert (case.name, case.site, case.patient, case.source) == ("Case00", "HK", "Case00", f"HK/{image}")
    assert (case.image.name, case.label.name) == (image, mask)


def test_companions_tables_and_hidden_files_are_no_cases(layout):
    listing = find_cases(
        layout(
            "manifest.csv", ".DS_Store", "HK/._Case00.nii.gz", "HK/notes.csv", "HK/Case00.nii.gz",
            "HK/Case00_segmentation.nii.gz", "HK/Case00_zones.nii.gz", "HK/Case01_zones.nii.gz",
            "HK/Case01_segmentation.nii.gz",
        )
    )  # fmt: skip
    assert full_names(listing) == ["HK_Case00"]
    assert listing.notes == ["ignored as neither image nor mask: 4, such as HK/notes.csv"]
    assert [finding.problem for finding in listing.findings] == ["has no image"]


def test_an_underscore_does_not_make_a_companion(layout):
    listing = find_cases(layout("HK/Case_1.nii.gz", "HK/Case_1_segmentation.nii.gz"))
    assert full_names(listing) == ["HK_Case_1"]
    assert listing.cases[0].label is not None


def test_a_case_named_like_a_companion_is_a_case_if_it_has_a_mask(layout):
    names = ["Case01", "Case01_b"]
    folder = layout(*(f"HK/{name}{end}.nii.gz" for name in names for end in ("", "_segmentation")))
    listing = find_cases(folder)
    assert full_names(listing) == ["HK_Case01", "HK_Case01_b"]
    assert not listing.findings


def test_a_case_that_is_there_twice_is_a_finding(layout):
    folder = layout("HK/Case00.nii.gz", "HK/Case00.nii", "HK/Case00_segmentation.nii.gz")
    (finding,) = find_cases(folder).findings
    assert str(finding) == (
        f"{folder}/HK/Case00.nii.gz: is the same case as a file beside it (Case00.nii); remove one of the two"
    )


def test_two_cases_of_one_name_are_findings(layout):
    names = ("A/B_C.nii.gz", "A/B_C_segmentation.nii.gz", "A_B/C.nii.gz", "A_B/C_segmentation.nii.gz")
    findings = find_cases(layout(*names)).findings
    assert [finding.full_problem for finding in findings] == ["would be named like another case (A_B_C)"] * 2


def test_one_folder_alone_is_a_site(layout):
    folder = layout("HK/Case00.nii.gz", "HK/Case00_segmentation.nii.gz")
    (case,) = find_cases(folder / "HK", site="mine").cases
    assert (case.site, case.name, case.source) == ("mine", "Case00", "Case00.nii.gz")


def test_a_site_may_have_a_folder_for_each_patient(layout):
    folder = layout("Ann/t2.nii.gz", "Ann/t2_segmentation.nii.gz", "Bob/t2.nii.gz", "notes.csv")
    listing = find_cases(folder, site="HK")
    assert [(case.site, case.patient, case.name) for case in listing.cases] == [
        ("HK", "Ann", "Ann_t2"),
        ("HK", "Bob", "Bob_t2"),
    ]
    assert listing.notes == [
        "ignored as neither image nor mask: 1, such as notes.csv",
        "read as folders of one patient each: 2",
    ]


def test_the_released_sites_are_no_patients(layout):
    folder = layout("HK/Case00.nii.gz", "HK/Case00_segmentation.nii.gz", "UCL/Case01.nii.gz")
    with pytest.raises(
        InputError,
        match=r"\A\S+: holds the sites HK, UCL; leave --site out, or import the folder of one",
    ):
        find_cases(folder, site="mine")


@pytest.mark.parametrize("site", ["../../Esc", "a/b", ".hidden", "two words", ".."])
def test_a_site_is_named_like_a_file(layout, site):
    folder = layout("HK/Case00.nii.gz", "HK/Case00_segmentation.nii.gz")
    with pytest.raises(
        InputError, match=rf"\A{folder}/HK: {site!r} is no name of a site; use letters, digits and _ . -"
    ):
        find_cases(folder / "HK", site)


def test_a_folder_that_names_a_site_is_held_to_it_too(layout):
    folder = layout("Hong Kong/Case00.nii.gz", "Hong Kong/Case00_segmentation.nii.gz")
    with pytest.raises(InputError, match=r"\A\S+: 'Hong Kong' is no name of a site"):
        find_cases(folder)


def test_a_folder_that_is_no_layout_says_so(tmp_path):
    (tmp_path / "Case00.nii.gz").touch()
    with pytest.raises(
        InputError,
        match=r"\A\S+: no known layout fits; name it with --source \(multi_site",
    ):
        find_cases(tmp_path)
    with pytest.raises(
        InputError,
        match=r"\A\S+: holds no case in the layout multi_site; try another --source",
    ):
        find_cases(tmp_path, source="multi_site")
    with pytest.raises(InputError, match=r"\A\S+/absent: no such folder"):
        find_cases(tmp_path / "absent")
