from collections import Counter

import pytest

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from experiments.plan import EPOCHS, without_fold
from experiments.plan_file import load_plan
from experiments.splits import new_splits, training_split

SITES = dict.fromkeys(["BIDMC", "BMC", "HK", "I2CVB", "RUNMC", "UCL"], 4)
PLAN = """
title: Small
image_size: 32
fractions: [50, 25, 25]
seeds: [3]
settings: {batch_size: 4, learning_rate: 0.1, train::trainer::max_epochs: 2}
rows:
  - {name: big, label: Big, role: teacher, bundle: pspnet, group: 0, settings: {learning_rate: 0.2}}
  - {name: small, label: Small, role: student, bundle: enet, teachers: [big]}
"""

THREE_GROUPS = """
title: Three limited teachers
image_size: 32
fractions: [50, 25, 25]
settings: {train::trainer::max_epochs: 2}
rows:
  - {name: a, label: A, role: teacher, bundle: pspnet, group: 0}
  - {name: b, label: B, role: teacher, bundle: pspnet, group: 1}
  - {name: c, label: C, role: teacher, bundle: pspnet, group: 2}
  - {name: small, label: Small, role: student, bundle: enet, teachers: [a, b, c]}
"""


@pytest.fixture
def three_groups(tmp_path):
    file = tmp_path / "three.yaml"
    file.write_text(THREE_GROUPS)
    return str(file)


@pytest.fixture
def plan_file(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(PLAN)
    return str(file)


def test_a_rows_settings_are_laid_over_the_plans(plan_file):
    big, small = load_plan(plan_file, SITES).rows
    assert big.settings == {"batch_size": 4, "learning_rate": 0.2, EPOCHS: 2}
    assert small.settings == {"batch_size": 4, "learning_rate": 0.1, EPOCHS: 2}
    assert (big.seed, small.seed, small.teachers, small.sites) == (3, 3, ("big",), ())


def test_students_come_once_a_seed_and_teachers_once(plan_file):
    rows = load_plan(plan_file, SITES, seeds=[3, 5]).rows
    assert [(row.name, row.label, row.seed) for row in rows] == [
        ("big", "Big", 3),
        ("small", "Small", 3),
        ("small_seed5", "Small", 5),
    ]


def test_each_fold_has_every_row_and_its_own_teachers(plan_file):
    plan = load_plan(plan_file, SITES, seeds=[3, 5], folds=2)
    assert plan.folds == ("fold1", "fold2")
    assert [(row.name, row.fold, row.teachers) for row in plan.rows] == [
        ("big_fold1", "fold1", ()),
        ("big_fold2", "fold2", ()),
        ("small_fold1", "fold1", ("big_fold1",)),
        ("small_fold1_seed5", "fold1", ("big_fold1",)),
        ("small_fold2", "fold2", ("big_fold2",)),
        ("small_fold2_seed5", "fold2", ("big_fold2",)),
    ]
    assert plan.with_teachers(["small"]) == list(plan.rows)  # all folds and seeds
    assert [row.name for row in plan.with_teachers(["small_seed5"])] == [
        "big_fold1",
        "big_fold2",
        "small_fold1_seed5",
        "small_fold2_seed5",
    ]
    assert [row.name for row in plan.with_teachers(["small_fold2*"])] == [
        "big_fold2",
        "small_fold2",
        "small_fold2_seed5",
    ]


def test_a_student_may_have_predictions_as_its_only_teachers(plan_file, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(PLAN.replace("teachers: [big]", "predictions: [{predictions: nnunet, confidence: 0.9}]"))
    _, student = load_plan(str(file), SITES).rows
    assert (student.teachers, student.is_distilled) == ((), True)
    assert student.predictions == ({"predictions": "nnunet", "confidence": 0.9},)


def test_size_and_epochs_can_be_given(plan_file):
    plan = load_plan(plan_file, SITES, image_size=64, epochs=7)
    assert plan.image_size == 64
    assert {row.settings[EPOCHS] for row in plan.rows} == {7}


def test_a_field_of_view_is_of_the_whole_study(plan_file, tmp_path):
    assert load_plan(plan_file, SITES).image == {"image_size": 32, "field_of_view": None}
    file = tmp_path / "cropped.yaml"
    file.write_text(PLAN.replace("image_size: 32", "image_size: 32\nfield_of_view: 128"))
    assert load_plan(str(file), SITES).image == {"image_size": 32, "field_of_view": 128}


def test_a_row_is_picked_with_its_teachers(plan_file):
    plan = load_plan(plan_file, SITES)
    assert [row.name for row in plan.with_teachers(["sm*"])] == ["big", "small"]
    assert [row.name for row in plan.with_teachers(["big"])] == ["big"]
    with pytest.raises(InputError, match=r"\A--only tall: no such row; the plan has big, small\Z"):
        plan.with_teachers(["big", "tall"])


def test_a_site_left_out_takes_a_teacher_that_has_no_other_with_it(three_groups):
    groups = [["RUNMC", "BMC"], ["HK"], ["UCL"]]
    plan = load_plan(three_groups, SITES, groups, leave_out="HK")
    assert plan.groups == (("RUNMC", "BMC"), ("UCL",))
    student = next(row for row in plan.rows if row.role == "student")
    assert student.teachers == tuple(row.name for row in plan.rows if row.role == "teacher")
    assert [row.sites for row in plan.rows if row.role == "teacher"] == list(plan.groups)
    assert load_plan(three_groups, SITES, groups, leave_out="BMC").groups == (("RUNMC",), ("HK",), ("UCL",))


def test_the_papers_plan_has_every_row_of_its_tables():
    plan = load_plan("paper", SITES)
    assert plan.image_size == 384
    first = [row for row in plan.rows if row.seed == 0]
    roles = Counter((row.role, len(row.teachers), bool(row.sites)) for row in first)
    assert roles == {
        ("teacher", 0, False): 4,
        ("teacher", 0, True): 3,
        ("baseline", 0, False): 6,  # each student with equation 4 alone, and with cross-entropy added
        ("student", 1, False): 12,
        ("student", 3, False): 3,
    }


@pytest.mark.parametrize("name", ["demo", "cpu", "paper"])
def test_shipped_plans_fit_six_sites(name):
    plan = load_plan(name, SITES)
    assert len({row.name for row in plan.rows}) == len(plan.rows)
    assert plan.scored_on == "test"


def test_the_ablations_share_their_teachers_with_the_plan_cpu():
    cpu, ablations = (
        [row for row in load_plan(name, SITES).rows if row.role == "teacher"] for name in ("cpu", "ablations")
    )
    assert cpu == ablations


def test_the_ablations_never_look_at_a_test_case_of_the_plan_cpu():
    cpu, ablations = load_plan("cpu", SITES), load_plan("ablations", SITES)
    assert ablations.scored_on == "validation"
    assert (ablations.fractions, ablations.split_seed) == (cpu.fractions, cpu.split_seed)


def test_a_plan_spreads_six_sites_over_its_three_teachers(three_groups):
    plan = load_plan(three_groups, SITES)
    assert plan.groups == (("BIDMC", "BMC"), ("HK", "I2CVB"), ("RUNMC", "UCL"))
    assert [row.sites for row in plan.rows if row.role == "teacher"] == list(plan.groups)
    student = next(row for row in plan.rows if row.role == "student")
    assert student.teachers == tuple(row.name for row in plan.rows if row.role == "teacher")


def test_the_demo_is_a_small_new_site_with_three_seeds():
    """Each training has about 200 steps of a batch of 8, with 8 cases of 12 slices at each site of the phantom."""
    plan = load_plan("demo", dict.fromkeys(SITES, 8), [["RUNMC"], ["UCL"], ["BIDMC"]], leave_out="HK")
    assert plan.folds == ("HK-1", "HK-2")
    names = Counter((row.role, row.masks, row.seed) for row in plan.rows)
    students = {(role, 1, seed): 2 for role in ("baseline", "student") for seed in (0, 1, 2)}
    assert names == {("teacher", None, 0): 3, ("ensemble", None, 0): 2, **students}
    slices = {"teacher": 8 * 12, "baseline": 12, "student": 4 * 12}
    for row in plan.rows:
        if row.role in slices:
            assert row.settings[EPOCHS] * -(-slices[row.role] // row.settings["batch_size"]) == 192


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name_or_path": "demmo"}, "demmo: no such plan;.* demo,"),
        ({"groups": [["BMC"], ["HK"]]}, r"three\.yaml wants 3 groups of sites, 2 are given"),
        ({"sites": ["BMC", "HK"]}, "the plan has teachers for 3 groups of sites, the dataset has 2"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(three_groups, arguments, message):
    with pytest.raises(InputError, match=rf"\A{message}"):
        load_plan(**{"name_or_path": three_groups, "sites": SITES, **arguments})


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("role: student", "role: pupil", "row small: role 'pupil' is none of teacher, baseline, student"),
        ("teachers: [big]", "teachers: [bigger]", "row small: no row is called bigger"),
        (", train::trainer::max_epochs: 2", "", "row big: no train::trainer::max_epochs"),
        ("title: Small", "scored_on: training\ntitle: Small", "scored_on 'training' is none of validation, test"),
        (", teachers: [big]", "", "row small: a row with the role student needs teachers"),
        ("name: small", "name: big", "more than one row is called big"),
        ("seeds: [3]", "seeds: [3, 4, 4]", "more than one row is called small_seed4"),
        ("name: small", "name: distillation", "no row can be called distillation"),
        ("title: Small", "", "lacks 'title'"),
        ("rows:", "rows: [", "not a YAML file"),
        (
            "  - {name: small, label: Small,",
            "  - {name: other, label: Small, role: student, bundle: enet, teachers: [big]}\n"
            "  - {name: small, label: Small,",
            "row small: has the label of row other, so that the report would take both for one model; give each a",
        ),
        ("seeds: [3]", "seeds: 3", r"seeds: 3 does not fit; write for example seeds: \[0, 1, 2\]\Z"),
        ("seeds: [3]", "seeds: [a]", r"seeds: \['a'\] does not fit"),
        ("image_size: 32", "image_size: 50", "image_size: 50 does not fit; write .* image_size: 96, a multiple of 8"),
        ("fractions: [50, 25, 25]", "fractions: abc", "fractions: 'abc' does not fit"),
        ("title: Small", "title: Small\nparts: 1", "parts: 1 does not fit"),
        ("title: Small", "title: Small\nnew_sites: 0", "new_sites: 0 does not fit"),
        ("title: Small", "title: Small\nfolds: true", "folds: True does not fit"),
        ("title: Small", "title: Small\nseed: 1", r"seed is no key; did you mean seeds\?\Z"),
        ("group: 0", "groups: 0", r"row big: groups is no key; did you mean group\?\Z"),
        ("group: 0", "group: first", "row big: group: 'first' does not fit"),
        ("name: small", "masks: al, name: small", "row small: masks: 'al' does not fit; .* masks: 2 or masks: all"),
        (
            "name: small",
            "predictions: [{folder: a}], name: small",
            r"row small: predictions: \[.* write for example pred",
        ),
        ("name: small", "masks: 1.5, name: small", "row small: masks: 1.5 does not fit"),
        ("name: small", "name: ../small", "row ../small: name: '../small' does not fit"),
        ("name: small", "left_out: [4, 3], name: small", r"row small: left_out: \[4, 3\] does not fit"),
        (
            "max_epochs: 2",
            "max_epochs: many",
            "row big: train::trainer::max_epochs: 'many' does not fit; give at least 1",
        ),
        ("max_epochs: 2", "max_epochs: 0", "row big: train::trainer::max_epochs: 0 does not fit; give at least 1"),
    ],
)
def test_a_faulty_plan_is_told_in_one_line(tmp_path, before, after, message):
    file = tmp_path / "faulty.yaml"
    file.write_text(PLAN.replace(before, after, 1))
    with pytest.raises(InputError, match=rf"\A(\S+/)?faulty\.yaml: {message}"):
        load_plan(str(file), SITES)


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "title\n", "rows: 3\n", "rows: [a]\n"])
def test_a_file_that_holds_no_plan_is_told_in_one_line(tmp_path, content):
    file = tmp_path / "other.yaml"
    file.write_text(content)
    with pytest.raises(
        InputError, match=r"\A\S+/other\.yaml: lacks .*, or it is of another kind; compare \S+demo\.yaml\Z"
    ):
        load_plan(str(file), SITES)


def test_a_plan_without_rows_and_one_that_is_no_text_are_told_in_one_line(tmp_path):
    file = tmp_path / "other.yaml"
    file.write_text("title: None\nrows: []\n")
    with pytest.raises(
        InputError, match=r"\Aother\.yaml: rows: \[\] does not fit; write for example rows: a list of rows\Z"
    ):
        load_plan(str(file), SITES)
    file.write_bytes(b"title: \xff\xfe")
    with pytest.raises(InputError, match=r"\A\S+/other\.yaml: not a YAML file \("):
        load_plan(str(file), SITES)


def test_a_teacher_may_be_trained_without_a_part_of_the_patients(plan_file, tmp_path):
    file = tmp_path / "folds.yaml"
    file.write_text(PLAN.replace("group: 0", "left_out: [2, 3]"))
    big, small = load_plan(str(file), SITES).rows
    assert (big.left_out, small.left_out) == ((2, 3), None)
    where = tmp_path / "splits"
    assert [training_split(where, row).name for row in (big, small)] == ["all_without_2_of_3.json", "all.json"]


def test_each_training_patient_is_left_out_once(plan_file, tmp_path, dataset_dir):
    file = tmp_path / "folds.yaml"
    teachers = [f"  - {{name: t{k}, label: T, role: teacher, bundle: enet, left_out: [{k}, 3]}}" for k in (1, 2, 3)]
    file.write_text(PLAN.partition("rows:")[0] + "rows:\n" + "\n".join(teachers))
    plan = load_plan(str(file), dict.fromkeys(["BMC", "HK", "UCL"], 4))
    with new_splits(plan, dataset_dir, tmp_path):
        pass
    whole = read_json(tmp_path / "splits" / "all.json")
    parts = [read_json(training_split(tmp_path / "splits", row)) for row in plan.rows]
    names = [{case["case"] for case in part["training"]} for part in parts]
    everything = {case["case"] for case in whole["training"]}
    gone = [everything - own for own in names]
    assert set.union(*gone) == everything
    assert sum(map(len, gone)) == len(everything)
    assert all(part["test"] == whole["test"] and part["sha256"] != whole["sha256"] for part in parts)


@pytest.mark.parametrize(
    ("name", "fold", "expected"),
    [
        ("enet_fold2", "fold2", "enet"),
        ("enet_fold2_seed1", "fold2", "enet_seed1"),
        ("enet_fold1_kd_fold1", "fold1", "enet_fold1_kd"),
        ("enet_fold10", "fold1", "enet_fold10"),
        ("enet_HK-1_seed2", "HK-1", "enet_seed2"),
        ("enet", "", "enet"),
    ],
)
def test_a_name_loses_its_fold_and_nothing_else(name, fold, expected):
    assert without_fold(name, fold) == expected
