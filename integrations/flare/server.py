"""The server's part of a federation: it averages a student's weights, or saves each teacher's weights in a bundle."""

import json
from typing import Any

import torch
from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.app_common.workflows.base_fedavg import BaseFedAvg
from nvflare.app_common.workflows.model_controller import ModelController

from custom_components.bundle import Bundle, read_bundle
from custom_components.checkpoint import write_weights
from custom_components.foundation.errors import InputError
from integrations.flare.hospital import PROVENANCE, SCORE, TRAIN
from integrations.flare.provenance import check_alike, federated_provenance
from integrations.flare.weights import load_arrays, to_arrays


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
        keep(bundle, model, federated_provenance(provenances(answers), scores, self.num_rounds), "the average")


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
        answers = answers_of_all(self, TRAIN, FLModel(params={}))
        for hospital, provenance in provenances(answers).items():
            keep(read_bundle(self.bundles[hospital]), answers[hospital], provenance, hospital)


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


def keep(bundle: Bundle, model: FLModel, provenance: dict[str, Any], sender: str) -> None:
    """Write received weights into ``bundle``, in the same form as after a training.

    Raises:
        InputError: if the weights do not fit the bundle's network.
    """
    if bundle.network_def != provenance["network_def"]:
        raise InputError(
            f"{sender} trained another network than {bundle.path}/configs/train.json: bring both up to date"
        )
    # The same form as in a training, so that the same weights give the same file.
    network = bundle.build_network().to(memory_format=torch.channels_last)
    load_arrays(network, model.params, sender)
    write_weights(bundle.model_file, network, provenance, provenance["epoch"], provenance["metrics"])
