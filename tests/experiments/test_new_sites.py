"""Splits and rows of a study in which each site in turn is a new site."""

from pathlib import Path

import pytest

from custom_components.foundation.errors import InputError
from experiments.new_sites import fold_names, new_site_splits, site_of, training_cases
from experiments.plan import EPOCHS
from experiments.plan_file import load_plan

PLAN = """
title: New
image_size: 32
parts: 2
settings: {train::trainer::max_epochs: 2}
rows:
  - {name: own, label: ENet, role: teacher, bundle: enet, each_site: true}
  - {name: mean, label: mean, role: ensemble, teachers: [own], settings: {flips: true}}
  - {name: alone, label: "alone, 2 masks", role: baseline, bundle: enet, masks: 2}
  - {name: taught, label: "2 masks", role: student, bundle: enet, masks: 2, teachers: [own]}
  - {name: ceiling, label: all masks, role: baseline, bundle: enet, masks: all}
"""


def items(**sites: int) -> list[dict]:
    return [
        {"case": f"{site}{number}", "site": site, "patient": f"{site}p{number}", "image": "i", "label": "l"}
        for site, count in sites.items()
        for number in range(count)
    ]


def names(split: dict, part: str) -> set[str]:
    return {item["case"] for item in split.get(part, [])}


def test_every_case_is_a_test_case_once_and_no_list_shares_a_case():
    splits = new_site_splits(items(HK=5, UCL=4), ["HK", "UCL"], 2, [1, 2], 0)
    tested = [item["case"] for fold in fold_names(["HK", "UCL"], 2) for item in splits[Path(fold, "all.json")]["test"]]
    assert sorted(tested) == sorted(item["case"] for item in items(HK=5, UCL=4))
    for split in splits.values():
        lists = [names(split, part) for part in ("training", "validation", "test", "unlabeled")]
        assert sum(map(len, lists)) == len(set.union(*lists))


def test_the_students_lists_keep_some_masks_and_the_teachers_see_no_new_site():
    splits = new_site_splits(items(HK=5, UCL=4), ["HK", "UCL"], 2, [0, 1, 2], 0)
    whole, none, one = (splits[Path("UCL-1", f"{name}.json")] for name in ("all", "masks0", "masks1"))
    assert len(whole["training"]) == 2
    assert "unlabeled" not in whole
    assert not none["training"]
    assert names(none, "unlabeled") == names(whole, "training")
    assert names(one, "training") | names(one, "unlabeled") == names(whole, "training")
    assert names(one, "test") == names(whole, "test")
    assert all("label" not in item for item in none["unlabeled"])
    assert Path("UCL-1", "masks2.json") not in splits  # both training cases would have masks
    teacher = splits[Path("UCL.json")]
    assert names(teacher, "training") == {f"UCL{number}" for number in range(4)}
    assert names(teacher, "test") == {f"HK{number}" for number in range(5)}


def test_with_one_new_site_its_teachers_are_tested_there_only():
    splits = new_site_splits(items(HK=4, RUNMC=4, UCL=4), ["UCL"], 2, [1], 0)
    assert names(splits[Path("HK.json")], "test") == {f"UCL{number}" for number in range(4)}


def test_a_group_of_sites_has_one_teacher():
    splits = new_site_splits(items(HK=4, RUNMC=3, UCL=2), ["HK"], 2, [1], 0, [["RUNMC", "UCL"]])
    assert {str(file) for file in splits if file.parent == Path()} == {"RUNMC+UCL.json"}
    assert names(splits[Path("RUNMC+UCL.json")], "training") == {"RUNMC0", "RUNMC1", "RUNMC2", "UCL0", "UCL1"}
    assert names(splits[Path("RUNMC+UCL.json")], "test") == {"HK0", "HK1", "HK2", "HK3"}


def test_a_patient_of_two_sites_teaches_nobody():
    both = items(HK=4, UCL=4)
    both[0]["patient"] = both[4]["patient"]
    splits = new_site_splits(both, ["HK", "UCL"], 2, [1], 0)
    assert "HK0" not in names(splits[Path("HK.json")], "training")
    assert "UCL0" not in names(splits[Path("UCL.json")], "training")


def test_a_site_with_too_few_patients_is_refused():
    with pytest.raises(InputError, match=r"^HK has 3 patients with masks; a new site in 2 parts needs more$"):
        new_site_splits(items(HK=3, UCL=4), ["HK", "UCL"], 2, [1], 0)


def test_folds_are_named_by_site_and_part():
    assert fold_names(["HK", "A-B"], 2) == ("HK-1", "HK-2", "A-B-1", "A-B-2")
    assert site_of("A-B-2") == "A-B"
    # Seven cases: the test parts have 4 and 3.
    assert [training_cases(7, part, 2) for part in (1, 2)] == [3, 4]


@pytest.fixture
def plan_file(tmp_path):
    file = tmp_path / "new.yaml"
    file.write_text(PLAN)
    return str(file)


def test_each_new_site_has_students_and_the_teachers_of_the_others(plan_file):
    plan = load_plan(plan_file, {"BIDMC": 5, "HK": 6, "UCL": 8})
    rows = {row.name: row for row in plan.rows}
    assert [row.name for row in plan.rows if row.role == "teacher"] == ["own_BIDMC", "own_HK", "own_UCL"]
    assert rows["own_HK"].sites == ("HK",)
    assert rows["own_HK"].fold == ""
    assert rows["taught_UCL-1"].teachers == rows["mean_UCL-1"].teachers == ("own_BIDMC", "own_HK")
    assert rows["mean_UCL-1"].bundle == "enet"
    assert rows["mean_UCL-1"].settings == {"flips": True, EPOCHS: 0}
    assert rows["ceiling_HK-2"].masks == "all"
    # Of BIDMC's five cases, the first test part leaves two for training: with two masks no image is without.
    assert "taught_BIDMC-1" not in rows
    assert "taught_BIDMC-2" in rows
    assert {row.name for row in plan.with_teachers(["taught_UCL-1"])} == {"taught_UCL-1", "own_BIDMC", "own_HK"}


def test_one_new_site_needs_no_teacher_of_its_own(plan_file):
    plan = load_plan(plan_file, {"HK": 6, "UCL": 8}, leave_out="UCL")
    assert plan.folds == ("UCL-1", "UCL-2")
    assert [row.name for row in plan.rows if row.role == "teacher"] == ["own_HK"]


def test_groups_of_sites_are_the_teachers(plan_file):
    sites = {"BIDMC": 5, "HK": 6, "RUNMC": 6, "UCL": 8}
    plan = load_plan(plan_file, sites, [["BIDMC", "HK"], ["UCL"]], leave_out="HK")
    teachers = {row.name: (row.label, row.sites) for row in plan.rows if row.role == "teacher"}
    assert teachers == {"own_BIDMC": ("ENet, BIDMC", ("BIDMC",)), "own_UCL": ("ENet, UCL", ("UCL",))}
    # With all sites new in turn, a group never teaches one of its own sites.
    rows = {row.name: row for row in load_plan(plan_file, sites, [["BIDMC", "HK"], ["RUNMC", "UCL"]]).rows}
    assert rows["own_BIDMC+HK"].sites == ("BIDMC", "HK")
    assert rows["taught_UCL-1"].teachers == ("own_BIDMC+HK",)
    assert rows["taught_HK-1"].teachers == ("own_RUNMC+UCL",)


def test_a_plan_taught_by_all_others_has_one_teacher_for_each_new_site(plan_file):
    Path(plan_file).write_text(PLAN.replace("parts: 2", "parts: 2\ntaught_by: all_others"))
    sites = {"BIDMC": 5, "HK": 6, "UCL": 8}
    plan = load_plan(plan_file, sites)
    rows = {row.name: row for row in plan.rows}
    assert plan.groups == (("HK", "UCL"), ("BIDMC", "UCL"), ("BIDMC", "HK"))  # each gets a split file
    names = [name for name, row in rows.items() if row.role == "teacher"]
    assert names == ["own_HK+UCL", "own_BIDMC+UCL", "own_BIDMC+HK"]
    assert rows["taught_UCL-1"].teachers == rows["mean_UCL-2"].teachers == ("own_BIDMC+HK",)
    one = load_plan(plan_file, sites, leave_out="HK")
    assert [row.name for row in one.rows if row.role == "teacher"] == ["own_BIDMC+UCL"]
    given = load_plan(plan_file, sites, [["BIDMC"], ["HK"], ["UCL"]])
    assert [row.name for row in given.rows if row.role == "teacher"] == ["own_BIDMC", "own_HK", "own_UCL"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([["BMC"]], r"\A--groups BMC: no site with masks to teach; there are HK, UCL\Z"),
        ([["HK"]], r"\Anew\.yaml: the groups leave no teacher of another site for the new site HK\Z"),
    ],
)
def test_groups_that_do_not_fit_are_one_line(plan_file, groups, message):
    with pytest.raises(InputError, match=message):
        load_plan(plan_file, {"HK": 6, "UCL": 8}, groups, leave_out="HK")


def test_a_number_of_new_sites_means_those_with_the_most_cases(plan_file):
    file = Path(plan_file)
    file.write_text(PLAN.replace("parts: 2", "parts: 2\nnew_sites: 1"))
    sites = {"BIDMC": 5, "HK": 8, "UCL": 8}
    plan = load_plan(plan_file, sites)
    assert plan.folds == ("HK-1", "HK-2")
    assert [row.name for row in plan.rows if row.role == "teacher"] == ["own_BIDMC", "own_UCL"]
    assert load_plan(plan_file, sites, leave_out="BIDMC").folds == ("BIDMC-1", "BIDMC-2")


def test_given_epochs_keep_the_proportion_of_the_steps(plan_file):
    file = Path(plan_file)
    many = "masks: 2, settings: {train::trainer::max_epochs: 7}"
    file.write_text(PLAN.replace("masks: 2", many, 1))
    rows = {row.name: row for row in load_plan(plan_file, {"HK": 6, "UCL": 8}, epochs=4).rows}
    assert rows["taught_HK-1"].settings[EPOCHS] == 4
    assert rows["alone_HK-1"].settings[EPOCHS] == 14
    assert rows["mean_HK-1"].settings[EPOCHS] == 0


def test_folds_of_new_sites_are_no_cross_validation(plan_file):
    with pytest.raises(
        InputError, match=r"^new\.yaml: each of its folds is a new site, so it cannot have --folds too$"
    ):
        load_plan(plan_file, {"HK": 6, "UCL": 8}, folds=3)


@pytest.mark.parametrize("line", ["taught_by: all_others", "new_sites: 1"])
def test_a_key_of_new_sites_alone_is_refused(plan_file, line):
    Path(plan_file).write_text(PLAN.replace("parts: 2", line))
    message = rf"\Anew\.yaml: {line.split(':')[0]} is for a plan of new sites; give parts too, or leave it out\Z"
    with pytest.raises(InputError, match=message):
        load_plan(plan_file, {"HK": 6, "UCL": 8})


def test_a_new_site_has_no_validation_cases_to_score(plan_file):
    with open(plan_file, "a") as file:
        file.write("scored_on: validation\n")
    with pytest.raises(
        InputError, match=r"\Anew\.yaml: scored_on validation: a new site has test cases only; leave it"
    ):
        load_plan(plan_file, {"HK": 6, "UCL": 8})


@pytest.mark.parametrize(
    ("sites", "leave_out", "message"),
    [
        ({"HK": 6, "UCL": 8}, "BMC", r"\A--leave-out BMC: no site with masks to test with; there are HK, UCL\Z"),
        (
            {"HK": 6, "UCL": 8, "BMC": 0},
            "BMC",
            r"\A--leave-out BMC: no site with masks to test with; there are HK, UCL\Z",
        ),
        ({"HK": 6, "BMC": 0}, None, r"\Anew\.yaml: a new site needs teachers of other sites, and 1 site has masks\Z"),
    ],
)
def test_sites_that_do_not_fit_are_one_line(plan_file, sites, leave_out, message):
    with pytest.raises(InputError, match=message):
        load_plan(plan_file, sites, leave_out=leave_out)


def test_a_site_without_masks_is_neither_new_nor_a_teacher(plan_file):
    plan = load_plan(plan_file, {"BMC": 0, "HK": 6, "UCL": 8})
    assert plan.folds == ("HK-1", "HK-2", "UCL-1", "UCL-2")
    assert [row.name for row in plan.rows if row.role == "teacher"] == ["own_HK", "own_UCL"]


def test_a_group_with_a_new_site_does_not_teach_it(plan_file):
    message = r"\Anew\.yaml: the groups leave no teacher of another site for the new site HK\Z"
    with pytest.raises(InputError, match=message):
        load_plan(plan_file, {"BMC": 5, "HK": 6, "UCL": 8}, [["HK", "UCL"]])
