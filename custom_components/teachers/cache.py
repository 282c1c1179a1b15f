"""Teacher outputs that are computed once and kept on disk, for trainings whose images do not change."""

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import ignite.distributed as idist
import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor, nn

from custom_components.data import SliceDataset
from custom_components.data.prepared import PreparedCase
from custom_components.distributed import progress_bar
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import replace_file
from custom_components.teachers.ensemble import TeacherEnsemble
from custom_components.teachers.online import OnlineTeachers

logger = logging.getLogger(__name__)

READERS = 8  # threads: a disk can answer several reads at the same time
TYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float16): torch.float16}

Sample = tuple[str, int, int]  # case, slice, view


class CachedTeachers(nn.Module):
    """The teachers' outputs for every slice of a dataset, read from files that later trainings use again.

    Every pair of case and teacher has one file, an ``.npy`` with one record for each slice and view: logits in float32,
    features in float16. The file's name is a hash of the case's files, the preprocessing and the random transforms. The
    folder's name is a hash of the teacher's weights, network, taps and precision. So a training never reads the outputs
    of other inputs. A record takes about 0.4 MB at 64x64, and 15 MB at 384x384. Two trainings may fill the same cache
    at the same time.

    Args:
        teachers: the ensemble.
        dataset: the dataset of slices.
        device: where the teachers run.
        cache_dir: folder of the files; you can delete it while no training runs.
        batch_size: number of slices in a forward pass.

    Raises:
        InputError: if the teachers still learn, if the dataset makes a new random version of a slice for every sample,
            if two of its cases have the same name, or if the disk has too little space.
    """

    def __init__(
        self,
        teachers: TeacherEnsemble,
        dataset: SliceDataset,
        device: torch.device,
        cache_dir: str | Path,
        batch_size: int = 8,
    ) -> None:
        super().__init__()
        if isinstance(teachers, OnlineTeachers):
            raise InputError("cache_teachers: online teachers change with every batch; set --cache_teachers False")
        if dataset.transform is not None and not dataset.views:
            raise InputError(
                "cache_teachers: slices change at random; set --augmentation_views 4, --augmentation 0 or "
                "--cache_teachers False"
            )
        for name, count in Counter(case.name for case in dataset.cases).items():
            if count > 1:
                raise InputError(f"two cases are called {name}; give each its own 'case' in the datalist")
        self.names = teachers.names
        teachers = teachers.to(device)
        self._cases = {case.name: case for case in dataset.cases}
        self._files = [
            _CachedTeacher(teachers, index, Path(cache_dir), dataset, device) for index in range(len(teachers.names))
        ]
        with idist.one_rank_first():
            missing = [(teacher, case) for case in dataset.cases for teacher in self._files if not teacher.has(case)]
            if missing:
                _require_disk(sum(teacher.size(case) for teacher, case in missing), Path(cache_dir))
            for teacher, case in progress_bar(missing, "teachers", unit="volume"):
                teacher.compute(case, batch_size)
        teachers.cpu()  # not used after this point
        self._readers = ThreadPoolExecutor(READERS, "teachers")
        self._read: list[tuple[_CachedTeacher, list[Tensor], list[Future]]] = []
        self._samples: list[Sample] = []

    def prefetch(self, samples: Sequence[Sample]) -> None:
        """Start to read, in threads, the records that :meth:`forward` needs next, while the student computes."""
        self._read = [(teacher, *self._start(teacher, samples)) for teacher in self._files]
        self._samples = list(samples)

    def forward(self, image: Tensor, samples: Sequence[Sample]) -> tuple[list[Tensor], list[list[Tensor]]]:
        """As :meth:`TeacherEnsemble.forward`, with records read by (case, slice, view).

        Raises:
            InputError: if a file was removed or changed since the training's start.
        """
        if self._samples != list(samples):
            self.prefetch(samples)
        logits, features = [], []
        for teacher, tensors, readings in self._read:
            for reading in readings:
                teacher.finish(reading)
            # A transfer in half precision takes half the time.
            own, *taps = (tensor.to(image.device, non_blocking=True).to(image.dtype) for tensor in tensors)
            logits.append(own)
            features.append(taps)
        self._read, self._samples = [], []
        return logits, features

    def _start(self, teacher: "_CachedTeacher", samples: Sequence[Sample]) -> tuple[list[Tensor], list[Future]]:
        tensors = teacher.room_for(len(samples))
        readings = [
            self._readers.submit(teacher.read, self._cases[case], depth, view, [tensor[place] for tensor in tensors])
            for place, (case, depth, view) in enumerate(samples)
        ]
        return tensors, readings


class _CachedTeacher:
    """One teacher of an ensemble, and the files of its outputs."""

    def __init__(
        self, teachers: TeacherEnsemble, index: int, cache_dir: Path, dataset: SliceDataset, device: torch.device
    ) -> None:
        self._run = lambda images: teachers.run(index, images)
        self._device = device
        self._dataset = dataset
        self._views = max(1, dataset.views)
        self._folder = cache_dir / f"{teachers.names[index]}-{teachers.fingerprints[index][:16]}"
        self._suffix = f"-{dataset.recipe[:16]}" if dataset.recipe else ""
        # One slice is enough to learn the size of the outputs.
        logits, features = self._run(dataset[0]["image"][None].to(device))
        taps = [(f"tap{number}", np.float16, tap.shape[1:]) for number, tap in enumerate(features)]
        self._record = np.dtype([("logits", np.float32, logits.shape[1:]), *taps])
        self._offsets: dict[str, int] = {}

    def _file(self, case: PreparedCase) -> Path:
        return self._folder / f"{case.key}{self._suffix}.npy"

    def _records(self, case: PreparedCase) -> int:
        return case.image.shape[2] * self._views

    def size(self, case: PreparedCase) -> int:
        """The size in bytes of a case's outputs."""
        return self._records(case) * self._record.itemsize

    def has(self, case: PreparedCase) -> bool:
        """Whether the case's file exists and is complete."""
        try:
            # Each file is closed at once: a dataset may have more cases than a process may open files.
            records = npy.open_memmap(self._file(case), mode="r")
        except (FileNotFoundError, ValueError, EOFError):
            return False
        self._offsets[case.key] = records.offset
        return (records.dtype, records.shape) == (self._record, (self._records(case),))

    def room_for(self, count: int) -> list[Tensor]:
        """Empty tensors for a number of records: one for the logits, and one for each tap."""
        pinned = torch.device(self._device).type == "cuda"
        return [
            torch.empty((count, *kind.shape), dtype=TYPES[kind.base], pin_memory=pinned)
            for kind, _ in self._record.fields.values()
        ]

    def read(self, case: PreparedCase, depth: int, view: int, room: Sequence[Tensor]) -> None:
        """Start to read the record of one view of a slice into one tensor for each of its fields."""
        if case.key not in self._offsets:
            self.has(case)
        with self._file(case).open("rb", buffering=0) as stream:
            stream.seek(self._offsets[case.key] + (depth * self._views + view) * self._record.itemsize)
            for tensor in room:
                bytes_of = memoryview(tensor.numpy().reshape(-1).view(np.uint8))
                while bytes_of:
                    count = stream.readinto(bytes_of)
                    if not count:
                        raise OSError("cut short")
                    bytes_of = bytes_of[count:]

    def finish(self, reading: Future) -> None:
        """Wait until a record is read."""
        try:
            reading.result()
        except (OSError, KeyError) as error:
            raise InputError(
                f"cache_teachers: a file in {self._folder} was removed or changed during the training ({error}); "
                "start it again"
            ) from error

    def compute(self, case: PreparedCase, batch_size: int) -> None:
        """Run the teacher on all views of all slices of a case, ``batch_size`` at a time, and write its file."""
        views = [(depth, view) for depth in range(case.image.shape[2]) for view in range(self._views)]
        header = {"descr": npy.dtype_to_descr(self._record), "fortran_order": False, "shape": (len(views),)}

        def write(partial: Path) -> None:
            with partial.open("wb") as stream:
                npy.write_array_header_1_0(stream, header)
                for start in range(0, len(views), batch_size):
                    images, _ = self._dataset.views_of(case, views[start : start + batch_size], self._device)
                    logits, features = self._run(images)
                    records = np.empty(len(images), self._record)
                    for field, tensor in zip(self._record.names, (logits, *features), strict=True):
                        records[field] = tensor.cpu().numpy()
                        if not np.isfinite(records[field]).all():
                            raise InputError(
                                f"cache_teachers: on {case.name}, the teacher's {field} has values that are not finite "
                                f"or too large for {records[field].dtype}; set --cache_teachers False"
                            )
                    stream.write(records.view(np.uint8))

        replace_file(self._file(case), write)


def _require_disk(needed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    sizes = f"{needed / 2**30:.2f} GB in {folder}, where {free / 2**30:.2f} GB are free"
    if needed > free:
        raise InputError(f"cache_teachers: needs {sizes}; take a smaller image_size, or --cache_teachers False")
    logger.info(f"the teachers' outputs take {sizes}")
