"""The loss of every step of a short training, for each preset of the distillation loss and for a training alone.

``python tests/test_golden_curves.py`` writes the curves again. If a change moves a curve, its commit message gives the
reason.
"""

import json
from pathlib import Path

import pytest
import torch

from custom_components.losses import DistillationLoss, SegmentationLoss
from custom_components.losses.presets import PRESETS
from custom_components.networks import ENet, ESPNet
from custom_components.teachers import Taps

FILE = Path(__file__).with_name("golden_curves.json")
STEPS = 6
TAPS = {"enet": {"stride2": "initial", "stride8": "stage3"}, "espnet": {"stride2": "level1", "stride8": "merge3"}}
CURVES = ["alone", *PRESETS]


def curve(name: str) -> list[float]:
    """The losses of six steps of an ENet on two slices, alone or from two untrained ESPNets, in float64."""
    torch.manual_seed(0)
    student = ENet().double()
    teachers = [ESPNet().double().eval() for _ in range(2)]
    taps = [Taps(student, TAPS["enet"]), *(Taps(teacher, TAPS["espnet"]) for teacher in teachers)]
    target = torch.zeros(2, 1, 32, 32)
    target[:, :, 8:24, 10:22] = 1
    image = (target + 0.3 * torch.randn(target.shape)).double()
    loss = SegmentationLoss(cross_entropy_weight=0.5) if name == "alone" else DistillationLoss(name)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    values = []
    for step in range(STEPS):
        loss.progress = step / (STEPS - 1)
        for tap in taps:
            tap.arm()
        logits = student(image)
        with torch.no_grad():
            teacher_logits = [teacher(image) for teacher in teachers]
        features, *teacher_features = (tap.collect(tap.keys) for tap in taps)
        if name == "alone":
            value = loss(logits, target)
        else:
            value = loss(logits, target, features, teacher_logits, teacher_features).loss
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    return values


def test_every_preset_has_a_curve():
    assert list(json.loads(FILE.read_text())) == CURVES


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_is_unchanged(name):
    assert curve(name) == pytest.approx(json.loads(FILE.read_text())[name], rel=1e-6)


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: curve(name) for name in CURVES}, indent=1) + "\n")
