import hashlib
import itertools
import json

import pytest
from monai.data import load_decathlon_datalist

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, sha256_of
from custom_components.foundation.split_lists import LISTS
from data_prep.__main__ import main
from data_prep.importing import import_dataset
from data_prep.splitting import split_dataset


def dataset_of(folder, patients):
    """Write a dataset.json, the only file that splitting reads; ``patients`` holds (site, patient) of each case."""
    cases = [
        {
            "case": f"{site}_{number:02d}",
            "site": site,
            "patient": patient,
            "image": f"images/{site}_{number:02d}.nii.gz",
            "label": f"labels/{site}_{number:02d}.nii.gz",
            "voxel_sha256": f"{site}{number}",
        }
        for number, (site, patient) in enumerate(patients)
    ]
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"name": "set", "cases": cases}))
    return folder


def sites_of(counts):
    return [(site, f"{site}{number}") for site, count in counts.items() for number in range(count)]


def names(split, key):
    return {item["case"] for item in split[key]}


@pytest.mark.parametrize(
    ("patients", "expected"),
    [
        # Numbers of training, validation and test cases for 80/5/15. With three patients or more, no list is empty.
        (1, (0, 0, 1)),
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (6, (4, 1, 1)),
        (10, (7, 1, 2)),
        (30, (23, 2, 5)),
    ],
)
def test_each_site_is_split_by_the_fractions(tmp_path, patients, expected):
    split = split_dataset(dataset_of(tmp_path / "set", sites_of({"HK": 40, "UCL": patients})))[0]
    assert tuple(sum(item["site"] == "UCL" for item in split[key]) for key in LISTS) == expected
    assert tuple(sum(item["site"] == "HK" for item in split[key]) for key in LISTS) == (32, 2, 6)


def test_each_patient_is_tested_in_one_fold_and_each_site_is_spread_over_the_folds(tmp_path):
    patients = [*sites_of({"BIDMC": 12, "HK": 12, "RUNMC": 11, "UCL": 7}), ("UCL", "HK3")]  # one patient at two sites
    dataset = dataset_of(tmp_path / "set", patients)
    folds = [
        split_dataset(dataset, (70, 10, 20), ["HK,UCL"], folder=tmp_path / f"fold{k}", fold=(k, 5)) for k in range(1, 6)
    ]
    tested = [names(split, "test") for split, _ in folds]
    assert sorted(itertools.chain(*tested)) == sorted(
        item["case"] for item in read_json(dataset / "dataset.json")["cases"]
    )
    assert {len({item["patient"] for item in split["test"]}) for split, _ in folds} == {8, 9}
    for split, group in folds:
        assert not {item["patient"] for item in split["test"]} & {item["patient"] for item in split["training"]}
        for site, count in {"BIDMC": 12, "HK": 12, "RUNMC": 11, "UCL": 7}.items():
            own = {item["patient"] for item in split["test"] if item["site"] == site and item["patient"] != "HK3"}
            assert count // 5 <= len(own) <= count // 5 + 1, site
            assert sum(item["site"] == site for item in split["validation"]) >= 1
        assert names(group, "training") == {c for c in names(split, "training") if c.startswith(("HK", "UCL"))}
        assert names(group, "test") == names(split, "test")


def test_folds_and_a_site_left_out_exclude_each_other(tmp_path):
    dataset = dataset_of(tmp_path / "set", sites_of({"HK": 6, "UCL": 6}))
    with pytest.raises(InputError, match=r"\A--folds and --leave-out: both decide the test cases; give one of them"):
        split_dataset(dataset, leave_out="HK", fold=(1, 3))


def test_a_site_left_out_is_tested_on_and_no_other(tmp_path):
    patients = [*sites_of({"HK": 10, "UCL": 5, "BMC": 2}), ("BMC", "UCL3")]  # one patient was seen at two sites
    dataset = dataset_of(tmp_path / "set", patients)
    everything, group = split_dataset(dataset, [70, 15, 15], ["HK,BMC"], leave_out="UCL", folder=tmp_path / "splits")
    assert {item["case"] for item in everything["test"]} == {*(f"UCL_{n:02d}" for n in range(10, 15)), "BMC_17"}
    assert [len(everything[key]) for key in LISTS] == [9, 3, 6]  # HK 8 + 2, BMC 1 + 1
    assert group["test"] == everything["test"]
    assert sorted(path.name for path in (tmp_path / "splits").iterdir()) == ["HK+BMC.json", "all.json"]
    assert not (dataset / "splits").exists()
    with pytest.raises(InputError, match=r"\A\S*--leave-out Oslo: unknown site; the dataset has BMC, HK, UCL"):
        split_dataset(dataset, leave_out="Oslo")


def test_fractions_that_leave_no_training_still_leave_one_case(tmp_path):
    split = split_dataset(dataset_of(tmp_path / "set", sites_of({"HK": 4})), [2, 49, 49])[0]
    assert [len(split[key]) for key in LISTS] == [1, 1, 2]


def test_a_patient_is_in_one_list_even_across_sites(tmp_path):
    # Each patient has three cases, and the last case is from another site.
    patients = [(site, f"P{number}") for number in range(12) for site in ("HK", "HK", "UCL")]
    for seed in range(5):
        split = split_dataset(dataset_of(tmp_path / f"set{seed}", patients), seed=seed)[0]
        of = {key: {item["patient"] for item in split[key]} for key in LISTS}
        assert not any(of[one] & of[other] for one, other in itertools.combinations(LISTS, 2))
        assert sum(len(split[key]) for key in LISTS) == len(patients)


def test_the_seed_decides_and_is_repeatable(tmp_path):
    patients = sites_of({"HK": 12, "UCL": 12})
    first, again, other = (
        split_dataset(dataset_of(tmp_path / name, patients), seed=seed)[0]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert first["sha256"] != other["sha256"]
    assert names(first, "test") != names(other, "test")


def test_another_site_does_not_reshuffle_a_site(tmp_path):
    small = split_dataset(dataset_of(tmp_path / "a", sites_of({"HK": 12})))[0]
    large = split_dataset(dataset_of(tmp_path / "b", sites_of({"HK": 12, "UCL": 5})))[0]
    assert names(small, "test") == {name for name in names(large, "test") if name.startswith("HK")}


def test_groups_train_on_their_own_sites_and_are_tested_on_all(tmp_path):
    folder = dataset_of(tmp_path / "set", sites_of({"RUNMC": 9, "UCL": 6, "HK": 7}))
    everything, runmc, pair = split_dataset(folder, groups=["RUNMC", "UCL,HK"])
    assert sorted(path.name for path in (folder / "splits").iterdir()) == ["RUNMC.json", "UCL+HK.json", "all.json"]
    assert everything["sites"] == ["HK", "RUNMC", "UCL"]
    assert pair["sites"] == ["UCL", "HK"]
    for group in (runmc, pair):
        assert group["test"] == everything["test"]
        for key in ("training", "validation"):
            assert group[key] == [item for item in everything[key] if item["site"] in group["sites"]]
        assert json.loads((folder / "splits" / f"{group['name']}.json").read_text()) == group


def without_masks(folder, cases):
    """Take the masks of some cases of a dataset.json."""
    content = read_json(folder / "dataset.json")
    for entry in content["cases"]:
        if entry["case"] in cases:
            entry["label"] = None
    (folder / "dataset.json").write_text(json.dumps(content))


def test_cases_without_a_mask_are_listed_with_their_sites_and_change_no_other_list(tmp_path):
    masks_only = split_dataset(dataset_of(tmp_path / "masks", sites_of({"HK": 5, "UCL": 6})), groups=["HK", "UCL"])
    folder = dataset_of(tmp_path / "set", sites_of({"HK": 5, "UCL": 6, "BMC": 2}))
    without_masks(folder, {"BMC_11", "BMC_12"})
    everything, hk, ucl, bmc = split_dataset(folder, groups=["HK", "UCL", "BMC"])
    expected = [
        {
            "image": f"images/{case}.nii.gz",
            "case": case,
            "site": "BMC",
            "patient": patient,
            "voxel_sha256": case.replace("_", ""),
        }
        for case, patient in (("BMC_11", "BMC0"), ("BMC_12", "BMC1"))
    ]
    assert everything["unlabeled"] == bmc["unlabeled"] == expected
    assert everything["sites"] == ["BMC", "HK", "UCL"]
    assert (bmc["training"], bmc["validation"], bmc["test"]) == ([], [], everything["test"])
    for key in LISTS:
        assert everything[key] == masks_only[0][key]
    # Without such cases, the file is what it was before there was such a list.
    assert [hk, ucl] == masks_only[1:]
    assert "unlabeled" not in hk
    assert everything["sha256"] == sha256_of({key: everything[key] for key in (*LISTS, "unlabeled")})
    items = load_decathlon_datalist(str(folder / "splits" / "BMC.json"), True, "unlabeled", str(folder))
    assert [item["image"] for item in items] == [str(folder / item["image"]) for item in expected]


def test_images_without_masks_of_a_patient_who_chooses_or_scores_are_left_out_and_counted(tmp_path, capsys):
    patients = sites_of({"HK": 6})
    folder = dataset_of(tmp_path / "set", [*patients, *patients])  # each patient was scanned twice
    without_masks(folder, {f"HK_{number:02d}" for number in range(6, 12)})
    assert main(["split", str(folder)]) == 0
    split = read_json(folder / "splits" / "all.json")
    assert [len(split[key]) for key in LISTS] == [4, 1, 1]
    assert {item["patient"] for item in split["unlabeled"]} == {item["patient"] for item in split["training"]}
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split() == ["site", *LISTS, "unlabeled"]
    assert printed[-2].split() == ["all", "4", "1", "1", "4"]
    assert printed[-1] == ("cases without a mask that are left out: 2 (their patients have validation or test cases)")


def test_a_dataset_without_any_mask_is_split(tmp_path):
    folder = dataset_of(tmp_path / "set", sites_of({"HK": 2, "UCL": 1}))
    without_masks(folder, {"HK_00", "HK_01", "UCL_02"})
    everything, hk = split_dataset(folder, groups=["HK"])
    assert [everything[key] for key in LISTS] == [[], [], []]
    assert names(everything, "unlabeled") == {"HK_00", "HK_01", "UCL_02"}
    assert names(hk, "unlabeled") == {"HK_00", "HK_01"}
    with pytest.raises(InputError, match=r"\A--leave-out HK: none of its cases has a mask to test with"):
        split_dataset(folder, leave_out="HK")


def test_images_without_masks_may_be_added_to_a_split_that_was_trained_on(tmp_path):
    folder = dataset_of(tmp_path / "set", sites_of({"UCL": 12}))
    before = split_dataset(folder)[0]
    dataset_of(folder, sites_of({"UCL": 12, "HK": 1}))
    without_masks(folder, {"HK_12"})
    after = split_dataset(folder)[0]
    assert names(after, "unlabeled") == {"HK_12"}
    assert [after[key] for key in LISTS] == [before[key] for key in LISTS]
    assert after["sha256"] != before["sha256"]


def write_masks(folder, texts):
    (folder / "labels").mkdir(exist_ok=True)
    for case, text in texts.items():
        (folder / "labels" / f"{case}.nii.gz").write_text(text)


def test_a_corrected_mask_makes_another_split_of_the_same_cases(tmp_path):
    folder = dataset_of(tmp_path / "set", sites_of({"HK": 5}))
    cases = [case["case"] for case in read_json(folder / "dataset.json")["cases"]]
    write_masks(folder, {case: f"mask of {case}" for case in cases})
    before = split_dataset(folder)[0]
    for key in LISTS:
        for item in before[key]:
            assert item["label_sha256"] == hashlib.sha256(f"mask of {item['case']}".encode()).hexdigest()
    assert split_dataset(folder)[0] == before
    write_masks(folder, {cases[3]: "corrected"})
    with pytest.raises(InputError, match=r"\A\S*all.json: was made with other masks, .* remove .*splits first"):
        split_dataset(folder)
    after = split_dataset(folder, folder=tmp_path / "splits")[0]
    assert after["sha256"] != before["sha256"]
    for key in LISTS:
        assert [item["voxel_sha256"] for item in after[key]] == [item["voxel_sha256"] for item in before[key]]


def test_a_split_tells_the_masks_that_import_wrote(raw_folder, tmp_path):
    import_dataset(raw_folder, tmp_path / "set")
    entries = {entry["case"]: entry for entry in read_json(tmp_path / "set" / "dataset.json")["cases"]}
    split = split_dataset(tmp_path / "set", groups=["RUNMC"])[1]
    for item in (item for key in LISTS for item in split[key]):
        assert item["label_sha256"] == entries[item["case"]]["label_sha256"]


def test_the_hash_covers_the_three_lists(tmp_path):
    split = split_dataset(dataset_of(tmp_path / "set", sites_of({"HK": 5})))[0]
    assert split["sha256"] == sha256_of({key: split[key] for key in ("test", "validation", "training")})
    split["training"].pop()
    assert split["sha256"] != sha256_of({key: split[key] for key in LISTS})


def test_monai_reads_the_lists(raw_folder, tmp_path):
    dataset = tmp_path / "set"
    import_dataset(raw_folder, dataset)
    split = split_dataset(dataset)[0]
    for key in LISTS:
        items = load_decathlon_datalist(str(dataset / "splits" / "all.json"), True, key, str(dataset))
        assert [item["case"] for item in items] == [item["case"] for item in split[key]]
        for item in items:
            assert item["image"] == str(dataset / "images" / f"{item['case']}.nii.gz")
            assert (dataset / item["label"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fractions", "80", "5", "5"], "--fractions 80 5 5: give three positive numbers that add up to 100"),
        (["--fractions", "100", "0", "0"], "--fractions 100 0 0: give three positive numbers"),
        (["--groups", "UCL,XYZ"], "--groups UCL,XYZ: unknown site 'XYZ'; the dataset has HK, UCL"),
        (["--groups", "UCL", "HK,UCL"], "--groups HK,UCL: UCL is already in UCL; a site may have one group"),
        (["--groups", "HK"], "split HK: no training case; a site needs at least three patients"),
    ],
)
def test_what_cannot_be_split_is_said_in_one_line(tmp_path, capsys, arguments, message):
    folder = dataset_of(tmp_path / "set", sites_of({"UCL": 6, "HK": 1}))
    assert main(["split", str(folder), *arguments]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {message}")
    assert not (folder / "splits").exists()


def test_a_split_that_was_trained_on_is_not_replaced(tmp_path):
    folder = dataset_of(tmp_path / "set", sites_of({"UCL": 12}))
    split_dataset(folder)
    before = (folder / "splits" / "all.json").read_bytes()
    with pytest.raises(InputError, match=r"\A\S*all.json: holds another split, .* remove .*splits first"):
        split_dataset(folder, seed=1)
    split_dataset(folder, groups=["UCL"])
    assert (folder / "splits" / "all.json").read_bytes() == before


def test_no_dataset_is_named(tmp_path):
    with pytest.raises(
        InputError, match=r"\A\S*dataset.json: no such file; make the dataset with python -m data_prep import"
    ):
        split_dataset(tmp_path)


def test_the_table_counts_each_site(tmp_path, capsys):
    folder = dataset_of(tmp_path / "set", sites_of({"UCL": 6, "RUNMC": 10}))
    assert main(["split", str(folder), "--fractions", "0.8", "0.05", "0.15"]) == 0
    lines = capsys.readouterr().out.splitlines()
    sha256 = json.loads((folder / "splits" / "all.json").read_text())["sha256"]
    assert lines[0] == f"all (sha256 {sha256[:12]})"
    assert [line.split() for line in lines[1:]] == [
        ["site", "training", "validation", "test"],
        ["RUNMC", "7", "1", "2"],
        ["UCL", "4", "1", "1"],
        ["all", "11", "2", "3"],
    ]
