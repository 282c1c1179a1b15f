"""A small distillation: random teachers, a student, and one case of the tiny dataset."""

from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from monai.data import DataLoader
from monai.inferers import SimpleInferer
from torch import nn

from custom_components.bundle import Bundle
from custom_components.data import SliceDataset
from custom_components.engines import DistillationTrainer
from custom_components.handlers import TrainingLog
from custom_components.losses import DistillationLoss
from custom_components.networks import ENet, ESPNet, MobileNetV2
from custom_components.teachers import Taps, TeacherEnsemble
from custom_components.teachers.load import Teacher


class Tiny(nn.Sequential):
    """A network of three layers, for tests that do not depend on the architecture."""

    def __init__(self) -> None:
        low = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU())
        high = nn.Sequential(nn.Conv2d(4, 6, 3, 4, 1), nn.ReLU())
        super().__init__(OrderedDict(low=low, high=high, head=nn.ConvTranspose2d(6, 2, 8, 8)))


TAPS = {
    Tiny: {"stride2": "low", "stride8": "high"},
    ENet: {"stride2": "initial", "stride8": "stage3"},
    ESPNet: {"stride2": "level1", "stride8": "merge3"},
    MobileNetV2: {"stride2": "features.0", "stride8": "features.18"},
}


class Distillation(SimpleNamespace):
    trainer: DistillationTrainer
    log: TrainingLog
    student: nn.Module


@pytest.fixture
def tiny() -> type:
    return Tiny


@pytest.fixture
def make_distillation(cases, preprocessing, tmp_path) -> Callable[..., Distillation]:
    """``make_distillation([ESPNet, ...], epochs)`` makes a student that overfits the four slices of one case."""

    def teacher(kind: type) -> Teacher:
        torch.manual_seed(1)
        network = kind()
        return Teacher(Bundle(tmp_path / kind.__name__, {}, TAPS[kind]), network, Taps(network, TAPS[kind]), "hash")

    def make(
        kinds: list[type],
        epochs: int = 1,
        student_kind: type = Tiny,
        batch_size: int = 4,
        wrap: Callable = lambda network: network,
        without_features: bool = False,
        **options,
    ) -> Distillation:
        slices = SliceDataset(cases[:1], preprocessing, tmp_path / "prepared")
        teachers = TeacherEnsemble(
            [teacher(kind) for kind in kinds], () if without_features else ("stride2", "stride8")
        )
        torch.manual_seed(0)
        student = student_kind()
        optimizer = torch.optim.Adam(student.parameters(), 1e-2)
        loss = DistillationLoss(**options.pop("loss", {}))
        trainer = DistillationTrainer(
            device=torch.device("cpu"),
            max_epochs=epochs,
            train_data_loader=DataLoader(slices, batch_size=batch_size),
            network=wrap(student),
            optimizer=optimizer,
            loss_function=loss,
            inferer=SimpleInferer(),
            teachers=teachers,
            student_taps=Taps(student, TAPS[student_kind]),
            decollate=False,
            **options,
        )
        log = TrainingLog(tmp_path / "output", loss, optimizer, trainer)
        log.attach(trainer)
        return Distillation(trainer=trainer, log=log, student=student)

    return make
