"""Reading of a bundle's config, so that parts of it can run in this process."""

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
    """Read a config. Its parts run when the caller asks for them with ``get_parsed_content``.

    Args:
        config: the file, or its content.
        changes: values that replace values of the config, by their keys at the top level. A path may hold any
            characters.

    Raises:
        InputError: if the file is missing or is not JSON.
    """
    read_options_as_meant()
    # MONAI writes resolved values into the content, so MONAI gets a copy.
    content = read_json(config) if isinstance(config, Path) else copy.deepcopy(dict(config))
    return ConfigParser({**content, **changes})
