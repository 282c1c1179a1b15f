"""Teacher outputs computed once, for trainings whose images never change."""

from collections.abc import Sequence

import psutil
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from custom_components.data import SliceDataset
from custom_components.distributed import progress_bar
from custom_components.errors import InputError
from custom_components.teachers.ensemble import TeacherEnsemble


class CachedTeachers(nn.Module):
    """What the teachers say of every slice of a dataset, kept in main memory (features in half precision).

    It holds every tapped feature map: about 0.4 MB a slice and teacher at 64x64, but 15 MB at 384x384.

    Args:
        teachers: the ensemble.
        dataset: the slices; computed in its order, whatever the order of training, so that runs can be repeated.
        device: where the teachers run.
        batch_size: slices a forward pass.

    Raises:
        InputError: if the dataset transforms its slices at random, or the memory does not suffice.
    """

    def __init__(
        self, teachers: TeacherEnsemble, dataset: SliceDataset, device: torch.device, batch_size: int = 8
    ) -> None:
        super().__init__()
        if dataset.transform is not None:
            raise InputError("cache_teachers: slices change at random; set --augmentation 0 or --cache_teachers False")
        self.names, self.weights_sha256 = teachers.names, teachers.weights_sha256
        self._outputs: dict[tuple[str, int], list[list[Tensor]]] = {}
        for batch in progress_bar(DataLoader(dataset, batch_size), "teachers", unit="batch"):
            samples = list(zip(batch["case"], batch["slice"].tolist(), strict=True))
            logits, features = teachers.to(device)(batch["image"].to(device), samples)
            # One list a teacher: its logits, then its features.
            outputs = [[own, *(tap.half() for tap in taps)] for own, taps in zip(logits, features, strict=True)]
            if not self._outputs:
                _require_memory(sum(tensor.nbytes for own in outputs for tensor in own) / len(samples) * len(dataset))
            for i, sample in enumerate(samples):
                if sample in self._outputs:
                    raise InputError(f"two cases are called {sample[0]}; give each its own 'case' in the datalist")
                self._outputs[sample] = [[tensor[i].cpu() for tensor in own] for own in outputs]

    def forward(self, image: Tensor, samples: Sequence[tuple[str, int]]) -> tuple[list[Tensor], list[list[Tensor]]]:
        """As :meth:`TeacherEnsemble.forward`, looked up by (case, slice)."""
        by_teacher = zip(*(self._outputs[sample] for sample in samples), strict=True)
        stacked = [
            [torch.stack(tensors).to(image.device, image.dtype) for tensors in zip(*own, strict=True)]
            for own in by_teacher
        ]
        return [own[0] for own in stacked], [own[1:] for own in stacked]


def _require_memory(needed: float) -> None:
    free = psutil.virtual_memory().available
    if needed > free:
        sizes = f"{needed / 2**30:.1f} GB are needed, {free / 2**30:.1f} GB free"
        raise InputError(f"cache_teachers: {sizes}; take a smaller image_size, or --cache_teachers False")
