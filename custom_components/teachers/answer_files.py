"""Files of a teacher's answers: one ``.npy`` for each case, with one record for each slice and random version."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from custom_components.data.prepared import PreparedCase
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import replace_file
from custom_components.losses.term import Answer

LOGITS = "logits"


class AnswerFiles:
    """The files of one teacher's answers.

    Args:
        folder: folder of the files.
        suffix: end of the files' names, which stands for the random transforms.
        views: number of random versions of each slice.
        cases: the cases by name.
        example: the answer for a batch of one slice; its tensors give the fields of a record.
        precision: the type in which the teacher's logits are stored; all other tensors keep their own type.
    """

    def __init__(
        self,
        folder: Path,
        suffix: str,
        views: int,
        cases: Mapping[str, PreparedCase],
        example: Answer,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.folder = folder
        self._suffix = suffix
        self._views = views
        self._cases = cases
        self._precision = precision
        arrays = self._arrays(example)
        self._record = np.dtype([(name, array.dtype, array.shape[1:]) for name, array in arrays.items()])
        self._offsets: dict[str, int] = {}

    def size(self, case: PreparedCase) -> int:
        """The size in bytes of a case's answers."""
        return self._count(case) * self._record.itemsize

    def has(self, case: PreparedCase) -> bool:
        """Whether the case's file exists and is complete."""
        try:
            # Each file is closed at once: a dataset may have more cases than a process may open files.
            records = npy.open_memmap(self._file(case), mode="r")
        except (FileNotFoundError, ValueError, EOFError):
            return False
        self._offsets[case.key] = records.offset
        return (records.dtype, records.shape) == (self._record, (self._count(case),))

    def read(self, case: str, depth: int, view: int) -> dict[str, Tensor]:
        """The tensors of one answer, by field and without the dimension B.

        Raises:
            InputError: if the file was removed or changed since the training's start.
        """
        prepared = self._cases[case]
        try:
            if prepared.key not in self._offsets and not self.has(prepared):
                raise OSError("not a whole file")
            place = depth * self._views + view
            offset = self._offsets[prepared.key] + place * self._record.itemsize
            (record,) = np.fromfile(self._file(prepared), self._record, count=1, offset=offset)
        except (OSError, ValueError) as error:
            raise InputError(
                f"a file in {self.folder} was removed or changed during the training ({error})",
                "cache_teachers",
                advice="start it again",
            ) from error
        return {name: self._tensor(name, record[name]) for name in self._record.names}

    def write(self, case: PreparedCase, answers: Iterable[Answer]) -> None:
        """Write a case's file. The answers come in batches: all versions of the first slice, then of the next one.

        Raises:
            InputError: if an answer has a value that is not finite.
        """
        header = {"descr": npy.dtype_to_descr(self._record), "fortran_order": False, "shape": (self._count(case),)}

        def write_records(partial: Path) -> None:
            with partial.open("wb") as stream:
                npy.write_array_header_1_0(stream, header)
                for answer in answers:
                    _require_finite(case, answer)
                    records = np.empty(len(answer.logits), self._record)
                    for name, array in self._arrays(answer).items():
                        records[name] = array
                    stream.write(records.view(np.uint8))

        replace_file(self._file(case), write_records)

    def _file(self, case: PreparedCase) -> Path:
        return self.folder / f"{case.key}{self._suffix}.npy"

    def _count(self, case: PreparedCase) -> int:
        return case.image.shape[2] * self._views

    def _arrays(self, answer: Answer) -> dict[str, np.ndarray]:
        logits = answer.logits.cpu().to(self._precision)
        # NumPy has no bfloat16, so its bits are stored as integers.
        fields = {LOGITS: logits.view(torch.int16) if self._precision is torch.bfloat16 else logits}
        for term, tensors in answer.summaries.items():
            fields |= {f"{term}_{place}": tensor.cpu() for place, tensor in enumerate(tensors)}
        return {name: tensor.numpy() for name, tensor in fields.items()}

    def _tensor(self, name: str, value: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.array(value))
        return tensor.view(torch.bfloat16) if name == LOGITS and self._precision is torch.bfloat16 else tensor


def as_answer(fields: Mapping[str, Tensor], device: torch.device) -> Answer:
    """The answer for a batch, on a device, from the collated fields of :meth:`AnswerFiles.read`."""
    summaries: dict[str, list[Tensor]] = {}
    # Half-precision logits stay so until they are on the device, which halves the transfer. The loss widens them.
    on_device = {name: tensor.to(device, non_blocking=True) for name, tensor in fields.items()}
    logits = on_device.pop(LOGITS)
    for name, tensor in on_device.items():
        summaries.setdefault(name.rpartition("_")[0], []).append(tensor)
    return Answer(logits, summaries)


def _require_finite(case: PreparedCase, answer: Answer) -> None:
    tensors = {LOGITS: [answer.logits], **answer.summaries}
    for name, own in tensors.items():
        if not all(tensor.isfinite().all() for tensor in own):
            raise InputError(
                f"on {case.name}, the teacher's answer has values that are not finite ({name})",
                "cache_teachers",
                advice="take another teacher, or --teacher_precision float32",
            )
