"""What runs where the weights arrive: averaging a student's, or keeping each teacher's as a bundle."""

import json
from typing import Any

import torch
from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.app_common.workflows.base_fedavg import BaseFedAvg
from nvflare.app_common.workflows.model_controller import ModelController

from custom_components.bundle import Bundle, read_bundle
from custom_components.checkpoint import write_weights
from custom_components.errors import InputError
from integrations.flare.hospital import PROVENANCE, SCORE, TRAIN
from integrations.flare.provenance import check_alike, federated_provenance
from integrations.flare.weights import load_arrays, to_arrays


class FederatedAveraging(BaseFedAvg):
    """Trains one student on the data of all hospitals, by the mean of their weights.

    McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, 2017, algorithm 1; the
    weight n_k of a hospital is its number of training slices. Buffers, such as the statistics of batch normalisation,
    are averaged as parameters are.

    Args:
        bundle: folder of the student's bundle, which gets the weights.
        num_rounds: how often weights go out and come back.
    """

    def __init__(self, bundle: str, num_rounds: int) -> None:
        super().__init__(num_rounds=num_rounds, persistor_id="", ignore_result_error=False)
        self.bundle = bundle

    def run(self) -> None:
        """All rounds; called by FLARE."""
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
    """Has every hospital train its teacher, and keeps each as a bundle.

    Args:
        bundles: hospital to the folder of its teacher's bundle here, which gets the weights.
    """

    def __init__(self, bundles: dict[str, str]) -> None:
        super().__init__(persistor_id="", ignore_result_error=False)
        self.bundles = bundles

    def run(self) -> None:
        """The one task of all hospitals; called by FLARE."""
        answers = answers_of_all(self, TRAIN, FLModel(params={}))
        for hospital, provenance in provenances(answers).items():
            keep(read_bundle(self.bundles[hospital]), answers[hospital], provenance, hospital)


def answers_of_all(controller: ModelController, task: str, model: FLModel) -> dict[str, FLModel]:
    """Send a task to all hospitals; their answers by name.

    Raises:
        InputError: if one does not answer.
    """
    answers = {answer.meta["client_name"]: answer for answer in controller.send_model_and_wait(task, model)}
    asked = sorted(client.name for client in controller.engine.get_clients())
    if missing := [name for name in asked if name not in answers]:
        raise InputError(f"no answer from {', '.join(missing)}; nothing was written")
    return {name: answers[name] for name in asked}


def provenances(answers: dict[str, FLModel]) -> dict[str, dict[str, Any]]:
    """What each hospital says of its weights."""
    return {name: json.loads(answer.meta[PROVENANCE]) for name, answer in answers.items()}


def keep(bundle: Bundle, model: FLModel, provenance: dict[str, Any], sender: str) -> None:
    """Write weights that arrived into ``bundle``, as its own training would.

    Raises:
        InputError: if they do not fit the bundle's network.
    """
    if bundle.network_def != provenance["network_def"]:
        raise InputError(
            f"{sender} trained another network than {bundle.path}/configs/train.json: bring both up to date"
        )
    # As in a training, so that the same weights give the same file.
    network = bundle.build_network().to(memory_format=torch.channels_last)
    load_arrays(network, model.params, sender)
    write_weights(bundle.model_file, network, provenance, provenance["epoch"], provenance["metrics"])
