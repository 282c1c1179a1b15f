"""Whole federations in FLARE's simulator, as a user starts them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from nvflare.app_common.abstract.fl_model import FLModel

from custom_components.bundle import copy_bundle, read_bundle, run_command
from custom_components.data import load_datalist
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json
from custom_components.teachers import load_teacher
from integrations.flare.__main__ import main
from integrations.flare.hospital import TRAIN, StudentHospital
from integrations.flare.weights import to_arrays

SIZE = ["--size", "32"]
# The steps at the start of the paper's schedule are too small to change a score.
STEADY = {"lr_scheduler::base_lr": 0.01}
EPOCHS = "train::trainer::max_epochs"


@pytest.fixture(scope="module")
def student(hospitals, tmp_path_factory) -> Path:
    """The bundle of a student trained together, in one round of one epoch."""
    out = tmp_path_factory.mktemp("together")
    steady = ["--set", *(f"{key}={value}" for key, value in STEADY.items())]
    options = ["--bundle", "enet", "--rounds", "1", "--epochs", "1", *SIZE, *steady, "--out", str(out)]
    assert main(["student", "--hospitals", *hospitals, *options]) == 0
    return out / "bundles" / "enet"


@pytest.fixture(scope="module")
def collected(hospitals, tmp_path_factory) -> Path:
    """The folder of a collection of two teachers."""
    out = tmp_path_factory.mktemp("each apart")
    options = ["--bundles", "mobilenetv2", "espnet", "--epochs", "1", *SIZE, "--out", str(out)]
    assert main(["teachers", "--hospitals", *hospitals, *options]) == 0
    return out


def test_the_student_is_the_mean_of_what_the_hospitals_trained_weighted_by_slices(student, parties, tmp_path):
    """The expected mean is computed by hand from the same trainings: 8 slices at one hospital, 4 at the other."""
    torch.manual_seed(0)
    start = to_arrays(read_bundle(str(student)).build_network().state_dict())
    expected = dict.fromkeys(start, 0.0)
    for name, slices in (("north", 8), ("south", 4)):
        copy_bundle("enet", tmp_path / name, 32)
        hospital = StudentHospital(str(tmp_path / name), str(parties[name]), 1, STEADY)
        answer = hospital.answer(TRAIN, FLModel(params=start))
        for key, value in answer.params.items():
            expected[key] = expected[key] + slices / 12 * value
    found = to_arrays(torch.load(student / "models" / "model.pt", weights_only=True))
    assert found.keys() == expected.keys()
    for key, value in found.items():
        assert value == pytest.approx(expected[key], abs=1e-5), key


def test_a_common_student_knows_the_cases_of_all_hospitals(student, parties):
    for name in ("north", "south"):
        seen = load_datalist(parties[name] / "splits" / "all.json", "training", parties[name])
        with pytest.raises(InputError, match="test cases were in this teacher's training"):
            load_teacher(str(student), held_out=seen)
    unseen = load_datalist(parties["center"] / "splits" / "all.json", "test", parties["center"])
    assert load_teacher(str(student), held_out=unseen).name == "enet"


def test_a_hospital_keeps_no_common_weights_as_its_own(student):
    own = student.parents[1] / "hospitals" / "north" / "enet"
    assert (own / "output" / "training.csv").is_file()
    assert not list(own.rglob("*.pt"))


def test_teachers_arrive_bit_for_bit(collected):
    for hospital, bundle in (("north", "mobilenetv2"), ("south", "espnet")):
        sent = collected / "hospitals" / hospital / bundle / "models" / "model.pt"
        assert file_sha256(collected / "bundles" / hospital / "models" / "model.pt") == file_sha256(sent)


def test_no_name_of_a_case_a_patient_or_a_folder_arrives(collected, student, parties):
    for hospital, bundle in (("north", "north"), ("south", "south"), ("north", student), ("south", student)):
        models = collected / "bundles" / bundle / "models"
        assert sorted(file.name for file in models.iterdir()) == ["model.pt", "provenance.json"]
        arrived = (models / "provenance.json").read_text()
        for case in read_json(parties[hospital] / "dataset.json")["cases"]:
            assert case["case"] not in arrived
            assert case["patient"] not in arrived
        assert str(parties[hospital]) not in arrived


def test_a_student_is_distilled_from_the_teachers_that_arrived(collected, parties, tmp_path, repository):
    copy_bundle("enet", tmp_path / "distilled", 32)
    teachers = [collected / "bundles" / name for name in ("north", "south")]
    options = {"image_size": 32, "device": "cpu", EPOCHS: 1, "dataset_dir": parties["center"]}
    options |= {"student": tmp_path / "distilled", "teachers": teachers}
    command = run_command("training", "bundles/distillation/configs/train.json", options)
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    provenance = json.loads((tmp_path / "distilled" / "models" / "provenance.json").read_text())
    assert provenance["teachers"] == {
        name: file_sha256(collected / "bundles" / name / "models" / "model.pt") for name in ("north", "south")
    }


def test_a_hospital_that_fails_is_told_in_one_line_and_nothing_is_written(parties, tmp_path, capsys):
    damaged = tmp_path / "damaged"
    shutil.copytree(parties["south"], damaged, ignore=shutil.ignore_patterns("prepared"))
    image = Path(load_datalist(damaged / "splits" / "all.json", "training", damaged)[0]["image"])
    image.write_bytes(image.read_bytes()[:2000])
    options = ["--rounds", "1", "--epochs", "1", *SIZE, "--out", str(tmp_path / "out")]
    assert main(["student", "--hospitals", f"north={parties['north']}", f"south={damaged}", *options]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {image}")
    assert shown.count("\n") == 1
    assert not (tmp_path / "out" / "bundles" / "enet" / "models").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["student", "--hospitals", "north=nowhere", "south=nowhere"], "no such split"),
        (["student", "--hospitals", "server=data"], "give a name"),
        (["student", "--hospitals", "north"], "give a name"),
        (["student", "--hospitals", "north={north}", "north={south}"], "two are called north"),
        (["student", "--hospitals", "north={north}"], "at least two"),
        (["student", "--rounds", "0", "--hospitals", "north={north}", "south={south}"], "--rounds"),
        (["student", "--size", "30", "--hospitals", "north={north}", "south={south}"], "--size 30"),
        (["student", "--bundle", "unet", "--hospitals", "north={north}", "south={south}"], "no bundle 'unet'"),
        (["student", "--set", "device=cuda", "--hospitals", "north={north}", "south={south}"], "--set device=cuda"),
        (["student", "--set", 'loss="$1"', "--hospitals", "north={north}", "south={south}"], "loss: a federation sets"),
        (["teachers", "--bundles", *["enet"] * 3, "--hospitals", "north={north}", "south={south}"], "--bundles"),
    ],
)
def test_a_wrong_option_is_told_before_any_work(options, reason, parties, tmp_path, capsys):
    options = [option.format(**parties) for option in options]
    assert main([*options, "--out", str(tmp_path / "out")]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert reason in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "out").exists()
