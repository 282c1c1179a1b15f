"""A MONAI Label server with this project's bundles."""

from integrations.monai_label import compatibility  # noqa: F401 - before anything imports MONAI Label
