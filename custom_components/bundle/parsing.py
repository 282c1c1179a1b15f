"""A config of a bundle, read by MONAI to be run in this process."""

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from custom_components.foundation.files import read_json
from custom_components.options import read_options_as_meant

# MONAI logs that an optional decoder (DICOM on a GPU) is missing, each time it makes an image reader.
logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)


def parse_config(config: Path | Mapping[str, Any], changes: Mapping[str, Any]) -> ConfigParser:
    """Read a config; its parts run when they are asked for, by ``get_parsed_content``.

    Args:
        config: the file, or its content.
        changes: values that take the place of the config's, by the keys of their outermost level. A path is taken as it
            is, whatever signs are in it.

    Raises:
        InputError: if the file is missing or no JSON.
    """
    read_options_as_meant()
    # A copy, since MONAI writes what it has resolved into the content.
    content = read_json(config) if isinstance(config, Path) else copy.deepcopy(dict(config))
    return ConfigParser({**content, **changes})
