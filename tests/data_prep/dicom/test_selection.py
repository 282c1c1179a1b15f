from pathlib import Path

import pytest
from dicom_studies import AXIAL, CORONAL, SAGITTAL, enhanced_dataset, item, save, series_datasets

from custom_components.foundation.errors import InputError
from data_prep.dicom import SeriesChoice, find_series, read_series, select_series
from data_prep.dicom.headers import quietly, slices_of
from data_prep.dicom.series import group_series

# The axial plane, rotated by 90 degrees within the plane. It is still axial, although its rows are AXIAL's columns.
TURNED = tuple(AXIAL[3:]) + tuple(-x for x in AXIAL[:3])


def series_of(*images):
    return group_series(piece for image in images for one in image for piece in slices_of(one, Path("x")))


def reason(**tags) -> str:
    (only,) = series_of(series_datasets(**tags))
    ((_, said),) = select_series([only]).reasons
    return said


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"orientation": SAGITTAL}, "sagittal"),
        ({"orientation": CORONAL}, "coronal"),
        ({"EchoTime": 14}, "proton density (TE 14 ms)"),
        ({"EchoTime": 11, "RepetitionTime": 520}, "T1-weighted (TR 520 ms)"),
        ({"ScanningSequence": "GR"}, "gradient echo"),
        ({"ScanningSequence": "GR", "description": "tfl 3d PD"}, "gradient echo (proton density)"),
        ({"ScanningSequence": ["SE", "IR"]}, "inversion recovery"),
        ({"ScanningSequence": "EP"}, "echo planar"),
        ({"DiffusionBValue": 800.0}, "diffusion, b 800 s/mm²"),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]}, "diffusion"),
        ({"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}, "ADC map"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived (DERIVED/SECONDARY/MPR)"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"description": "3-plane_Localizer"}, "localizer"),
        ({"ScanOptions": ["PFP", "FS"]}, "fat-suppressed"),
        ({"description": "t2_tse_tra_fs"}, "fat-suppressed"),
        ({"Modality": "CT"}, "CT, not MR"),
        (
            {"EchoTime": None, "description": "tse tra"},
            "unknown contrast: no echo time, and no T2 in the description",
        ),
    ],
)
def test_what_is_no_axial_t2w_is_told_why(tags, said):
    assert reason(**tags) == said


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"orientation": TURNED},
        {"EchoTime": 90, "RepetitionTime": 1500, "MRAcquisitionType": "3D"},
        {"EchoTime": None, "RepetitionTime": None, "ScanningSequence": None},
        {"DiffusionBValue": 0.0},
        {"ScanOptions": "SAT1"},
    ],
)
def test_what_is_axial_t2w_is_picked(tags):
    assert reason(**tags).startswith("picked: axial")


def test_b_values_mixed_in_one_series_are_all_named():
    images = [series_datasets(ScanningSequence="EP", DiffusionBValue=float(b)) for b in (400, 0, 50)]
    ((_, said),) = select_series(series_of(*images)).reasons
    assert said == "diffusion, b 0, 50, 400 s/mm²"


@pytest.mark.parametrize(
    ("group", "creator", "element", "vr", "value"),
    [
        (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "800"),
        (0x0019, "SIEMENS MR HEADER", 0x0C, "OB", b"800 "),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", [1000000800, 8, 0, 0]),
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", 800.0),
    ],
)
def test_the_vendors_b_values_are_known(group, creator, element, vr, value):
    datasets = series_datasets()
    for dataset in datasets:
        dataset.private_block(group, "ANOTHER", create=True).add_new(element, "LO", "no b-value")
        dataset.private_block(group, creator, create=True).add_new(element, vr, value)
    ((_, said),) = select_series(series_of(datasets)).reasons
    assert said == "diffusion, b 800 s/mm²"


def test_a_vendors_b_value_is_found_in_the_file(tmp_path):
    datasets = series_datasets()
    for dataset in datasets:
        dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "800")
    save(datasets, tmp_path)
    ((_, said),) = select_series(find_series(tmp_path)).reasons
    assert said == "diffusion, b 800 s/mm²"


@pytest.mark.parametrize(
    ("group", "creator", "element", "value"),
    [(0x0019, "PHILIPS MR/PART", 0x0C, -12.5), (0x0043, "ANOTHER", 0x39, 800.0), (0x2001, "ANOTHER", 0x03, 800.0)],
)
def test_what_another_creator_stores_there_is_no_b_value(group, creator, element, value):
    datasets = series_datasets()
    for dataset in datasets:
        dataset.private_block(group, creator, create=True).add_new(element, "FL", value)
    assert select_series(series_of(datasets)).picked


def test_a_negative_b_value_is_none():
    assert reason(DiffusionBValue=-1.0).startswith("picked: axial")


BLANKS = [None, "", "  ", "\\"]


@pytest.mark.parametrize("blank", BLANKS)
def test_what_is_empty_is_absent_from_a_header(blank):
    tags = (
        *("EchoTime", "RepetitionTime", "ScanningSequence", "ScanOptions", "ProtocolName", "StackID", "FrameType"),
        *("EffectiveEchoTime", "EchoPulseSequence", "EchoPlanarPulseSequence", "InversionRecovery", "DiffusionBValue"),
        "SeriesNumber",
    )
    with quietly():
        (series,) = series_of(series_datasets(**dict.fromkeys(tags, blank)))
        assert (series.first.echo_time_ms, series.first.repetition_time_ms, series.first.number) == (None,) * 3
        assert (series.first.stack, series.first.sequence, series.first.b_value) == ("", frozenset(), None)
        assert series.first.image_type == ("ORIGINAL", "PRIMARY", "M")
        assert select_series([series]).reasons[0][1] == "picked: axial, 6 slices"


@pytest.mark.parametrize("blank", BLANKS)
def test_an_empty_successor_does_not_hide_a_value(blank):
    with quietly():
        (series,) = series_of(series_datasets(EffectiveEchoTime=blank, SeriesDescription=blank, ProtocolName="t2 tra"))
        assert (series.first.echo_time_ms, series.first.description) == (104, "t2 tra")


def test_several_values_where_one_is_due():
    said = {
        "EchoTime": [104, 104],
        "EchoPulseSequence": ["SPIN", "SPIN"],
        "SeriesDescription": ["t2", "tra"],
        "SeriesNumber": [4, 4],
    }
    (series,) = series_of(series_datasets(**said))
    assert (series.first.echo_time_ms, series.first.number, series.first.description) == (104, 4, "t2\\tra")


@pytest.mark.parametrize("blank", [*BLANKS, "0.5\\"])
@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"])
def test_a_place_that_is_half_said_is_not_said(tmp_path, keyword, blank):
    with quietly():
        save(series_datasets(**{keyword: blank}), tmp_path)
    with pytest.raises(
        InputError, match=rf"\A{tmp_path}/IM0000: its series has 6 slices without a usable {keyword}; export it again"
    ):
        read_series(find_series(tmp_path)[0])


def test_two_echoes_in_one_series_are_not_picked():
    ((_, said),) = select_series(series_of(series_datasets(), series_datasets(EchoTime=15))).reasons
    assert said == "2 echo times in one series"


def test_a_localizer_of_three_planes_is_not_picked():
    images = [series_datasets(orientation=orientation)[:2] for orientation in (AXIAL, SAGITTAL, CORONAL)]
    ((_, said),) = select_series(series_of(*images)).reasons
    assert said == "slices in several planes, or in none"


def test_a_few_slices_are_no_volume():
    ((_, said),) = select_series(series_of(series_datasets()[:3])).reasons
    assert said == "only 3 slices"


def series_uid(number):
    return series_datasets(number=number)[0].SeriesInstanceUID


def two_t2():
    return series_of(series_datasets(number=4), series_datasets(number=9, PixelSpacing=[0.4, 0.4]))


def test_a_tie_is_refused_and_each_candidate_shown():
    selection = select_series(two_t2())
    assert selection.picked is None
    assert selection.problem == "has 2 axial T2w series (numbers 4, 9)"
    assert [said for _, said in selection.reasons] == ["fits: axial, TE 104 ms, TR 5660 ms, 6 slices"] * 2


@pytest.mark.parametrize("tie", ["finest", "last"])
def test_a_tie_is_decided_as_told(tie):
    assert select_series(two_t2(), SeriesChoice(tie=tie)).picked.first.number == 9
    assert select_series(two_t2()[::-1], SeriesChoice(tie=tie)).picked.first.number == 9


def test_equally_fine_series_still_tie():
    series = series_of(series_datasets(number=4), series_datasets(number=9))
    assert select_series(series, SeriesChoice(tie="finest")).problem == "has 2 axial T2w series (numbers 4, 9)"


def test_the_last_of_one_number_is_none_but_for_stacks_of_one_file():
    twice = series_of(series_datasets(number=4), series_datasets(number=4, study="S2"))
    assert select_series(twice, SeriesChoice(tie="last")).problem == "has 2 axial T2w series (numbers 4, 4)"
    stacks = [enhanced_dataset() for _ in range(3)]
    for stack, dataset in zip(("9", "10", "2"), stacks, strict=True):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            group.FrameContentSequence[0].StackID = stack
    assert select_series(series_of(stacks), SeriesChoice(tie="last")).picked.first.stack == "10"
    assert select_series(series_of(stacks), SeriesChoice(match="stack 9$")).picked.first.stack == "9"


def test_a_host_is_told_by_variables_and_names_them(monkeypatch):
    for series, tie, number in (("", "", None), ("", "last", 9), ("", "finest", 9), (series_uid(4), "", 4)):
        monkeypatch.setenv("SERIES", series)
        monkeypatch.setenv("TIE", tie)
        picked = select_series(two_t2(), SeriesChoice.from_environment()).picked
        assert (picked and picked.first.number) == number
    monkeypatch.setenv("SERIES", "t2")
    selection = select_series(two_t2(), SeriesChoice.from_environment())
    assert selection.problem == "has 2 axial T2w series that SERIES names (numbers 4, 9)"
    assert SeriesChoice.from_environment().advice == "choose with SERIES or TIE"
    monkeypatch.setenv("TIE", "best")
    with pytest.raises(InputError, match=r"\ATIE best: unknown; give finest or last"):
        SeriesChoice.from_environment()
    monkeypatch.setenv("SERIES", "(")
    monkeypatch.delenv("TIE")
    with pytest.raises(InputError, match=r"\ASERIES \(: not a regular expression"):
        SeriesChoice.from_environment()


def test_a_name_narrows_the_choice_and_overrules_the_rules_when_it_is_the_only_one():
    series = series_of(
        series_datasets(number=1, description="T2 tra"),
        series_datasets(number=2, description="T2 tra repeated"),
        series_datasets(number=3, description="MPR tra", ImageType=["DERIVED", "SECONDARY", "MPR"]),
    )
    assert select_series(series, SeriesChoice(match="REPEATED")).picked.first.number == 2
    assert select_series(series, SeriesChoice(match="mpr")).picked.first.number == 3
    assert select_series(series, SeriesChoice(match=series[0].first.series_uid)).picked.first.number == 1
    assert select_series(series, SeriesChoice(match="repeated|mpr")).picked.first.number == 2
    assert select_series(series, SeriesChoice(match="^T2")).problem == (
        "has 2 axial T2w series that --series names (numbers 1, 2)"
    )
    assert select_series(series, SeriesChoice(match="cube")).problem == (
        "has no axial T2w series that --series names (3 series)"
    )


@pytest.mark.parametrize(
    ("choice", "message"),
    [({"match": "("}, r"--series \(: not a regular expression"), ({"tie": "best"}, "--tie best: unknown")],
)
def test_a_choice_that_means_nothing_is_refused(choice, message):
    with pytest.raises(InputError, match=rf"\A{message}"):
        SeriesChoice(**choice)


def test_stacks_of_an_enhanced_image_are_judged_one_by_one():
    axial, sagittal = enhanced_dataset(), enhanced_dataset(orientation=SAGITTAL)
    for group in sagittal.PerFrameFunctionalGroupsSequence:
        group.FrameContentSequence[0].StackID = "2"
    series = series_of([axial], [sagittal])
    assert [said for _, said in select_series(series).reasons] == [
        "picked: axial, TE 104 ms, TR 5660 ms, 6 slices",
        "sagittal",
    ]


def test_b_values_of_an_enhanced_image_are_found_in_its_frames():
    dataset = enhanced_dataset()
    for index, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        group.MRDiffusionSequence = [item(DiffusionBValue=float(100 * (index % 2)))]
    ((_, said),) = select_series(series_of([dataset])).reasons
    assert said == "diffusion, b 0, 100 s/mm²"


def test_the_axial_t2w_of_a_real_study_is_picked_and_each_other_series_explained(real_data):
    selection = select_series(find_series(real_data / "dicom_prostatex"))
    assert {series.first.number: said for series, said in selection.reasons} == {
        3: "sagittal",
        4: "picked: axial, TE 104 ms, TR 5660 ms, 19 slices",
        5: "coronal",
        6: "diffusion, b 50, 400, 800 s/mm²",
        7: "ADC map",
        8: "diffusion, b 1000 s/mm²",
        9: "gradient echo (proton density)",
    }
    assert selection.picked.first.number == 4
