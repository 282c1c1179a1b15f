"""A bundle on disk: reading, copying, running, exporting and packing it (``python -m custom_components.bundle``).

This module imports only what a training needs. The modules of the command line take longer to load.
"""

from custom_components.bundle.copying import copy_bundle
from custom_components.bundle.reading import SHIPPED_BUNDLES, Bundle, find_bundle, read_bundle, weights_file
from custom_components.bundle.running import run_command

__all__ = ["SHIPPED_BUNDLES", "Bundle", "copy_bundle", "find_bundle", "read_bundle", "run_command", "weights_file"]
