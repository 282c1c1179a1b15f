"""Teachers that are folders of predictions, which another program has written."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.transforms import Compose
from torch import Tensor

from custom_components.data import SliceDataset
from custom_components.data.file_hashes import FileHashes
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import sha256_of
from custom_components.losses.term import Answer
from custom_components.predictions import PredictionFolder, PreparedPrediction, prepare_predictions
from custom_components.predictions.placement import misplacement
from custom_components.predictions.prepared import HASHES
from custom_components.predictions.record import FILE
from custom_components.teachers.kinds import Predictions, predictions_among
from custom_components.teachers.load import check_held_out
from custom_components.teachers.moving import moved_answer
from custom_components.teachers.taught_slices import ANSWERS
from custom_components.teachers.teachers import Batch, Summarise, Teachers

logger = logging.getLogger(__name__)

PROBS = "probs"


class PredictedTeachers(Teachers):
    """Folders of predictions that answer for the cases of a dataset.

    The probabilities go once through the spatial part of the student's preprocessing. In each batch they also go
    through the same random flips and shifts as the image. A folder has no features, so the loss terms that compare
    features leave it out.

    Args:
        teachers: the folders.
        dataset: the slices of the training.
        preprocessing: the student's preprocessing.
        held_out: the student's test cases.
        classes: the names of the student's classes, the background first.
        cache_dir: folder of the prepared predictions.
        saw_test_cases: the user's answer to whether the predictions' model was trained on test cases; None if there is
            no answer. If ``predictions.json`` lists the model's cases, these are checked instead.

    Raises:
        InputError: if a folder is unfit (see :class:`PredictionFolder`), if its model was trained on a test case, or if
            there are test cases and it is not known whether the model has seen them.
    """

    def __init__(
        self,
        teachers: Sequence[Predictions],
        dataset: SliceDataset,
        preprocessing: Compose,
        held_out: Iterable[Mapping[str, Any]],
        classes: list[str],
        cache_dir: str | Path,
        saw_test_cases: bool | None = None,
    ) -> None:
        super().__init__()
        self._transform = dataset.transform
        held_out, cases = list(held_out), dataset.cases
        self.names, self.weights_sha256, self.identities, self.stored, self.seen = [], [], [], {}, {}
        for entry in teachers:
            names = [case.name for case in cases]
            folder = PredictionFolder(entry.folder, names, classes, entry.classes, entry.confidence)
            seen = _seen(folder, held_out, saw_test_cases)
            prepared = prepare_predictions(folder, cases, preprocessing, cache_dir)
            hashes = FileHashes(Path(cache_dir) / HASHES)
            if found := misplacement(prepared, cases):
                logger.warning(f"{folder.path}: {found}")
            name = entry.name or folder.name
            self.names.append(name)
            self.weights_sha256.append(folder.record.weights_sha256 if folder.record else None)
            # The preparation has computed and kept these hashes.
            files = [hashes.sha256(file) for case in names for file in folder.files(case)]
            self.identities.append({"predictions": folder.settings, "files_sha256": sha256_of(files)})
            self.seen[name] = seen
            self.stored[name] = _StoredPredictions(folder.path, prepared)

    def answer(self, batch: Batch, summarise: Summarise) -> list[Answer]:
        answers = []
        for name in self.names:
            probs = batch.sample[ANSWERS][name][PROBS].to(batch.image.device, non_blocking=True)
            answers.append(moved_answer(probs, self._transform, batch))
        return answers


class _StoredPredictions:
    def __init__(self, folder: Path, prepared: Mapping[str, PreparedPrediction]) -> None:
        self._folder = folder
        self._prepared = prepared

    def read(self, case: str, depth: int, view: int) -> dict[str, Tensor]:
        """The probabilities (C, H, W) of a slice, which are the same for every view."""
        try:
            return {PROBS: self._prepared[case].slice(depth)}
        except (OSError, ValueError) as error:
            what = f"a file that was prepared from it was removed or changed during the training ({error})"
            raise InputError(what, self._folder, "start it again") from error


def _seen(
    folder: PredictionFolder, held_out: list[Mapping[str, Any]], stated: bool | None
) -> dict[str, bool | str | None]:
    """Whether the model has seen test cases, and the source of this knowledge, for the provenance."""
    if folder.record and folder.record.cases is not None:
        check_held_out(folder.path / FILE, folder.record.cases, held_out)
        return {"saw_test_cases": False, "by": "its list of cases"}
    if held_out and stated is None:
        raise InputError(
            "no file tells whether its model was trained on the student's test cases",
            folder.path,
            "say it: --predictions_saw_test_cases False, or True (then no score of the student counts)",
        )
    return {"saw_test_cases": stated, "by": "nobody" if stated is None else "the user's word"}


def load_predictions(teachers: Any, bundles_dir: str | Path, **options: Any) -> PredictedTeachers | None:
    """The folders of predictions among the entries of the option ``teachers``; None if there are none.

    Args:
        teachers: the option ``teachers``.
        bundles_dir: the folder of the bundles that are given by name.
        options: the other arguments of :class:`PredictedTeachers`.

    Raises:
        InputError: as :class:`PredictedTeachers`, or if an entry of ``teachers`` is wrong.
    """
    found = predictions_among(teachers, bundles_dir)
    return PredictedTeachers(found, **options) if found else None
