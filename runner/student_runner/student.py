"""Open a ``student.onnx`` and segment one volume with it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import require_readable
from custom_components.foundation.nifti import Volume
from custom_components.foundation.threads import usable_cores
from custom_components.foundation.window import window_warning
from student_runner.components import largest_component
from student_runner.grid import affine_for

FORMAT = "prostate-student 1"
ONLY_ERRORS = 3


@dataclass(frozen=True)
class StudentMask:
    """The segmentation of a volume.

    Attributes:
        mask: (H, W, D), uint8, 0 or 1, on the volume's grid.
        warning: one line if the window that the network sees may have cut off a part of the gland; otherwise None.
    """

    mask: np.ndarray
    warning: str | None


class Student:
    """A trained bundle in one file.

    Args:
        file: ``student.onnx``, written by ``make export``.

    Raises:
        InputError: if the file is missing, or is not a ``student.onnx`` of this version.
    """

    def __init__(self, file: Path) -> None:
        require_readable(file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = ONLY_ERRORS
        try:
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has many classes of errors, all without a common one
            detail = str(error).splitlines()[0]
            raise InputError("cannot be opened by ONNX Runtime", file, "export it again", detail) from error
        notes = self._session.get_modelmeta().custom_metadata_map
        if notes.get("format") != FORMAT:
            told = f"its format is '{notes['format']}'" if "format" in notes else "it is another ONNX model"
            raise InputError(
                f"is no student of this version ({told})", file, "give the student.onnx that 'make export' wrote"
            )
        self.name, self.version = notes["name"], notes["version"]
        self._field_of_view = json.loads(notes["field_of_view"])
        self._image_size = int(notes["image_size"])

    def segment(self, volume: Volume) -> StudentMask:
        """Segment a volume in any orientation, and keep the largest component."""
        turn = io_orientation(volume.affine)  # to RAS
        voxels = apply_orientation(volume.voxels, turn).astype(np.float32)
        inputs = {"volume": np.ascontiguousarray(voxels)}
        outputs = ["mask"]
        if self._field_of_view is not None:
            affine = volume.affine @ inv_ornt_aff(turn, volume.voxels.shape)
            inputs["affine"] = affine_for(affine, voxels.shape, self._field_of_view / (2 * self._image_size))
            outputs.append("to_window")
        mask, *places = self._session.run(outputs, inputs)
        back = ornt_transform(axcodes2ornt("RAS"), turn)
        kept = largest_component(apply_orientation(mask, back))
        return StudentMask(kept, self._warning(apply_orientation(kept, turn), *places))

    def _warning(self, mask: np.ndarray, places: np.ndarray | None = None) -> str | None:
        if places is None:
            return None
        to_window = np.eye(4)
        for axis, (factor, offset) in enumerate(places):
            to_window[axis, axis], to_window[axis, 3] = factor, offset
        return window_warning(mask, to_window, (self._image_size, self._image_size), self._field_of_view)
