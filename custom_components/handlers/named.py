"""A handler that stands elsewhere in the config, in the list of handlers."""

from typing import Any


def named(handler: Any) -> Any:
    """The handler itself. MONAI's property check and MONAI Label read ``_target_`` of every item of the list, so that a
    bare reference to a named handler cannot stand there. With ``_disabled_`` it leaves an object out of a mapping."""
    return handler
