"""The slices of a training together with the stored answers of its teachers."""

from typing import Any

from torch.utils.data import Dataset

from custom_components.data import SliceDataset
from custom_components.teachers.teachers import Teachers

ANSWERS = "answers"


class TaughtSlices(Dataset):
    """The samples of a :class:`SliceDataset`; the entry ``answers`` holds the stored answers by teacher and field.

    The loader's workers read the answers, so that the training does not wait for the disk. Teachers that run on the
    image have no stored answers.

    Args:
        dataset: the slices.
        teachers: the teachers of the training.
    """

    def __init__(self, dataset: SliceDataset, teachers: Teachers) -> None:
        self.dataset = dataset
        self._stored = teachers.stored

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.dataset[index]
        place = sample["case"], sample["slice"], sample["view"]
        answers = {name: teacher.read(*place) for name, teacher in self._stored.items()}
        return {**sample, ANSWERS: answers} if answers else sample
