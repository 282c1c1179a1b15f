"""On or off, as it comes from a command line."""

from custom_components.errors import InputError

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def flag(name: str, value: object) -> bool:
    """The meaning of ``--name value``: True, true, yes or 1 against False, false, no or 0.

    Raises:
        InputError: on anything else, which might have meant either.
    """
    try:
        return WORDS[str(value).lower()]
    except KeyError:
        raise InputError(f"--{name} {value}: neither True nor False") from None
