"""A check of the names of a command line's options, so that a misspelt option is not ignored.

MONAI adds an unknown option to the config, where nothing reads it, and the training runs with the default.
"""

import difflib
import inspect
import pydoc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from monai.bundle import run
from monai.bundle.config_item import ComponentLocator, ConfigComponent
from monai.bundle.config_parser import ConfigParser
from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

from custom_components.foundation.errors import InputError

OF_MONAI = {*inspect.signature(run).parameters, *DEFAULT_MLFLOW_SETTINGS["configs"]}
SEPARATOR, TARGET = "::", "_target_"
MOST_SIMILAR = 3


def check_names(options: Iterable[str], config_files: Iterable[str]) -> None:
    """Check that every option is an entry of a config, or an option of MONAI itself.

    If a part of a config is a component, such as the optimizer, every argument of its class is also an option.

    Args:
        options: ids of options, such as ``train::trainer::max_epochs``.
        config_files: the config files.

    Raises:
        InputError: if there is no such option; the message lists similar ones.
    """
    configs = [ConfigParser.load_config_file(file) for file in config_files]
    for option in options:
        if option not in OF_MONAI and not any(_has(config, option) for config in configs):
            names = [name for config in configs for name in _all_names(config)]
            similar = ", ".join(f"--{name}" for name in _similar(option, names))
            advice = f"similar ones: {similar}" if similar else ""
            raise InputError("the config has no such option", f"--{option}", advice)


def _has(config: Mapping[str, Any], option: str) -> bool:
    # In a config that is laid over another one, a key may be a whole path, such as train::dataloader::shuffle.
    if any(f"{option}{SEPARATOR}".startswith(f"{key}{SEPARATOR}") for key in config if SEPARATOR in key):
        return True
    place: Any = config
    is_argument = False
    for key in option.split(SEPARATOR):
        if isinstance(place, list):
            place = dict(zip(map(str, range(len(place))), place, strict=True))
        is_component = isinstance(place, Mapping) and TARGET in place
        # If the place is a reference, its table is not in the config. If it is a table that a component takes, such as
        # the terms of a loss, it may have any keys. In both cases the name cannot be checked.
        if not isinstance(place, Mapping) or (is_argument and not is_component):
            return True
        is_argument = is_argument or is_component
        if key not in place:
            return is_component and _takes(place, key)
        place = place[key]
    return True


def _takes(component: Mapping[str, Any], name: str) -> bool:
    """Whether a component takes an argument."""
    target = ConfigComponent(component, id="", locator=ComponentLocator()).resolve_module_name()
    parameters = inspect.signature(pydoc.locate(target)).parameters
    any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return any_name or name in parameters or name in ConfigComponent.non_arg_keys


def _all_names(config: Any, parent: str = "") -> Iterator[str]:
    """The ids of everything in a config, and of the arguments that its components take."""
    if not isinstance(config, Mapping):
        return
    names = [*config]
    if "." in str(config.get(TARGET, "")) and (component := pydoc.locate(config[TARGET])):
        names += [name for name in inspect.signature(component).parameters if name not in config]
    for name in names:
        own = f"{parent}{SEPARATOR}{name}" if parent else name
        yield own
        yield from _all_names(config.get(name), own)


def _similar(option: str, names: list[str]) -> list[str]:
    """The ids whose last part is most similar to the option's.

    If several ids have the same last part, only one is given: the one below the option's own parent comes first.
    """
    parent, _, last = option.rpartition(SEPARATOR)
    by_last: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: name.rpartition(SEPARATOR)[0] != parent):
        by_last.setdefault(name.rpartition(SEPARATOR)[2], []).append(name)
    near = difflib.get_close_matches(last, by_last, n=MOST_SIMILAR, cutoff=0.6)
    return [by_last[part][0] for part in near]
