"""The base class of all kinds of teachers: anything that gives answers for the slices of a batch."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from custom_components.losses.term import Answer, Output

# Makes a teacher's answer from its output and the labels (B, 1, H, W): DistillationLoss.answer.
Summarise = Callable[[Output, Tensor], Answer]


class Batch(NamedTuple):
    """A batch of slices, as teachers get it.

    Attributes:
        image: (B, 1, H, W), the student's input.
        target: labels (B, 1, H, W).
        sample: the entries of :class:`SliceDataset` for each of the B slices, such as ``case`` and ``site``, and the
            stored answers that :class:`TaughtSlices` adds. If ``seed`` is missing, the image is no random version.
        learning_rate: the student's learning rate in this step.
    """

    image: Tensor
    target: Tensor
    sample: Mapping[str, Any]
    learning_rate: float


class StoredTeacher(Protocol):
    """A teacher whose answers are in files. The loader's workers read them."""

    def read(self, case: str, depth: int, view: int) -> dict[str, Tensor]:
        """The stored tensors of one slice of a case, in one of its random versions."""


class Teachers(nn.Module):
    """Teachers of one kind. A new kind is a subclass.

    Attributes:
        names: the teachers' names, all different.
        weights_sha256: the hash of each teacher's weights; None if the weights are in no file, or their hash is
            unknown.
        identities: a record for JSON of everything that each teacher's answers depend on, except the image.
        stored: the teachers whose answers the loader reads, by name.
        seen: for each folder of predictions, by the teacher's name: ``saw_test_cases``, whether its model was trained
            on the student's test cases, and ``by``, the source of this answer. The provenance keeps it.
        trained_on: for each teacher, the ``voxel_sha256`` of the cases that it was trained on; empty if unknown.
    """

    names: Sequence[str]
    weights_sha256: Sequence[str | None]
    identities: Sequence[Mapping[str, Any]]
    stored: Mapping[str, StoredTeacher] = MappingProxyType({})
    seen: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    trained_on: Sequence[frozenset[str] | None] = ()
    # The scalars, by name, that the teachers add to the log in each step.
    last_losses: Mapping[str, Tensor] = MappingProxyType({})

    @abstractmethod
    def answer(self, batch: Batch, summarise: Summarise) -> list[Answer]:
        """The answer of each teacher for a batch, without gradient."""
