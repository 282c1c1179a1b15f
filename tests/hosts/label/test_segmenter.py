"""The entropy by which active learning chooses a study, and the provenance of weights that were trained again."""

import pytest
import torch

from custom_components.foundation.files import read_json, write_json
from integrations.monai_label.segmenter import Segmenter, _mean_entropy
from integrations.monai_label.training import BundleTraining


@pytest.mark.parametrize(
    ("prostate", "bits"), [([0.5, 0.5], 1), ([0, 1], 0), ([0.5, 1], 0.5), ([0.25, 0.25], 0.811278)]
)
def test_entropy_in_bits(prostate, bits):
    prostate = torch.tensor(prostate).reshape(1, 1, 1, 2)
    assert _mean_entropy(torch.cat([1 - prostate, prostate])) == pytest.approx(bits, abs=1e-5)


def test_entropy_is_computed_once_for_an_image_and_weights(bundles, studies, tmp_path, monkeypatch):
    segmenter = Segmenter(tmp_path)
    image = sorted(studies.glob("*.nii.gz"))[0]
    first = segmenter.entropy(bundles / "enet", image)
    other = segmenter.entropy(bundles / "espnet", image)
    assert first != other
    monkeypatch.setattr(segmenter, "segment", None)
    assert segmenter.entropy(bundles / "enet", image) == first


def test_weights_trained_further_list_every_case_they_have_seen(tmp_path):
    training = BundleTraining(tmp_path / "enet", {}, tmp_path)
    old = {"training": [{"case": "A"}, {"case": "B"}], "validation": [{"case": "C"}]}
    new = {"training": [{"case": "D"}, {"case": "B"}], "validation": [{"case": "E"}]}
    write_json(tmp_path / "enet" / "models" / "provenance.json", {"cases": old})
    made = tmp_path / "training" / "enet" / "provenance.json"
    write_json(made, {"cases": new, "epoch": 3})
    training._remember_former_cases()
    names = {part: [case["case"] for case in cases] for part, cases in read_json(made)["cases"].items()}
    assert names == {"training": ["D", "B", "A", "C"], "validation": ["E"]}
