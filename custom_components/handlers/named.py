"""A reference, in the list of handlers, to a handler that is defined elsewhere in the config."""

from typing import Any


def named(handler: Any) -> Any:
    """Return the handler itself.

    MONAI's property check and MONAI Label read ``_target_`` of every item of the list of handlers, so the list cannot
    hold a bare reference. With ``_disabled_`` this function leaves an object out of a mapping.
    """
    return handler
