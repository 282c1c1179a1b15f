"""The training whose numbers the pictures show: three ENets, each for two phantom sites, and an ESPNet distilled from
them.

``python docs/explanation/short_run.py`` trains for a few minutes and writes ``short_run.npz``. ENet replaces the large
teachers, because it learns within this time.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from monai.inferers import SimpleInferer

from custom_components.bundle import SHIPPED_BUNDLES, read_bundle
from custom_components.bundle.parsing import parse_config
from custom_components.data import SliceDataset
from custom_components.engines import DistillationTrainer
from custom_components.losses import DistillationLoss, SegmentationLoss, teacher_dice_losses
from custom_components.losses.term import Answer
from custom_components.teachers import Batch, Taps, Teacher, TeacherEnsemble
from custom_components.teachers.teachers import Summarise
from data_prep.phantom.command import make_phantom

HERE = Path(__file__).resolve().parent
NUMBERS = HERE / "short_run.npz"
PAIRS = (("RUNMC", "BMC"), ("I2CVB", "UCL"), ("BIDMC", "HK"))  # groups of sites, one for each teacher, as in the paper
SIZE, BATCH_SIZE = 64, 8
TEACHER_EPOCHS, STUDENT_EPOCHS = 8, 3
CPU = torch.device("cpu")


def main() -> None:
    """Train, and save the numbers for the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        make_phantom(Path(folder, "raw"))
        # No network is trained on the last case of a site.
        training, shown = {}, {}
        for site in sorted(Path(folder, "raw").iterdir()):
            *training[site.name], shown[site.name] = _cases(site)

        def slices(cases: list[dict[str, Any]]) -> SliceDataset:
            return SliceDataset(cases, _preprocessing(), Path(folder, "prepared"))

        teachers = [_train_teacher(pair, slices([*training[pair[0]], *training[pair[1]]])) for pair in PAIRS]
        every_site = slices([case for site in training for case in training[site]])
        ensemble = TeacherEnsemble(teachers, ("stride2", "stride8"))
        student, taps, weights_log = _distil(ensemble, every_site)
        unseen = slices([shown["RUNMC"]])
        middle = unseen[len(unseen) // 2 + 1]
        numbers = {**weights_log, **_look(middle, teachers[0], student, taps)}
    np.savez_compressed(NUMBERS, **numbers)
    print(f"{NUMBERS}: {', '.join(numbers)}")


def _cases(site: Path) -> list[dict[str, Any]]:
    masks = sorted(site.glob("*_segmentation.nii.gz"))
    names = [mask.name.removesuffix("_segmentation.nii.gz") for mask in masks]
    return [
        {"image": str(site / f"{name}.nii.gz"), "label": str(mask), "case": f"{site.name} {name}"}
        for name, mask in zip(names, masks, strict=True)
    ]


def _preprocessing():
    parser = parse_config(SHIPPED_BUNDLES / "enet" / "configs" / "train.json", {"image_size": SIZE})
    return parser.get_parsed_content("preprocessing")


def _setup(slices: SliceDataset, network: torch.nn.Module, learning_rate: float, epochs: int) -> dict[str, Any]:
    """The arguments of both kinds of trainer; the learning rate makes one cycle."""
    loader = DataLoader(slices, batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=epochs * len(loader) + 1, cycle_momentum=False
    )
    return {
        "device": CPU,
        "max_epochs": epochs,
        "train_data_loader": loader,
        "network": network.to(memory_format=torch.channels_last),
        "optimizer": optimizer,
        "inferer": SimpleInferer(),
        "decollate": False,
        "train_handlers": [_EveryIteration(lambda engine: schedule.step())],
    }


class _EveryIteration:
    """A handler that calls a function of the engine after every iteration."""

    def __init__(self, run) -> None:
        self.run = run

    def attach(self, engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.run)


def _train_teacher(sites: tuple[str, str], slices: SliceDataset) -> Teacher:
    torch.manual_seed(0)
    bundle = read_bundle("enet", SHIPPED_BUNDLES)
    network = bundle.build_network()
    setup = _setup(slices, network, 0.004, TEACHER_EPOCHS)
    SupervisedTrainer(**setup, loss_function=SegmentationLoss(cross_entropy_weight=0.5)).run()
    print("trained the teacher of", " and ".join(sites), flush=True)
    return Teacher(bundle, network, Taps(network, bundle.taps), weights_sha256="")


def _distil(ensemble: TeacherEnsemble, slices: SliceDataset):
    """Distil the student; return it, its taps, and the teachers' Dice losses on every batch."""
    torch.manual_seed(0)
    bundle = read_bundle("espnet", SHIPPED_BUNDLES)
    student = bundle.build_network()
    taps = Taps(student, bundle.taps)
    dice_losses: list[torch.Tensor] = []
    terms: list[list[float]] = []
    loss = DistillationLoss(preset="emkd", weighting="inverse")
    setup = _setup(slices, student, 0.004, STUDENT_EPOCHS)
    trainer = DistillationTrainer(**setup, loss_function=loss, teachers=ensemble, student_taps=taps)

    def answer_and_note(batch: Batch, summarise: Summarise) -> list[Answer]:
        answers = TeacherEnsemble.answer(ensemble, batch, summarise)
        dice_losses.append(teacher_dice_losses([own.logits for own in answers], batch.target))
        return answers

    ensemble.answer = answer_and_note
    names = tuple(loss.parts)
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda: terms.append([loss.last_terms[name].item() for name in names])
    )
    trainer.run()
    log = {"teacher_dice_losses": torch.stack(dice_losses).numpy(), "terms": np.array(terms), "term_names": names}
    return student, taps, {**log, "batches_per_epoch": trainer.state.epoch_length}


@torch.no_grad()
def _look(sample: dict[str, Any], teacher: Teacher, student: torch.nn.Module, taps: Taps) -> dict[str, Any]:
    """Run one unseen slice through the teacher, the distilled student, and the untrained student."""
    image = torch.as_tensor(sample["image"])[None].float()
    torch.manual_seed(0)
    bundle = read_bundle("espnet", SHIPPED_BUNDLES)
    untrained = bundle.build_network()
    numbers = {"image": image[0, 0].numpy(), "label": torch.as_tensor(sample["label"])[0].numpy()}
    networks = {
        "teacher": (teacher.network, teacher.taps),
        "student": (student, taps),
        "untrained": (untrained, Taps(untrained, bundle.taps)),
    }
    for name, (network, own_taps) in networks.items():
        own_taps.arm()
        numbers[f"{name}_logits"] = network.eval()(image)[0].numpy()
        for key, features in zip(own_taps.keys, own_taps.collect(own_taps.keys), strict=True):
            numbers[f"{name}_map_{key}"] = _importance_map(features)
            numbers[f"{name}_contrast_{key}"] = _region_contrast(features, numbers["label"])
    return numbers


def _importance_map(features: torch.Tensor) -> np.ndarray:
    """Equation (3), first term: (1, K, h, w) to (h, w) of unit length, p = 4."""
    importance = features[0].abs().pow(4).sum(dim=0)
    return (importance / importance.norm()).numpy()


def _region_contrast(features: torch.Tensor, label: np.ndarray) -> float:
    """Equation (3), second term: the cosine of the mean feature vectors in and outside the prostate."""
    mask = torch.nn.functional.interpolate(torch.from_numpy(label)[None, None].float(), features.shape[2:])[0, 0] > 0
    inside, outside = features[0][:, mask].mean(dim=1), features[0][:, ~mask].mean(dim=1)
    return torch.cosine_similarity(inside, outside, dim=0).item()


if __name__ == "__main__":
    main()
