"""A warning that the network's window may have cut off part of the gland."""

import logging

from ignite.engine import Engine, Events

from custom_components.window import border_warning

logger = logging.getLogger(__name__)


class WindowBorder:
    """Warns once for each volume whose mask touches the border of the window.

    The handler reads two MetaTensors from the evaluator's decollated output: ``pred`` (0/1, (1, H, W, D), on the
    input's grid) and the prepared ``image``.

    Args:
        field_of_view: the side of the window in mm; None stands for the whole image, of which nothing is cut off.
    """

    def __init__(self, field_of_view: float | str | None) -> None:
        self.field_of_view = field_of_view

    def attach(self, engine: Engine) -> None:
        """Listen to an evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._warn)

    def _warn(self, engine: Engine) -> None:
        for item in engine.state.output:
            if line := border_warning(item["pred"], item["image"], self.field_of_view):
                logger.warning(f"{item['pred'].meta['filename_or_obj']}: {line}")
