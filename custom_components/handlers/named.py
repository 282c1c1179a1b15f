"""A reference, in the list of handlers, to a handler that is defined elsewhere in the config."""

from typing import Any


def named(handler: Any) -> Any:
    """The handler itself. MONAI's property check and MONAI Label read ``_target_`` of every item of the list, so that a
    bare reference to a named handler cannot stand there. Handlers that others refer to need a name: their number in the
    list changes when a host puts its own in front."""
    return handler
