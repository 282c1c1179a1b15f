"""The hospital's part of a federation: it trains a bundle on its own data and sends weights and provenance."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from monai.bundle import ConfigWorkflow
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import FLMetaKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.app_common.utils.fl_model_utils import FLModelUtils

from custom_components.bundle import read_bundle
from custom_components.bundle.weights import read_provenance
from custom_components.checkpoint import read_checkpoint
from custom_components.foundation.errors import InputError
from custom_components.options import read_options_as_meant
from custom_components.provenance import public_provenance
from integrations.flare.weights import load_arrays, to_arrays

read_options_as_meant()
TRAIN, SCORE = "train", "validate"
# Key of the JSON text that a hospital sends with the weights.
PROVENANCE = "provenance"


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that are not numbers, true or false.

    A job comes from outside the hospital, and a text in a MONAI config can be code.

    Raises:
        InputError: if a setting has another type.
    """
    for key, value in settings.items():
        if not isinstance(value, int | float):
            raise InputError(f"{key}: a federation sets numbers, true and false only, not {value!r}")


class Hospital(Executor):
    """Trains a bundle with its own ``train.json``, and answers with weights and their public provenance.

    Args:
        bundle: the hospital's copy of the bundle; the log stays in it.
        dataset_dir: the hospital's canonical dataset, with its split.
        epochs: number of epochs in one task.
        settings: options of the training, as on its command line (``lr_scheduler::step_size_up``); see
            :func:`check_settings`.
    """

    def __init__(
        self, bundle: str, dataset_dir: str, epochs: int, settings: dict[str, int | float | bool] | None = None
    ) -> None:
        super().__init__()
        self.bundle = bundle
        self.dataset_dir = dataset_dir
        self.epochs = epochs
        self.settings = settings or {}
        check_settings(self.settings)

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Run a task of the server. FLARE calls this method, and reports an error to the server as a failed task."""
        return FLModelUtils.to_shareable(self.answer(task_name, FLModelUtils.from_shareable(shareable)))

    @abstractmethod
    def answer(self, task_name: str, received: FLModel) -> FLModel:
        """The answer to a task: weights or scores."""

    @cached_property
    def workflow(self) -> ConfigWorkflow:
        """The bundle's training, which continues over all tasks."""
        workflow = ConfigWorkflow(
            str(Path(self.bundle) / "configs" / "train.json"),
            logging_file=False,
            workflow_type="train",
            bundle_root=self.bundle,
            dataset_dir=self.dataset_dir,
            **{"train::trainer::max_epochs": self.epochs, **self.settings},
        )
        self.adapt(workflow)
        workflow.initialize()
        return workflow

    def adapt(self, workflow: ConfigWorkflow) -> None:
        """Change the training's config before it is read."""


class StudentHospital(Hospital):
    """A hospital that trains one student together with the other hospitals."""

    def adapt(self, workflow: ConfigWorkflow) -> None:
        # This hospital writes no model.pt: its provenance would name only this hospital's cases, but the common weights
        # depend on the cases of all hospitals.
        handlers = workflow.parser["train"]["handlers"]
        local = ("@best_model", "@checkpoint")
        workflow.parser["train"]["handlers"] = [item for item in handlers if item.get("handler") not in local]

    def answer(self, task_name: str, received: FLModel) -> FLModel:
        """Train the common weights for some epochs, or score them on this hospital's validation cases."""
        network = load_arrays(self.workflow.network_def, received.params, "the server")
        if task_name == SCORE:
            return FLModel(metrics=self._scores())
        trainer = self.workflow.trainer
        trainer.state.max_epochs = trainer.state.epoch + self.epochs
        trainer.run()
        provenance = public_provenance(self.workflow.parser.get_parsed_content("provenance"))
        meta = {FLMetaKey.NUM_STEPS_CURRENT_ROUND: len(self.workflow.train_dataset), PROVENANCE: json.dumps(provenance)}
        return FLModel(params=to_arrays(network.state_dict()), meta=meta)

    def _scores(self) -> dict[str, Any]:
        self.workflow.evaluator.run()
        return {name: float(value) for name, value in self.workflow.evaluator.state.metrics.items()}


class TeacherHospital(Hospital):
    """A hospital that trains a teacher by its bundle's config, and sends the weights of the best epoch."""

    def answer(self, task_name: str, received: FLModel) -> FLModel:
        self.workflow.run()
        trained = read_bundle(self.bundle)
        provenance = public_provenance(read_provenance(trained))
        return FLModel(params=to_arrays(read_checkpoint(trained.model_file)), meta={PROVENANCE: json.dumps(provenance)})
