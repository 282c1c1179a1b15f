"""Teachers' answers that are computed once and kept on disk."""

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import ignite.distributed as idist
import torch

from custom_components.data import SliceDataset
from custom_components.data.prepared import PreparedCase
from custom_components.distributed import progress_bar, share_out
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import sha256_of
from custom_components.loss_terms import DISTILLING
from custom_components.losses import DistillationLoss
from custom_components.losses.term import Answer, Output
from custom_components.teachers.answer_files import AnswerFiles, as_answer
from custom_components.teachers.ensemble import TeacherEnsemble
from custom_components.teachers.moving import moved_answer
from custom_components.teachers.taught_slices import ANSWERS
from custom_components.teachers.teachers import Batch, Summarise, Teachers

logger = logging.getLogger(__name__)


class CachedTeachers(Teachers):
    """The teachers' answers for every slice of a dataset, read from files that later trainings use again.

    If the dataset has fixed random versions of a slice (``views``), there is an answer for each of them. If every
    sample is a new version, there is one answer for the plain slice, and its probabilities are moved as the version was
    (:func:`moved_answer`). Such an answer has no features, so the loss terms that compare features leave it out.

    A file's name is a hash of the case's files, the preprocessing and, with fixed versions, the random transforms. The
    folder's name is a hash of the teacher's weights, network, taps and precision, and of the options that the summaries
    depend on. So a training never reads the answers to other inputs. The answers for a slice with two classes and taps
    of strides 2 and 8 take 1.3 MB at 384x384 and 0.04 MB at 64x64; with a ``teacher_precision`` of 16 bits the logits
    take half. Writing an answer does not round it. Two trainings may fill the same cache at the same time.

    Args:
        teachers: the frozen teachers; None if there are none.
        dataset: the dataset of slices; :class:`TaughtSlices` adds the answers to it.
        loss: the loss, which makes the summaries.
        device: the device on which the teachers run.
        cache_dir: folder of the files; you can delete it while no training runs.
        batch_size: number of slices in a forward pass.

    Raises:
        InputError: if there is no frozen teacher, if two cases of the dataset have the same name, if the answers move
            and the loss compares features alone, or if the disk has too little space.
    """

    def __init__(
        self,
        teachers: TeacherEnsemble | None,
        dataset: SliceDataset,
        loss: DistillationLoss,
        device: torch.device,
        cache_dir: str | Path,
        batch_size: int = 8,
    ) -> None:
        super().__init__()
        if teachers is None:
            raise InputError(
                "cache_teachers: online teachers change with every batch, and predictions are in files already; "
                "set --cache_teachers False"
            )
        for name, count in Counter(case.name for case in dataset.cases).items():
            if count > 1:
                raise InputError(f"two cases are called {name}; give each its own 'case' in the datalist")
        self.names, self.identities = teachers.names, teachers.identities
        self.weights_sha256, self.trained_on = teachers.weights_sha256, teachers.trained_on
        self._moving = None if dataset.views else dataset.transform
        if self._moving is not None:
            dataset = dataset.without_random_transforms()
            _tell_what_is_left_out(loss)
        teachers = teachers.to(device)
        answering = [
            _Answering(teachers, place, dataset, loss, device, Path(cache_dir), features=self._moving is None)
            for place in range(len(self.names))
        ]
        self.stored = {name: own.files for name, own in zip(self.names, answering, strict=True)}
        volumes = [(own, case) for case in dataset.cases for own in answering]
        if needed := sum(own.files.size(case) for own, case in _missing(volumes)):
            _require_disk(needed, Path(cache_dir))

        def answer(share: Sequence[tuple[_Answering, PreparedCase]]) -> None:
            for own, case in progress_bar(_missing(share), "teachers", unit="volume"):
                own.files.write(case, own.answers(case, batch_size))

        idist.barrier()  # no process writes before all have looked at the disk
        share_out(volumes, answer)
        answer(volumes)
        teachers.cpu()  # not used after this point

    def answer(self, batch: Batch, summarise: Summarise) -> list[Answer]:
        answers = [as_answer(batch.sample[ANSWERS][name], batch.image.device) for name in self.names]
        if self._moving is None:
            return answers
        return [moved_answer(answer.logits.float().softmax(dim=1), self._moving, batch) for answer in answers]


def _tell_what_is_left_out(loss: DistillationLoss) -> None:
    """Say that moved answers have no features, if the loss compares features.

    Raises:
        InputError: if the loss compares nothing else.
    """
    if not loss.terms_of_features:
        return
    left_out = f"answers that move with the slices have no features, which {', '.join(loss.terms_of_features)} need"
    if loss.parts.keys() & DISTILLING.keys() == loss.terms_of_features.keys() and not loss.pseudo_labels:
        raise InputError(left_out, "cache_teachers", advice="give --augmentation_views 4 or --loss::beta 1")
    logger.info(f"cache_teachers: {left_out}; for teachers with features, --augmentation_views 4 keeps these terms")


class _Answering:
    """One teacher of an ensemble, and the files of its answers for a dataset."""

    def __init__(
        self,
        teachers: TeacherEnsemble,
        place: int,
        dataset: SliceDataset,
        loss: DistillationLoss,
        device: torch.device,
        cache_dir: Path,
        features: bool,
    ) -> None:
        self._features = features
        self._teachers = teachers
        self._place = place
        self._dataset = dataset
        self._loss = loss
        self._device = device
        self._views = max(1, dataset.views)
        terms = {name: term.summary_options() for name, term in loss.terms_of_features.items()} if features else {}
        fingerprint = sha256_of([teachers.fingerprints[place], terms])
        self.files = AnswerFiles(
            cache_dir / f"{teachers.names[place]}-{fingerprint[:16]}",
            f"-{dataset.recipe[:16]}" if dataset.recipe else "",
            self._views,
            {case.name: case for case in dataset.cases},
            # One slice is enough to learn the size of an answer.
            self._answer(dataset.cases[0], [(0, 0)]),
            teachers.dtype,
        )

    def answers(self, case: PreparedCase, batch_size: int) -> Iterator[Answer]:
        """The answers for all versions of all slices of a case, ``batch_size`` at a time."""
        views = [(depth, view) for depth in range(case.image.shape[2]) for view in range(self._views)]
        for start in range(0, len(views), batch_size):
            yield self._answer(case, views[start : start + batch_size])

    def _answer(self, case: PreparedCase, views: list[tuple[int, int]]) -> Answer:
        images, labels = self._dataset.views_of(case, views, self._device)
        logits, features = self._teachers.run(self._place, images)
        return self._loss.answer(Output(logits, features if self._features else ()), labels)


def _missing(volumes: Sequence[tuple[_Answering, PreparedCase]]) -> list[tuple[_Answering, PreparedCase]]:
    return [(own, case) for own, case in volumes if not own.files.has(case)]


def _require_disk(needed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    sizes = f"{needed / 2**30:.2f} GB in {folder}, where {free / 2**30:.2f} GB are free"
    if needed > free:
        raise InputError(f"cache_teachers: needs {sizes}; take a smaller image_size, or --cache_teachers False")
    logger.info(f"the teachers' answers take {sizes}")
