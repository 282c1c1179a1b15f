import pytest

from custom_components.foundation.errors import InputError
from integrations.flare.provenance import check_alike, federated_provenance


def of_hospital(validation: int, **changes) -> dict:
    case = {"voxel_sha256": "0", "site": "UCL"}
    return {
        "bundle": "enet",
        "network_def": {"_target_": "ENet"},
        "preprocessing": [{"transform": "LoadImaged"}],
        "pretrained": None,
        "split": {"name": "all", "sha256": "1"},
        "cases": {"training": [case], "validation": [case] * validation},
        **changes,
    }


def test_the_score_is_the_mean_over_validation_cases():
    scores = {"north": {"val_mean_dice": 0.5}, "south": {"val_mean_dice": 0.9}}
    merged = federated_provenance({"north": of_hospital(3), "south": of_hospital(1)}, scores, rounds=7)
    assert merged["metrics"]["val_mean_dice"] == pytest.approx(0.6)
    assert (len(merged["cases"]["training"]), len(merged["cases"]["validation"])) == (2, 4)
    assert merged["federation"]["rounds"] == merged["epoch"] == 7
    assert merged["federation"]["hospitals"]["south"]["metrics"] == {"val_mean_dice": 0.9}


def test_hospitals_with_another_preprocessing_are_named():
    other = of_hospital(1, preprocessing=[])
    with pytest.raises(InputError, match="south: trained with another preprocessing than north"):
        check_alike({"north": of_hospital(1), "south": other})
