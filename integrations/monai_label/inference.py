"""MONAI Label's inference tasks: the mask of one volume, or the masks of many."""

import logging
from pathlib import Path
from typing import Any

import SimpleITK
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.batch_infer import BatchInferTask
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.utils.others.generic import device_list, name_to_device, remove_file
from requests import RequestException

from custom_components.bundle import weights_file
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from integrations.monai_label.segmenter import Segmenter

logger = logging.getLogger(__name__)

SUFFIXES = (".nii.gz", ".nii", ".nrrd")


class BundleInference(InferTask):
    """A bundle that is a model of the server.

    Args:
        bundle: the bundle's folder.
        segmenter: runs the bundle.
    """

    def __init__(self, bundle: Path, segmenter: Segmenter) -> None:
        metadata = read_json(bundle / "configs" / "metadata.json")
        channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        labels = {name: int(value) for value, name in channels.items() if name != "background"}
        super().__init__(InferType.SEGMENTATION, labels, 3, metadata["description"], config={"device": device_list()})
        self._bundle = bundle
        self._segmenter = segmenter

    def is_valid(self) -> bool:
        """Whether the model is offered to clients; only a trained bundle is."""
        return weights_file(self._bundle).is_file()

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Segment an image; return the mask's file and further results.

        Args:
            request: ``image``, a NIfTI file; ``device``; ``result_extension``, as 3D Slicer and OHIF ask for NRRD.

        Raises:
            InputError: as :meth:`Segmenter.segment`, or if the extension is not supported.
        """
        suffix = request.get("result_extension") or ".nii.gz"
        if suffix not in SUFFIXES:
            raise InputError(f"result_extension: {suffix!r} is none of {', '.join(SUFFIXES)}")
        result = self._segmenter.segment(self._bundle, request["image"], name_to_device(request.get("device")))
        mask = result.mask if suffix == ".nii.gz" else _convert(result.mask, suffix)
        said = {"gland_ml": round(result.gland_ml, 2), "entropy_bits": result.entropy_bits}
        if result.warning:
            said["warning"] = result.warning
        return str(mask), {"label_names": self.labels, **said}


def _convert(mask: Path, suffix: str) -> Path:
    converted = mask.with_name(mask.name.removesuffix(".nii.gz") + suffix)
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(mask)), str(converted))
    mask.unlink()
    return converted


class BatchInference(BatchInferTask):
    """Segments many images of the studies one after the other; a bad image is reported and skipped."""

    def __call__(self, request: dict[str, Any], datastore: Datastore, infer) -> dict[str, Any]:
        options = {"label_tag": DefaultLabelTag.ORIGINAL.value, **request, "save_label": True}
        results = {}
        for image in sorted(self.get_images(request, datastore)):
            try:
                result = infer({**options, "image": image}, datastore)
            except (InputError, RequestException) as fault:
                logger.error(f"error: {fault}")
                results[image] = {"error": str(fault)}
            else:
                remove_file(result.pop("file"))
                results[image] = result
        return results
