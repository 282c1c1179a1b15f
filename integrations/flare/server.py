"""The server's part of a federation: it averages a student's weights, or saves those of teachers or students."""

import json
from typing import Any

import torch
from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.app_common.workflows.base_fedavg import BaseFedAvg
from nvflare.app_common.workflows.model_controller import ModelController

from custom_components.bundle import read_bundle
from custom_components.bundle.weights import read_provenance
from custom_components.checkpoint import read_checkpoint
from custom_components.foundation.errors import InputError
from custom_components.provenance import public_provenance
from integrations.flare.hospital import PROVENANCE, SCORE, TRAIN
from integrations.flare.provenance import check_alike, federated_provenance
from integrations.flare.weights import keep, to_arrays


class FederatedAveraging(BaseFedAvg):
    """Trains one student on the data of all hospitals, by averaging their weights.

    McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, 2017, algorithm 1; the
    factor n_k of a hospital is its number of training slices. Buffers, such as the statistics of batch normalisation,
    are averaged in the same way as parameters.

    Args:
        bundle: folder of the student's bundle, into which the weights are written.
        num_rounds: number of rounds; in each round the server sends the weights and the hospitals return them.
    """

    def __init__(self, bundle: str, num_rounds: int) -> None:
        super().__init__(num_rounds=num_rounds, persistor_id="", ignore_result_error=False)
        self.bundle = bundle

    def run(self) -> None:
        """Run all rounds. FLARE calls this method."""
        bundle = read_bundle(self.bundle)
        torch.manual_seed(0)
        model = FLModel(params=to_arrays(bundle.build_network().state_dict()))
        for number in range(self.num_rounds):
            self.current_round = model.current_round = number
            answers = answers_of_all(self, TRAIN, model)
            check_alike(provenances(answers))
            model = self.update_model(model, self.aggregate(list(answers.values())))
        scores = {name: answer.metrics for name, answer in answers_of_all(self, SCORE, model).items()}
        keep(bundle, model.params, federated_provenance(provenances(answers), scores, self.num_rounds), "the average")


class TeacherCollection(ModelController):
    """Lets every hospital train its teacher, and saves the weights of each teacher in a bundle.

    Args:
        bundles: the folder of each teacher's bundle on the server, by the hospital's name.
    """

    def __init__(self, bundles: dict[str, str]) -> None:
        super().__init__(persistor_id="", ignore_result_error=False)
        self.bundles = bundles

    def run(self) -> None:
        """Run the single task of all hospitals. FLARE calls this method."""
        answers = answers_of_all(self, TRAIN, self.sent())
        for hospital, provenance in provenances(answers).items():
            keep(read_bundle(self.bundles[hospital]), answers[hospital].params, provenance, hospital)

    def sent(self) -> FLModel:
        """The message with the task."""
        return FLModel(params={})


class StudentCollection(TeacherCollection):
    """Sends teachers to every hospital, which distils a student of its own, and saves each student in a bundle.

    Args:
        bundles: the folder of each student's bundle on the server, by the hospital's name.
        teachers: the folders of the teachers' trained bundles, by name.
    """

    def __init__(self, bundles: dict[str, str], teachers: dict[str, str]) -> None:
        super().__init__(bundles)
        self.teachers = teachers

    def sent(self) -> FLModel:
        bundles = {name: read_bundle(folder) for name, folder in self.teachers.items()}
        arrays = {
            f"{name}/{key}": array
            for name, bundle in bundles.items()
            for key, array in to_arrays(read_checkpoint(bundle.model_file)).items()
        }
        known = {name: public_provenance(read_provenance(bundle)) for name, bundle in bundles.items()}
        return FLModel(params=arrays, meta={PROVENANCE: json.dumps(known)})


def answers_of_all(controller: ModelController, task: str, model: FLModel) -> dict[str, FLModel]:
    """Send a task to all hospitals and return their answers by name.

    Raises:
        InputError: if a hospital does not answer.
    """
    answers = {answer.meta["client_name"]: answer for answer in controller.send_model_and_wait(task, model)}
    asked = sorted(client.name for client in controller.engine.get_clients())
    if missing := [name for name in asked if name not in answers]:
        raise InputError(f"no answer from {', '.join(missing)}; nothing was written")
    return {name: answers[name] for name in asked}


def provenances(answers: dict[str, FLModel]) -> dict[str, dict[str, Any]]:
    """The provenance that each hospital has sent with its weights."""
    return {name: json.loads(answer.meta[PROVENANCE]) for name, answer in answers.items()}
