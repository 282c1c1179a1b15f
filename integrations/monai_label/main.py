"""What MONAI Label loads: it asks for a file of this name."""

from integrations.monai_label.app import ProstateApp  # noqa: F401
