"""A reference, in the list of handlers, to a handler that is defined elsewhere in the config."""

from typing import Any


def named(handler: Any) -> Any:
    """Return the handler itself.

    MONAI's property check and MONAI Label read ``_target_`` of every item of the list, and a bare reference has none. A
    handler that other parts of the config refer to needs a name, because its number in the list changes when a host
    puts a handler of its own in front.
    """
    return handler
