"""MONAI Label's app: bundles as models and trainers, and the studies."""

import tempfile
from pathlib import Path
from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.tasks.activelearning.first import First

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json
from custom_components.foundation.nifti import is_nifti_name
from integrations.monai_label.http_errors import NotFoundError
from integrations.monai_label.inference import BatchInference, BundleInference
from integrations.monai_label.pacs import Pacs
from integrations.monai_label.segmenter import Segmenter
from integrations.monai_label.strategies import MostUncertain, Random
from integrations.monai_label.studies import StudiesFolder
from integrations.monai_label.training import BundleTraining


class ProstateApp(MONAILabelApp):
    """Serves bundles from their own folders.

    Args:
        app_dir: this folder.
        studies: folder of NIfTI volumes, or DICOMweb URL.
        conf: ``models`` and ``teachers`` hold the folders of bundles by name; ``work_dir`` is the server's own folder.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, Any]) -> None:
        self._bundles = {name: Path(folder) for name, folder in conf["models"].items()}
        self._teachers = {name: Path(folder) for name, folder in conf["teachers"].items()}
        self._work_dir = Path(conf["work_dir"])
        self._segmenter = Segmenter(self._work_dir / "entropy")
        metadata = read_json(next(iter(self._bundles.values())) / "configs" / "metadata.json")
        super().__init__(
            app_dir,
            studies,
            {},
            name="Prostate distillation",
            description=f"{metadata['task']}. {metadata['intended_use']}",
            version=metadata["version"],
        )

    def init_datastore(self) -> Datastore:
        return Pacs(self.studies, self._work_dir / "pacs") if "://" in self.studies else StudiesFolder(self.studies)

    def init_infers(self) -> dict[str, BundleInference]:
        return {name: BundleInference(bundle, self._segmenter) for name, bundle in self._bundles.items()}

    def init_trainers(self) -> dict[str, BundleTraining]:
        return {name: BundleTraining(bundle, self._teachers, self._work_dir) for name, bundle in self._bundles.items()}

    def init_strategies(self) -> dict[str, Any]:
        uncertain = MostUncertain(self._bundles, self._segmenter)
        return {"first": First(), "random": Random(), "most_uncertain": uncertain}

    def init_batch_infer(self) -> BatchInference:
        return BatchInference()

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Segment an image of the studies, or an image that was uploaded with the request or its session.

        Raises:
            NotFoundError: if there is no such model or image. A path in the request is never opened.
            InputError: as :class:`BundleInference`.
        """
        datastore = datastore or self.datastore()
        self.bundle_path(request["model"])
        image = str(request["image"])
        is_study = image in datastore.list_images()
        file = datastore.get_image_uri(image) if is_study else self._uploaded(image, datastore)
        mask, params = self._infers[request["model"]]({**request, "image": file})
        if is_study and request.get("save_label"):
            tag = request.get("label_tag") or DefaultLabelTag.ORIGINAL.value
            datastore.save_label(image, mask, tag, {"model": request["model"], "params": params})
        return {"label": mask, "tag": DefaultLabelTag.ORIGINAL, "file": mask, "params": params}

    def infer_wsi(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Refuse whole-slide images: this app has none, and MONAI Label's method would open any file."""
        return self.infer(request, datastore)

    def bundle_path(self, model: str) -> str:
        """The folder of a model; MONAI Label also calls this before every background task.

        Raises:
            NotFoundError: if there is no such model.
        """
        if model not in self._bundles:
            raise NotFoundError(f"no model '{model}'; there are {', '.join(self._bundles)}")
        return str(self._bundles[model])

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """The image to label next; empty if all images are labelled.

        Raises:
            NotFoundError: if there is no such strategy.
            InputError: as :class:`MostUncertain`.
        """
        if request["strategy"] not in self._strategies:
            raise NotFoundError(f"no strategy '{request['strategy']}'; there are {', '.join(self._strategies)}")
        return super().next_sample(request)

    def _uploaded(self, image: str, datastore: Datastore) -> str:
        folders = (Path(tempfile.gettempdir()), Path(self.sessions().store_path))
        if not any(Path(image).resolve().is_relative_to(folder.resolve()) for folder in folders):
            raise datastore.no_image(image)
        if not is_nifti_name(image):
            raise InputError(f"{Path(image).name}: is no NIfTI volume; upload .nii or .nii.gz")
        return image
