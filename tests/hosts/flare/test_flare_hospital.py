import csv
import json

import pytest
import torch
from nvflare.app_common.abstract.fl_model import FLModel

from custom_components.bundle import copy_bundle, read_bundle
from integrations.flare.hospital import PROVENANCE, SCORE, TRAIN, StudentHospital
from integrations.flare.weights import to_arrays


@pytest.fixture
def hospital(parties, tmp_path) -> StudentHospital:
    copy_bundle("enet", tmp_path / "enet", 32)
    return StudentHospital(str(tmp_path / "enet"), str(parties["north"]), epochs=1)


@pytest.fixture
def start(hospital) -> FLModel:
    torch.manual_seed(1)
    return FLModel(params=to_arrays(read_bundle(hospital.bundle).build_network().state_dict()))


def test_the_training_goes_on_from_round_to_round(hospital, start, tmp_path):
    for _ in range(2):
        hospital.answer(TRAIN, start)
    rows = list(csv.DictReader((tmp_path / "enet" / "output" / "training.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]


def test_only_weights_a_count_and_the_public_provenance_are_sent(hospital, start):
    answer = hospital.answer(TRAIN, start)
    assert answer.params.keys() == start.params.keys()
    assert answer.metrics is None
    assert answer.meta.keys() == {"NUM_STEPS_CURRENT_ROUND", PROVENANCE}
    assert answer.meta["NUM_STEPS_CURRENT_ROUND"] == 8
    provenance = json.loads(answer.meta[PROVENANCE])
    assert not {"command", "started"} & provenance.keys()
    assert all(case.keys() == {"voxel_sha256", "site"} for case in provenance["cases"]["training"])


def test_scoring_changes_no_weight(hospital, start):
    scores = hospital.answer(SCORE, start)
    assert scores.params is None
    assert 0 <= scores.metrics["val_mean_dice"] <= 1
    kept = to_arrays(hospital.workflow.network_def.state_dict())
    assert all((kept[name] == value).all() for name, value in start.params.items())
