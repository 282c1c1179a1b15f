"""Training on the annotators' labels: a student alone, or distilled from teachers."""

import logging
import shutil
import subprocess
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.others.generic import device_list, name_to_device

from custom_components.bundle import SHIPPED_BUNDLES, run_command, weights_file
from custom_components.bundle.weights import recorded_provenance
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, replace_file, write_json
from custom_components.options import as_meant, flag
from custom_components.unlabeled_options import CHOICES, unlabeled_settings
from integrations.monai_label.labels import write_dataset
from integrations.monai_label.training_tasks import finished_epochs, is_going_on, latest_trainings

logger = logging.getLogger(__name__)

DISTILLATION = SHIPPED_BUNDLES / "distillation"
WEIGHTS = ("provenance.json", "model.pt")


class BundleTraining(TrainTask):
    """Runs a bundle's own training in another process. The served weights change if the training ends without error.

    Args:
        bundle: the student's folder.
        teachers: folders of trained bundles by name, which a client may name.
        work_dir: folder of the dataset that is made from the labels, its prepared volumes, and the weights of a running
            training.
    """

    def __init__(self, bundle: Path, teachers: Mapping[str, Path], work_dir: Path) -> None:
        super().__init__(f"Train {bundle.name} on the final labels")
        self._bundle = bundle
        self._teachers = teachers
        self._dataset = work_dir / "dataset"
        self._models = work_dir / "training" / bundle.name
        self._record = work_dir / "trained" / f"{bundle.name}.json"

    def config(self) -> dict[str, Any]:
        """The options that a client may set, with the defaults."""
        return {
            "max_epochs": 50,
            "val_split": 0.2,
            "pretrained": True,
            "teachers": " ".join(self._teachers),
            "unlabeled": False,
            **{name: list(words) for name, words in CHOICES.items()},
            "adapt_teachers": False,
            "device": device_list(),
        }

    def stats(self) -> dict[str, Any]:
        """The state of this server's training of the bundle, in the form that 3D Slicer and OHIF show.

        Returns:
            ``epoch`` and ``total_epochs`` while a training runs; otherwise ``total_time`` of the last training, which
            is 0:00:00 if the served weights do not come from a training on this server. ``best_metric`` is the
            validation Dice of weights from this server, if it is known.
        """
        training = latest_trainings().get(self._bundle.name)
        if training and is_going_on(training):
            total = int(training["request"].get("max_epochs", self.config()["max_epochs"]))
            # The clients take an epoch of 0 for a training without epochs.
            return {"epoch": max(finished_epochs(training), 1), "total_epochs": total}
        made = read_json(self._record) if self._record.is_file() else {}
        served = recorded_provenance(self._bundle / "models") or {}
        if not made or made["weights_sha256"] != served.get("weights_sha256"):
            return {"total_time": "0:00:00"}
        metrics = served["metrics"]
        best = {"best_metric": metrics["val_mean_dice"]} if "val_mean_dice" in metrics else {}
        return {"total_time": made["total_time"], **best}

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train on all final labels.

        Args:
            request: ``max_epochs``; ``val_split``, the share of the labels for validation; ``pretrained``, whether to
                start from the served weights; ``teachers``, the names of the teachers, empty for none; ``unlabeled``,
                whether to learn from the images without a final label too; ``unlabeled_weighting``, ``pseudo_labels``
                and ``adapt_teachers``, see :func:`unlabeled_settings`; ``device``.

        Raises:
            InputError: if an option or a label is bad, a teacher is unknown, images without labels have no teacher, or
                the training failed. The last lines of a failed training give the reason.
        """
        options = {key: value[0] if isinstance(value, list) else value for key, value in self.config().items()}
        options |= request
        options |= {name: flag(name, options[name]) for name in ("pretrained", "unlabeled", "adapt_teachers")}
        validation_share = _share("val_split", options["val_split"])
        command = self._command(options)
        unlabeled = _without_labels(datastore) if options["unlabeled"] else []
        began = time.monotonic()
        write_dataset(datastore.datalist(), self._dataset, validation_share, unlabeled)
        shutil.rmtree(self._models, ignore_errors=True)
        if subprocess.run(command).returncode:
            raise InputError(f"the training of {self._bundle.name} failed, see above; its weights are as they were")
        if options["pretrained"]:
            self._remember_former_cases()
        self._serve(timedelta(seconds=round(time.monotonic() - began)))
        return self.stats()

    def _command(self, options: Mapping[str, Any]) -> list[str]:
        """The command ``monai.bundle run training``, as a user would type it."""
        config = self._bundle / "configs" / "train.json"
        settings = {
            "dataset_dir": self._dataset,
            "models_dir": self._models,
            "device": name_to_device(options["device"]),
            "train::trainer::max_epochs": _epochs(options["max_epochs"]),
        }
        served = weights_file(self._bundle)
        if options["pretrained"] and served.is_file():
            settings |= {
                "initial_network::_target_": "custom_components.teachers.load_weights",
                "initial_network::file": served,
                "provenance::pretrained": served,
            }
        names = str(options["teachers"]).split()
        if unknown := [name for name in names if name not in self._teachers]:
            raise InputError(f"teachers: no '{unknown[0]}'; the server was started with {list(self._teachers)}")
        if names:
            settings["teachers"] = [self._teachers[name] for name in names]
            settings["student"] = self._bundle
            settings |= {key: read_json(config)[key] for key in ("image_size", "field_of_view")}
            config = DISTILLATION / "configs" / "train.json"
            names = ("unlabeled", "adapt_teachers", *CHOICES)
            settings |= unlabeled_settings(**{name: options[name] for name in names})
        elif options["unlabeled"] or options["adapt_teachers"]:
            option = "unlabeled" if options["unlabeled"] else "adapt_teachers"
            raise InputError(f"{option}: needs a teacher; name one in 'teachers', or set {option} to false")
        return run_command("training", config, settings)

    def _remember_former_cases(self) -> None:
        """Add the cases of earlier trainings to the provenance, because the weights have seen these cases too."""
        former = recorded_provenance(self._bundle / "models")
        if former is None:
            return
        made = recorded_provenance(self._models)
        known = [case for cases in made["cases"].values() for case in cases]
        seen = [case for cases in former["cases"].values() for case in cases]
        made["cases"]["training"] += [case for case in seen if case not in known]
        write_json(self._models / "provenance.json", made)

    def _serve(self, total_time: timedelta) -> None:
        """Put the new weights into the bundle, move the former weights to ``models/before``, and note the training."""
        models = self._bundle / "models"
        for name in WEIGHTS:
            if (models / name).is_file():
                (models / "before").mkdir(exist_ok=True)
                shutil.copy2(models / name, models / "before" / name)
        for name in WEIGHTS:
            replace_file(models / name, lambda partial, made=self._models / name: shutil.copyfile(made, partial))
        weights = recorded_provenance(models)["weights_sha256"]
        self._record.parent.mkdir(exist_ok=True)
        write_json(self._record, {"weights_sha256": weights, "total_time": str(total_time)})
        shutil.rmtree(self._models)


def _epochs(value: Any) -> int:
    epochs = as_meant("max_epochs", value, {})
    if epochs is None or epochs < 1:
        raise InputError(f"--max_epochs {value}: give at least 1")
    return epochs


def _share(option: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{option}: {value} is not a share from 0 to below 1") from None


def _without_labels(datastore: Datastore) -> list[str]:
    """The files of the images without a final label; with a PACS they are loaded first."""
    labelled = set(datastore.get_labeled_images(DefaultLabelTag.FINAL))
    return [datastore.get_image_uri(image) for image in datastore.list_images() if image not in labelled]
