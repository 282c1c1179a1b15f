"""The module that MONAI Label loads; it requires this file name."""

from integrations.monai_label.app import ProstateApp  # noqa: F401
