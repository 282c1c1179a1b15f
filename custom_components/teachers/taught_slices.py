"""The slices of a training together with the stored answers of its teachers."""

from collections.abc import Mapping
from typing import Any

from torch.utils.data import Dataset

from custom_components.data import SliceDataset
from custom_components.teachers.teachers import StoredTeacher, Teachers

ANSWERS = "answers"


class TaughtSlices(Dataset):
    """The samples of a :class:`SliceDataset`; the entry ``answers`` holds the stored answers by teacher and field.

    The loader's workers read the answers, so that the training does not wait for the disk. Teachers that run on the
    image have no stored answers.

    Args:
        dataset: the slices.
        teachers: the teachers. In a config the trainer names them, by :meth:`take_answers_of`. MONAI's ``DataLoader``
            seeds torch's generator, so the loader must be made before the teachers draw their first weights: otherwise
            a seed would give another order of the slices.
    """

    def __init__(self, dataset: SliceDataset, teachers: Teachers | None = None) -> None:
        self.dataset = dataset
        self._stored: Mapping[str, StoredTeacher] = teachers.stored if teachers is not None else {}

    def take_answers_of(self, teachers: Teachers) -> None:
        """Add the stored answers of these teachers to the samples; call it before the loader starts its workers."""
        self._stored = teachers.stored

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.dataset[index]
        place = sample["case"], sample["slice"], sample["view"]
        answers = {name: teacher.read(*place) for name, teacher in self._stored.items()}
        return {**sample, ANSWERS: answers} if answers else sample
