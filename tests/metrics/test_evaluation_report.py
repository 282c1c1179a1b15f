import csv
import json

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, CopyItemsd, MapTransform

from custom_components.foundation.errors import InputError
from custom_components.metrics import EvaluationReport

AFFINE = np.diag([-0.5, 0.5, 3.0, 1.0])


def volume(first_slice, last_slice):
    mask = torch.zeros(1, 8, 8, 10)
    mask[:, 2:6, 2:6, first_slice:last_slice] = 1
    return MetaTensor(mask, affine=AFFINE)


@pytest.fixture
def datalist(tmp_path):
    path = tmp_path / "all.json"
    path.write_text(json.dumps({"name": "all", "sha256": "abc", "test": []}))
    return path


class Echo(torch.nn.Module):
    """Predicts its input, so that the "image" of a test's case is the mask to score."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Linear(1, 1)

    def forward(self, image):
        return image


@pytest.fixture
def network():
    return Echo()


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"abc")
    return path


class SureOf(MapTransform):
    """Probabilities (2, H, W, D) of 0 and 1, as in a mask."""

    def __call__(self, item):
        return {**item, **{key: torch.cat([1 - item[key], item[key]]) for key in self.keys}}


def evaluator(data, network, report):
    """MONAI's own evaluator."""
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(data), batch_size=1),
        network=network,
        postprocessing=Compose([CopyItemsd(["label", "pred"], names=["truth", "probs"]), SureOf("probs")]),
        val_handlers=[report],
    )


@pytest.fixture
def data():
    return [
        {"image": volume(3, 7), "label": volume(2, 6), "case": "UCL_Case02", "site": "UCL"},
        {"image": volume(0, 0), "label": volume(2, 6), "case": "HK_Case01", "site": "HK"},
    ]


def test_files_of_an_evaluation(tmp_path, datalist, network, weights, data, capsys):
    config = {
        "_target_": "custom_components.metrics.EvaluationReport",
        "output_dir": str(tmp_path / "output"),
        "bundle": "enet",
        "datalist": str(datalist),
        "part": "test",
        "network": "@network",
        "weights": str(weights),
    }
    report = ConfigParser({"report": config, "network": network}).get_parsed_content("report")
    evaluator(data, network, report).run()

    written = json.loads((tmp_path / "output/evaluation.json").read_text())
    assert (written["bundle"], written["params"]) == ("enet", 2)
    assert (written["split"], written["part"]) == ({"name": "all", "sha256": "abc"}, "test")
    # SHA-256 of "abc", the standard's own example.
    assert written["weights_sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert written["summary"]["sites"]["HK"]["missed"] == 1
    hk, ucl = written["cases"]
    assert (ucl["case"], ucl["site"], ucl["dice"], ucl["hd95_mm"]) == ("UCL_Case02", "UCL", 0.75, 3.0)
    assert ucl["truth_ml"] == pytest.approx(64 * 0.75 / 1000)
    assert (hk["case"], hk["missed"], hk["dice"]) == ("HK_Case01", True, 0)

    # Each case has 640 voxels, all of them near its prostate. In one case 16 + 16 voxels are wrong, in the other 64.
    assert written["calibration"]["ece"] == pytest.approx((16 + 80) / 1280)
    assert [bin["voxels"] for bin in written["calibration"]["bins"]] == [576 + 640, 64]

    with open(tmp_path / "output/evaluation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["HK_Case01", "UCL_Case02"]
    assert {key: str(value) for key, value in hk.items()} == rows[0]
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == ["evaluation.csv", "evaluation.json"]

    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["site", "cases", "Dice", "HD95", "mm", "ASD", "mm", "missed"]
    assert table[-1].split()[:5] == ["all", "2", "0.375", "±", "0.375"]
    assert len({len(line) for line in table[-4:]}) == 1


def test_a_second_run_starts_anew(tmp_path, datalist, network, weights, data):
    report = EvaluationReport(str(tmp_path), "enet", str(datalist), "test", network, weights)
    engine = evaluator(data, network, report)
    engine.run()
    engine.run()
    assert len(json.loads((tmp_path / "evaluation.json").read_text())["cases"]) == 2


def test_an_interrupted_evaluation_leaves_the_former_report(tmp_path, datalist, network, weights, data):
    (tmp_path / "evaluation.json").write_text("former")
    del data[1]["case"]
    with pytest.raises(KeyError, match=r"\A'case'\Z"):
        evaluator(data, network, EvaluationReport(str(tmp_path), "enet", str(datalist), "test", network, weights)).run()
    assert (tmp_path / "evaluation.json").read_text() == "former"


def test_bad_split_file_is_named(tmp_path, network, weights):
    with pytest.raises(InputError, match=r"\A\S+/absent\.json: no such file\Z"):
        EvaluationReport(str(tmp_path), "enet", str(tmp_path / "absent.json"), "test", network, weights)
    (tmp_path / "mine.json").write_text('{"name": "mine"}')
    with pytest.raises(InputError, match=r"\A\S+/mine\.json: not a split file"):
        EvaluationReport(str(tmp_path), "enet", str(tmp_path / "mine.json"), "test", network, weights)


def test_nothing_evaluated_is_an_error(tmp_path, datalist, network, weights):
    with pytest.raises(InputError, match=r"\Anothing was evaluated"):
        EvaluationReport(str(tmp_path), "enet", str(datalist), "test", network, weights).write(None)
