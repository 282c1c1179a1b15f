"""The time of a distillation step, against its parts: the teachers' forward pass and the student's supervised step."""

import statistics
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer, Trainer
from monai.inferers import SimpleInferer

from benchmarks.measure import Figure, in_turn, ratios
from custom_components.bundle import SHIPPED_BUNDLES, read_bundle
from custom_components.engines import DistillationTrainer
from custom_components.losses import DistillationLoss, SegmentationLoss
from custom_components.teachers import Taps, Teacher, TeacherEnsemble

TEACHERS = {"PSPNet": ["pspnet"], "three teachers": ["deeplabv3plus", "pspnet", "fcn_resnet101"]}
SMALL = {"ESPNet": ["espnet"], "two teachers": ["espnet", "mobilenetv2"]}  # for --quick
STEPS = 1000  # one long epoch, because the first batch of an epoch also measures gradients


def measure(quick: bool = False) -> list[Figure]:
    """Measure a step, divided by the sum of the teachers' forward pass and a supervised step."""
    devices = [torch.device("cpu")] + [torch.device("cuda")] * torch.cuda.is_available()
    teachers = SMALL if quick else TEACHERS
    return [_compare(label, names, device, quick) for device in devices for label, names in teachers.items()]


def _compare(label: str, names: list[str], device: torch.device, quick: bool) -> Figure:
    torch.manual_seed(0)
    size, batch_size = (64, 2) if quick else (384, 4)
    batch = random_batch(batch_size, size)
    student = read_bundle("enet", SHIPPED_BUNDLES)
    teachers = random_teachers(names, list(student.taps))
    common = {
        "device": device,
        "max_epochs": 1,
        "train_data_loader": [batch] * STEPS,
        "inferer": SimpleInferer(),
        "decollate": False,
    }
    supervised = SupervisedTrainer(**common, **untrained_enet(device), loss_function=SegmentationLoss())
    learner = untrained_enet(device)
    distillation = DistillationTrainer(
        **common,
        **learner,
        loss_function=DistillationLoss(),
        teachers=teachers,
        student_taps=Taps(learner["network"], student.taps),
    )
    image = batch["image"].to(device)
    steps, forwards, supervised_steps = in_turn(
        2 if quick else {"cpu": 3, "cuda": 20}[device.type],
        stepper(distillation),
        lambda: teachers(image),
        stepper(supervised),
        device=device,
    )
    for trainer in (distillation, supervised):
        trainer.terminate()
        trainer.run()
    return Figure(
        what=f"distillation step on {device.type.upper()}, ENet from {label}, {batch_size}x1x{size}x{size} / "
        "(teachers' forward pass + supervised step)",
        values=ratios(steps, [sum(pair) for pair in zip(forwards, supervised_steps, strict=True)]),
        target=1.10,
        parts={
            "distillation step, s": statistics.median(steps),
            "teachers' forward pass, s": statistics.median(forwards),
            "supervised step, s": statistics.median(supervised_steps),
        },
        note="the rest is the loss on the taps (importance maps, region contrast) and its gradient; without the first "
        "batch of an epoch, on which the norms of the gradients are measured",
    )


def random_batch(batch_size: int, size: int) -> dict[str, Any]:
    """A batch as a data loader gives it: noise, with a disc as the prostate."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    disc = ((rows - size / 2) ** 2 + (columns - size / 2) ** 2 < (size / 6) ** 2)[None, None]
    return {
        "image": torch.randn(batch_size, 1, size, size) + disc,
        "label": disc.expand(batch_size, 1, size, size).to(torch.uint8),
        "case": ["noise"] * batch_size,
        "site": [""] * batch_size,
        "slice": torch.arange(batch_size),
        "view": torch.zeros(batch_size, dtype=torch.int64),
    }


def random_teachers(names: list[str], keys: list[str]) -> TeacherEnsemble:
    """Untrained teachers: the weights do not change how long a network takes."""
    teachers = []
    for name in names:
        bundle = read_bundle(name, SHIPPED_BUNDLES)
        network = bundle.build_network()
        teachers.append(Teacher(bundle, network, Taps(network, bundle.taps), weights_sha256=""))
    return TeacherEnsemble(teachers, keys)


def untrained_enet(device: torch.device) -> dict[str, Any]:
    """An untrained ENet and its optimizer, as arguments of a trainer."""
    network = read_bundle("enet", SHIPPED_BUNDLES).build_network().to(device, memory_format=torch.channels_last)
    return {"network": network, "optimizer": torch.optim.Adam(network.parameters(), 1e-4)}


def stepper(trainer: Trainer):
    """Make a function that runs one step of the trainer and then returns."""
    trainer.add_event_handler(Events.ITERATION_COMPLETED, trainer.interrupt)
    return trainer.run
