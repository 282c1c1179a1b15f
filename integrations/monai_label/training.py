"""Training on the annotators' labels: a student alone, or distilled from teachers."""

import logging
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.others.generic import device_list, name_to_device

from custom_components.bundle import SHIPPED_BUNDLES, run_command, weights_file
from custom_components.bundle.weights import recorded_provenance
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, replace_file, write_json
from integrations.monai_label.labels import write_dataset

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

    def config(self) -> dict[str, Any]:
        """The options that a client may set, with the defaults."""
        return {
            "max_epochs": 50,
            "val_split": 0.2,
            "pretrained": True,
            "teachers": " ".join(self._teachers),
            "device": device_list(),
        }

    def stats(self) -> dict[str, Any]:
        """The validation Dice of the served weights, if it is known, in the form that 3D Slicer shows."""
        metrics = (recorded_provenance(self._bundle / "models") or {}).get("metrics", {})
        return {"best_metric": metrics["val_mean_dice"]} if "val_mean_dice" in metrics else {}

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train on all final labels.

        Args:
            request: ``max_epochs``; ``val_split``, the share of the labels for validation; ``pretrained``, whether to
                start from the served weights; ``teachers``, the names of the teachers, empty for none; ``device``.

        Raises:
            InputError: if a label is bad, a teacher is unknown, or the training failed. The last lines of a failed
                training give the reason.
        """
        options = {**self.config(), **request}
        command = self._command(options)
        write_dataset(datastore.datalist(), self._dataset, float(options["val_split"]))
        shutil.rmtree(self._models, ignore_errors=True)
        if subprocess.run(command).returncode:
            raise InputError(f"the training of {self._bundle.name} failed, see above; its weights are as they were")
        if options["pretrained"]:
            self._remember_former_cases()
        self._serve()
        return self.stats()

    def _command(self, options: Mapping[str, Any]) -> list[str]:
        """The command ``monai.bundle run training``, as a user would type it."""
        config = self._bundle / "configs" / "train.json"
        settings = {
            "dataset_dir": self._dataset,
            "models_dir": self._models,
            "device": name_to_device(options["device"]),
            "train::trainer::max_epochs": int(options["max_epochs"]),
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

    def _serve(self) -> None:
        """Put the new weights into the bundle, and move the former weights to ``models/before``."""
        models = self._bundle / "models"
        for name in WEIGHTS:
            if (models / name).is_file():
                (models / "before").mkdir(exist_ok=True)
                shutil.copy2(models / name, models / "before" / name)
        for name in WEIGHTS:
            replace_file(models / name, lambda partial, made=self._models / name: shutil.copyfile(made, partial))
        shutil.rmtree(self._models)
