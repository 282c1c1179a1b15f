"""Predictions as NIfTI files: a file for each case and class, a 4-D file for each case, or a mask for each case."""

from pathlib import Path

import numpy as np
from monai.utils import ensure_tuple

from custom_components.foundation.errors import InputError
from custom_components.foundation.grids import grid_difference
from custom_components.foundation.nifti import Volume, read_volume, stored_shape
from custom_components.predictions.class_map import ClassMap, class_probabilities, require_probabilities

BACKGROUND = "background"


def nifti_file(folder: Path, stem: str) -> Path:
    """The file ``<stem>.nii.gz`` or ``<stem>.nii`` in a folder; the first name if neither file exists."""
    packed, plain = (folder / f"{stem}{ending}" for ending in (".nii.gz", ".nii"))
    return plain if plain.is_file() and not packed.is_file() else packed


class ClassFiles:
    """``<case>_<class>.nii.gz``: a volume of probabilities for each case and class.

    The files of a class called ``background`` may be missing. Then the background gets the rest of the probability.

    Args:
        folder: holds the files.
        classes: the files of each class of the student. Without a table, each class has a file of its own name.
        names: the names of the folder's classes, if its ``predictions.json`` holds them. Without names, a number in
            the table is the last part of a file name: 1 is ``<case>_1.nii.gz``.
    """

    def __init__(self, folder: Path, classes: ClassMap, names: list[str] | None = None) -> None:
        self._folder, self._classes = folder, classes.classes
        if names is not None:
            self._endings = {name: [names[place] for place in some] for name, some in classes.places(names).items()}
        else:
            table = classes.channels or {name: name for name in classes.classes}
            self._endings = {name: [str(channel) for channel in ensure_tuple(some)] for name, some in table.items()}

    def files(self, case: str) -> list[Path]:
        """The files that a case has in this layout, even if they are missing. Only a missing background is left out."""
        return [file for some in self._files(case).values() for file in some]

    def _files(self, case: str) -> dict[str, list[Path]]:
        files = {
            name: [nifti_file(self._folder, f"{case}_{ending}") for ending in endings]
            for name, endings in self._endings.items()
        }
        background = self._classes[0]
        if self._endings.get(background) == [BACKGROUND] and not files[background][0].is_file():
            del files[background]
        return files

    def read(self, case: str) -> Volume:
        """Probabilities (H, W, D, C) of the student's classes on the grid of the files.

        Raises:
            InputError: if a file is damaged, holds no probabilities, or has another grid than the case's first file.
        """
        volumes: list[Volume] = []
        places: dict[str, list[int]] = {}
        files = self.files(case)
        for name, some in self._files(case).items():
            places[name] = list(range(len(volumes), len(volumes) + len(some)))
            volumes += [read_volume(file, upright=False) for file in some]
        for file, volume in zip(files, volumes, strict=True):
            require_probabilities(volume.voxels, file)
            if problem := grid_difference(volumes[0], volume):
                problem = problem.replace("its image", files[0].name)
                raise InputError(problem, file, "write all files of the case on one grid")
        voxels = np.stack([volume.voxels.astype(np.float32) for volume in volumes], axis=-1)
        return Volume(class_probabilities(voxels, places, self._classes, False, files[0]), volumes[0].affine)


class FourD:
    """``<case>.nii.gz`` with the classes on the fourth axis (H, W, D, K), the background first.

    Args:
        folder: holds the files.
        classes: the channels of each class of the student, by number: a 4-D file does not name them.
    """

    def __init__(self, folder: Path, classes: ClassMap) -> None:
        self._folder, self._classes = folder, classes

    def files(self, case: str) -> list[Path]:
        return [nifti_file(self._folder, case)]

    def read(self, case: str) -> Volume:
        """Probabilities (H, W, D, C) of the student's classes on the file's grid.

        Raises:
            InputError: if the file is damaged, has another number of classes, or holds no probabilities.
        """
        (file,) = self.files(case)
        shape = stored_shape(file)
        if len(shape) != 4 or shape[3] < 2:
            advice = (
                "for masks say how sure they are, for example confidence: 0.9; for probabilities write a 4-D file, or "
                f"{file.name.partition('.')[0]}_<class>.nii.gz (nnU-Net: --save_probabilities)"
            )
            raise InputError(f"holds one volume {shape[:3]}, not one for each class", file, advice)
        places = self._classes.places(None, shape[3])
        channels = [read_volume(file, channel, upright=False) for channel in range(shape[3])]
        voxels = np.stack([channel.voxels.astype(np.float32) for channel in channels], axis=-1)
        return Volume(class_probabilities(voxels, places, self._classes.classes, True, file), channels[0].affine)


class Masks:
    """``<case>.nii.gz`` with a label for each voxel, and a probability that the labels are right.

    The class of a voxel's label gets the probability ``confidence``, and the other classes share the rest. If a table
    or ``dataset.json`` names the labels of the classes, any other label is background.

    Args:
        folder: holds the files.
        classes: the labels of each class of the student, by name or value.
        confidence: probability above 0.5, at most 1.
        labels: the values of each name, if the folder's ``dataset.json`` holds them.

    Raises:
        InputError: if the confidence is not in that range.
    """

    def __init__(
        self, folder: Path, classes: ClassMap, confidence: float, labels: dict[str, list[int]] | None = None
    ) -> None:
        self._folder, self._classes = folder, classes
        if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0.5 < confidence <= 1:
            raise InputError(
                f"confidence: {confidence!r} is not above 0.5 and at most 1",
                folder,
                "give the probability that a voxel of the masks is right, for example 0.9",
            )
        self._confidence = float(confidence)
        self._values = self._values_of_classes(labels)

    def _values_of_classes(self, labels: dict[str, list[int]] | None) -> list[list[int]] | None:
        """The values of each class of the student; None if the values are the numbers of the classes."""
        wanted = self._classes
        if wanted.channels is None:
            if labels is None:
                return None
            places = wanted.places(list(labels))
            names = list(labels)
            return [labels[names[place]] for name in wanted.classes for place in places[name]]
        return [
            [value for channel in ensure_tuple(wanted.channels.get(name, ())) for value in self._value(channel, labels)]
            for name in wanted.classes
        ]

    def _value(self, channel: int | str, labels: dict[str, list[int]] | None) -> list[int]:
        if isinstance(channel, int):
            return [channel]
        if channel not in (labels or {}):
            known = f"it has {', '.join(labels)}" if labels else "it names none, give the masks' values"
            raise InputError(f"classes: no label {channel} in this folder, {known}", self._folder)
        return labels[channel]

    def files(self, case: str) -> list[Path]:
        return [nifti_file(self._folder, case)]

    def read(self, case: str) -> Volume:
        """Probabilities (H, W, D, C) of the student's classes on the mask's grid.

        Raises:
            InputError: if the file is damaged, or holds fractions or values that belong to no class.
        """
        (file,) = self.files(case)
        mask = read_volume(file, upright=False)
        found = np.unique(mask.voxels)
        if not np.isfinite(found).all() or (found != np.round(found)).any():
            raise InputError("holds fractions, not the labels of a mask", file, "leave out confidence, or write masks")
        count = len(self._classes.classes)
        values = self._values or [[number] for number in range(count)]
        known = {value for some in values for value in some} | {0}
        strange = [int(value) for value in found if value not in known]
        if strange and (self._values is None or not any(value in known - {0} for value in found)):
            told = ", ".join(map(str, strange[:5]))
            raise InputError(
                f"holds the labels {told}, which belong to no class",
                file,
                f"name the labels of each class, for example classes: {{{self._classes.classes[-1]}: [{told}]}}",
            )
        rest = (1 - self._confidence) / (count - 1)
        probs = np.full((*mask.voxels.shape, count), rest, np.float32)
        classes = np.zeros(mask.voxels.shape, np.intp)
        for number, some in enumerate(values):
            classes[np.isin(mask.voxels, some)] = number
        np.put_along_axis(probs, classes[..., None], self._confidence, axis=-1)
        return Volume(probs, mask.affine)
