"""Prepared volumes: the results of the preprocessing, kept on disk so that they are computed only once.

A prepared volume is an uncompressed NIfTI in Fortran order, so that an axial slice is one contiguous piece of the file.
"""

import copy
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.transforms import Compose

from custom_components.data.datalist import case_name
from custom_components.data.describe import describe
from custom_components.data.file_hashes import FileHashes
from custom_components.distributed import progress_bar, share_out
from custom_components.forked_python import SERVER
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import replace_file, sha256_of
from custom_components.foundation.threads import usable_cores

DTYPES = {"image": np.float32, "label": np.uint8}


@dataclass(frozen=True)
class PreparedArray:
    """A 3-D array (H, W, D) inside an uncompressed NIfTI file."""

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int

    @classmethod
    def open(cls, path: Path) -> "PreparedArray":
        stored = nib.load(path).dataobj
        return cls(path, stored.shape, stored.dtype, stored.offset)

    def slice(self, index: int) -> torch.Tensor:
        """Read one axial slice (1, H, W), and no other part of the file."""
        height, width, _ = self.shape
        pixels = height * width
        offset = self.offset + index * pixels * self.dtype.itemsize
        flat = np.fromfile(self.path, self.dtype, count=pixels, offset=offset)
        return torch.from_numpy(flat.reshape((1, height, width), order="F").copy())

    def volume(self) -> torch.Tensor:
        """The whole volume (1, H, W, D)."""
        flat = np.fromfile(self.path, self.dtype, offset=self.offset)
        return torch.from_numpy(flat.reshape((1, *self.shape), order="F").copy())


@dataclass(frozen=True)
class PreparedCase:
    """A case of the datalist with its prepared image (float32) and mask (uint8, 0/1).

    ``sha256`` holds the hashes of the case's original files, as ``image`` and ``label``. In a case without a mask,
    ``label`` is None and ``sha256`` has no entry for it.
    """

    info: Mapping[str, Any]
    image: PreparedArray
    label: PreparedArray | None
    sha256: Mapping[str, str]

    @property
    def key(self) -> str:
        """A hash of the original files' contents and of the preprocessing."""
        return self.image.path.name.removesuffix("_image.nii")

    @property
    def name(self) -> str:
        return case_name(self.info)

    @property
    def site(self) -> str:
        """The case's site; empty if the datalist names no site, such as the datalist of a host."""
        return self.info.get("site", "")


def prepare_cases(
    data: Iterable[Mapping[str, Any]],
    preprocessing: Compose,
    cache_dir: str | Path,
    progress: str = "preparing",
    masks: bool = True,
    jobs: int | None = None,
) -> list[PreparedCase]:
    """Prepare every case that is not in the cache yet, on all cores. Under torchrun all processes share the work.

    Args:
        data: cases as ``{"image": path, "label": path, ...}``; other entries are kept as they are.
        preprocessing: deterministic transforms on the keys ``image`` and ``label`` that start with loading.
        cache_dir: folder of the prepared volumes. A volume's file name is a hash of the original files and
            preprocessing.
        progress: text of the progress bar.
        masks: whether the cases have masks. If not, the images are prepared alone.
        jobs: number of worker processes. None takes threads of this process, which start at once, but wait for each
            other in Python's code.

    Raises:
        InputError: if a file is missing or cannot be prepared; the message names the file.
    """
    cases = list(data)
    preparer = Preparer(preprocessing, Path(cache_dir), ("image", "label") if masks else ("image",))

    def prepare(some: Sequence[Mapping[str, Any]]) -> list[PreparedCase]:
        if jobs is None:
            return in_threads(preparer.prepare, some, progress)
        return preparer.in_processes(some, jobs, progress)

    share_out(cases, prepare, preparer.hashes.share)
    prepared = prepare(cases)
    preparer.hashes.save()
    return prepared


class Preparer:
    """Prepares cases one by one.

    Args:
        preprocessing: see :func:`prepare_cases`.
        cache_dir: see :func:`prepare_cases`.
        keys: ``image`` and, for cases with masks, ``label``.
    """

    def __init__(self, preprocessing: Compose, cache_dir: Path, keys: Sequence[str]) -> None:
        self.preprocessing = preprocessing
        self.keys = keys
        self.hashes = FileHashes(cache_dir / "hashes.json")
        self._recipe = sha256_of(describe(preprocessing.transforms))

    def prepare(self, case: Mapping[str, Any]) -> PreparedCase:
        """Prepare a case, unless it is in the cache."""
        for key in self.keys:
            if not os.path.isfile(case.get(key, "")):
                raise InputError(
                    f"{case.get(key)}: no such file (the {key} of case {case.get('case', case)}); check dataset_dir"
                )
        sha256 = {key: self.hashes.sha256(case[key]) for key in self.keys}
        stem = hashlib.sha256("".join([*sha256.values(), self._recipe]).encode()).hexdigest()[:32]
        files = {key: self.hashes.path.parent / f"{stem}_{key}.nii" for key in self.keys}
        if not all(file.is_file() for file in files.values()):
            _write_prepared(case, self.preprocessing, files)
        arrays = {key: PreparedArray.open(file) for key, file in files.items()}
        return PreparedCase(dict(case), arrays["image"], arrays.get("label"), sha256)

    def in_processes(self, cases: Sequence[Mapping[str, Any]], jobs: int, progress: str) -> list[PreparedCase]:
        """Prepare cases in worker processes, in the order of the cases.

        Raises:
            InputError: as :func:`prepare_cases`; if a process ends before its time; or if ``jobs`` is less than 1.
        """
        if jobs < 1:
            raise InputError(f"--jobs {jobs}: give at least 1")
        prepared = []
        with ProcessPoolExecutor(min(jobs, len(cases)) or 1, SERVER, _begin_worker, (self,)) as pool:
            results = pool.map(_prepare_in_worker, cases)
            try:
                for case, known in progress_bar(results, progress, unit="case", total=len(cases)):
                    self.hashes.add(known)
                    prepared.append(case)
            except BrokenProcessPool:
                raise InputError(
                    f"{cases[len(prepared)]['image']}: a process that prepared it or a case near it has ended (too "
                    "little memory?); give fewer --jobs"
                ) from None
            finally:
                pool.shutdown(cancel_futures=True)
        return prepared


def _begin_worker(preparer: Preparer) -> None:
    global _of_worker
    _of_worker = preparer
    torch.set_num_threads(1)


def _prepare_in_worker(case: Mapping[str, Any]) -> tuple[PreparedCase, dict[str, list[Any]]]:
    prepared = _of_worker.prepare(case)
    return prepared, _of_worker.hashes.of(case[key] for key in _of_worker.keys)


def in_threads(prepare: Callable[[Any], Any], cases: Sequence[Any], progress: str) -> list[Any]:
    """The results for all cases, in the order of the cases.

    Threads are enough: unpacking and torch's operations release Python's lock.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    threads = max(1, min(usable_cores() // processes, len(cases)))
    torch_threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(progress_bar(pool.map(prepare, cases), progress, unit="case", total=len(cases)))
    finally:
        torch.set_num_threads(torch_threads)  # the setting in the threads has also changed it in this thread


def _write_prepared(case: Mapping[str, Any], preprocessing: Compose, files: Mapping[str, Path]) -> None:
    with_mask = f" with mask {case['label']}" if "label" in files else ""
    try:
        # A copy for each thread: MONAI does not promise that threads may share transforms.
        prepared = copy.deepcopy(preprocessing)({key: case[key] for key in files})
    except Exception as error:
        reason = str(error.__cause__ or error).strip().splitlines()
        raise InputError(
            f"{case['image']}{with_mask}: cannot be prepared ({reason[0] if reason else error!r})"
        ) from error
    if "label" in files and prepared["image"].shape != prepared["label"].shape:
        shapes = f"{tuple(prepared['image'].shape)} and {tuple(prepared['label'].shape)}"
        raise InputError(f"{case['image']}: image and mask {case['label']} differ in shape once prepared: {shapes}")
    for key, file in files.items():
        array = prepared[key][0].cpu().numpy().astype(DTYPES[key])
        replace_file(file, nib.Nifti1Image(array, prepared[key].affine.cpu().numpy()).to_filename)
