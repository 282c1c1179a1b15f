"""A bundle with a window warns when its mask touches the border of the window."""

import pytest
import torch
from torch import nn

from custom_components.data import load_datalist


class Everywhere(nn.Module):
    """Finds prostate in every pixel."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(image), torch.ones_like(image)], dim=1)


@pytest.mark.parametrize(("field_of_view", "warns"), [(24, True), (None, False), (200, False)])
def test_each_volume_is_named_once(make_trained, workflow, dataset_dir, capsys, field_of_view, warns):
    """The images measure 50 mm by 45 mm."""
    bundle = make_trained("enet")
    options = {"network": Everywhere(), "field_of_view": field_of_view}
    workflow(bundle.path, "evaluate", **options).run()
    lines = [line for line in capsys.readouterr().out.splitlines() if "touches the border" in line]
    tested = load_datalist(dataset_dir / "splits" / "all.json", "test", dataset_dir)
    expected = [f"{case['image']}: the mask touches the border of the central 24 mm" for case in tested]
    assert len(lines) == (len(tested) if warns else 0)
    assert all(words in line for line, words in zip(lines, expected, strict=False))


def test_inference_of_weights_of_another_network_is_one_line(make_trained, workflow, dataset_dir, one_error_line):
    bundle = make_trained("enet")
    other = {"network_def::_target_": "custom_components.networks.ESPNet", "dataset_dir": str(dataset_dir / "images")}
    line = one_error_line(workflow(bundle.path, "inference", **other).run)
    assert "model.pt: not the weights of a ESPNet: " in line
    assert "; they were trained as ENet with --network_def::in_channels 1 --network_def::out_channels 2" in line
