"""This project's bundles behind a MONAI Label server."""

from integrations.monai_label import compatibility  # noqa: F401 - before anything imports MONAI Label
