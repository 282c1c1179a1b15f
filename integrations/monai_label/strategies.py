"""Strategies that choose the next image to label."""

import logging
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from custom_components.bundle import weights_file
from custom_components.bundle.weights import require_weights
from custom_components.foundation.errors import InputError
from integrations.monai_label.segmenter import Segmenter

logger = logging.getLogger(__name__)


class Random(Strategy):
    """A random image without a final label.

    MONAI Label's own strategy fails if all images were offered within one second.
    """

    def __init__(self) -> None:
        super().__init__("Any image")

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The image's id; None if every image has a label."""
        images = datastore.get_unlabeled_images()
        return {"id": random.choice(images)} if images else None


class MostUncertain(Strategy):
    """The image without a final label that has the highest mean entropy of a student's probabilities.

    Every image needs one inference for each version of the student's weights. Batch inference computes them in advance.

    Args:
        bundles: the students' bundles by name.
        segmenter: runs the bundles and keeps their results.
    """

    def __init__(self, bundles: Mapping[str, Path], segmenter: Segmenter) -> None:
        super().__init__("The image that the student is least sure of")
        self._bundles = bundles
        self._segmenter = segmenter

    def info(self) -> dict[str, Any]:
        return {**super().info(), "config": {"model": list(self._bundles)}}

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The image's id and its entropy; None if every image has a label, or if no image can be read.

        Args:
            request: ``model``, the name of the student; by default the first student.

        Raises:
            InputError: if there is no such student, or the student is not trained.
        """
        name = request.get("model") or next(iter(self._bundles))
        if name not in self._bundles:
            raise InputError(f"model: no '{name}'; there are {', '.join(self._bundles)}")
        require_weights(weights_file(self._bundles[name]))
        entropies = {}
        for image in datastore.get_unlabeled_images():
            try:
                entropies[image] = self._segmenter.entropy(self._bundles[name], datastore.get_image_uri(image))
            except InputError as fault:
                logger.warning(f"passed over: {fault}")
        if not entropies:
            return None
        image = max(sorted(entropies), key=entropies.__getitem__)
        return {"id": image, "entropy_bits": entropies[image]}
