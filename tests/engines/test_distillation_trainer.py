import pytest
import torch
from monai.data import DataLoader
from monai.inferers import SimpleInferer

from custom_components.data import SliceDataset
from custom_components.engines import DistillationTrainer
from custom_components.handlers import TrainingLog
from custom_components.losses import DistillationLoss
from custom_components.networks import ENet, ESPNet, MobileNetV2
from custom_components.teachers import Taps, TeacherEnsemble
from custom_components.teachers.bundle import Bundle
from custom_components.teachers.load import Teacher

TAPS = {
    ENet: {"stride2": "initial", "stride8": "stage3"},
    ESPNet: {"stride2": "level1", "stride8": "merge3"},
    MobileNetV2: {"stride2": "features.0", "stride8": "features.18"},
}


def teacher(kind: type, tmp_path) -> Teacher:
    torch.manual_seed(1)
    network = kind()
    return Teacher(Bundle(tmp_path / kind.__name__, {}, TAPS[kind]), network, Taps(network, TAPS[kind]), "hash")


@pytest.fixture
def distil(cases, preprocessing, tmp_path):
    """``distil([ESPNet, ...], epochs)`` overfits one batch and gives the trainer and its log."""

    def run(kinds: list[type], epochs: int, **loss_options) -> tuple[DistillationTrainer, TrainingLog]:
        slices = SliceDataset(cases[:1], preprocessing, tmp_path / "prepared")
        teachers = TeacherEnsemble([teacher(kind, tmp_path) for kind in kinds], ("stride2", "stride8"))
        torch.manual_seed(0)
        student = ENet()
        optimizer = torch.optim.Adam(student.parameters(), 1e-2)
        loss = DistillationLoss(**loss_options)
        trainer = DistillationTrainer(
            device=torch.device("cpu"),
            max_epochs=epochs,
            train_data_loader=DataLoader(slices, batch_size=4),
            network=student,
            optimizer=optimizer,
            loss_function=loss,
            inferer=SimpleInferer(),
            teachers=teachers,
            student_taps=Taps(student, TAPS[ENet]),
            decollate=False,
        )
        log = TrainingLog(tmp_path / "output", loss, optimizer, trainer)
        log.attach(trainer)
        trainer.run()
        return trainer, log

    return run


def test_overfits_one_batch_and_leaves_the_teachers_alone(distil):
    trainer, log = distil([ESPNet, MobileNetV2], epochs=12)
    assert log.rows[-1]["loss"] < 0.6 * log.rows[0]["loss"]
    assert not trainer.teachers.training
    torch.manual_seed(1)
    untouched = ESPNet().state_dict()
    assert all(torch.equal(value, untouched[key]) for key, value in trainer.teachers.networks[0].state_dict().items())
    assert trainer.student_taps._features == {}


def test_logs_every_term_and_every_teachers_weight(distil):
    _, log = distil([ESPNet, MobileNetV2], epochs=1)
    row = log.rows[0]
    terms = ["loss", "dice", "lovasz", "importance", "region_contrast", "prediction"]
    assert list(row) == ["epoch", "learning_rate", *terms, "weight_ESPNet", "weight_MobileNetV2"]
    assert row["weight_ESPNet"] + row["weight_MobileNetV2"] == pytest.approx(1)
    segmentation = 0.2 * row["dice"] + 0.3 * row["lovasz"]
    distillation = 0.1 * (row["importance"] + row["region_contrast"] + row["prediction"])
    assert row["loss"] == pytest.approx(segmentation + distillation, rel=1e-5)


def test_one_teacher_has_all_the_weight(distil):
    _, log = distil([ESPNet], epochs=1)
    assert log.rows[0]["weight_ESPNet"] == 1.0


def test_a_weighting_that_does_not_fit_the_teachers_is_told(distil):
    with pytest.raises(ValueError, match="must name 2 teachers' weights"):
        distil([ESPNet, MobileNetV2], epochs=1, weighting=[1.0])
