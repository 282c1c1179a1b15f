"""Online distillation: teachers that learn together with the student. The paper names this as future work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.utils import ensure_tuple
from torch import Tensor, distributed, nn
from torch.nn.utils import get_total_norm

from custom_components.bundle import read_bundle
from custom_components.checkpoint import write_checkpoint
from custom_components.foundation.errors import InputError, NotFiniteError
from custom_components.foundation.files import replace_file
from custom_components.losses import SegmentationLoss
from custom_components.losses.term import Answer, Output
from custom_components.not_finite import LOWER
from custom_components.teachers.ensemble import require_one, require_taps, unique_names
from custom_components.teachers.kinds import predictions_among
from custom_components.teachers.load import check_classes
from custom_components.teachers.taps import Taps
from custom_components.teachers.teachers import Batch, Summarise, Teachers


class OnlineTeachers(Teachers):
    """Untrained teachers that learn from each batch. The student gets their outputs from before the step.

    Each teacher learns as it would alone: it has its own segmentation loss, and its own Adam with the student's present
    learning rate. The student does not change the teachers.

    The state dict also holds the optimizers, so that a training can resume from it.

    Args:
        teachers: bundles, by name or folder; only their network and taps are read.
        bundles_dir: the folder of the bundles that are given by name.
        keys: the keys of the taps, in the order of the student's taps.
        loss: the loss of each teacher.
        folder: the folder into which :meth:`save` writes the weights, as ``<teacher>.pt``.
        out_channels: the student's number of classes.
        amp: whether the forward passes run in half precision, which needs scaled gradients.
        unlabeled: whether the training uses images without masks; online teachers cannot learn from them.
        adapt_teachers: whether to re-estimate the teachers' batch-norm statistics; only trained teachers have any.

    Raises:
        InputError: if ``unlabeled`` or ``adapt_teachers`` is true, if there is no teacher, if a teacher is a folder of
            predictions, has other classes or lacks a tap, or if several processes train together.
    """

    def __init__(
        self,
        teachers: str | Sequence[str],
        bundles_dir: str | Path,
        keys: Sequence[str],
        loss: SegmentationLoss,
        folder: str | Path,
        out_channels: int = 2,
        amp: bool = False,
        unlabeled: bool = False,
        adapt_teachers: bool = False,
    ) -> None:
        super().__init__()
        if unlabeled or adapt_teachers:
            option = "unlabeled" if unlabeled else "adapt_teachers"
            raise InputError(f"{option}: needs trained teachers; set --online False or --{option} False")
        if distributed.is_initialized() and distributed.get_world_size() > 1:
            raise InputError("online: teachers learn in one process only; start the training without torchrun")
        if folders := predictions_among(teachers, bundles_dir):
            raise InputError(f"online: {folders[0].folder} holds predictions, which cannot learn; give bundles alone")
        bundles = [read_bundle(name, bundles_dir) for name in ensure_tuple(teachers)]
        require_one(bundles)
        for bundle in bundles:
            check_classes(bundle, out_channels)
            require_taps(bundle, keys)
        self.names = unique_names([bundle.name for bundle in bundles])
        self.weights_sha256 = [None] * len(bundles)  # these weights are in no file
        self.identities = [{**bundle.identity, "weights_sha256": None} for bundle in bundles]
        self.networks = nn.ModuleList(bundle.build_network() for bundle in bundles)
        self.to(memory_format=torch.channels_last)
        self.last_losses: dict[str, Tensor] = {}
        self._taps = [Taps(network, bundle.taps) for network, bundle in zip(self.networks, bundles, strict=True)]
        self._keys = tuple(keys)
        self._loss = loss
        self._folder = Path(folder)
        self._optimizers = [torch.optim.Adam(network.parameters()) for network in self.networks]
        self._scalers = [torch.amp.GradScaler(enabled=amp) for _ in self.networks]

    def answer(self, batch: Batch, summarise: Summarise) -> list[Answer]:
        """Train every teacher for one step; the answers are those before the step."""
        outputs = self.learn(batch.image, batch.target, batch.learning_rate)
        return [summarise(Output(*output), batch.target) for output in zip(*outputs, strict=True)]

    def learn(self, image: Tensor, target: Tensor, learning_rate: float) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Train every teacher for one step.

        ``last_losses`` keeps the losses as ``loss_<teacher>``, for logs.

        Args:
            image: (B, 1, H, W).
            target: labels (B, 1, H, W).
            learning_rate: learning rate of this step.

        Returns:
            Logits (B, C, H, W) of each teacher and its tapped features (B, K, h, w) in the order of the keys, computed
            before the step, without gradient.
        """
        self.networks.train()
        all_logits, all_features = [], []
        # The teachers learn one after the other, so that memory holds only one graph at a time.
        for name, network, taps, optimizer, scaler in zip(
            self.names, self.networks, self._taps, self._optimizers, self._scalers, strict=True
        ):
            optimizer.zero_grad()
            optimizer.param_groups[0]["lr"] = learning_rate
            taps.arm()
            logits = network(image)
            all_logits.append(logits.detach())
            all_features.append([features.detach() for features in taps.collect(self._keys)])
            loss = self._loss(logits, target)
            with torch.autocast(image.device.type, enabled=False):
                scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            self.last_losses[f"loss_{name}"] = loss.detach()
        return all_logits, all_features

    def check_weights(self) -> None:
        """Check the teachers' weights, before they are saved.

        Raises:
            NotFiniteError: if a teacher's weights are NaN or infinite.
        """
        for name, network in zip(self.names, self.networks, strict=True):
            if not get_total_norm(network.parameters()).isfinite():
                raise NotFiniteError(f"the weights of teacher {name} are not finite; {LOWER}")

    def save(self) -> None:
        """Write the weights of each teacher as a state dict."""
        for name, network in zip(self.names, self.networks, strict=True):
            state = network.state_dict()
            replace_file(self._folder / f"{name}.pt", lambda partial, state=state: write_checkpoint(partial, state))

    def get_extra_state(self) -> dict[str, Any]:
        return {
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "scalers": [scaler.state_dict() for scaler in self._scalers],
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        for key, own in (("optimizers", self._optimizers), ("scalers", self._scalers)):
            for item, saved in zip(own, state[key], strict=True):
                item.load_state_dict(saved)
