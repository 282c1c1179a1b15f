"""This project's bundles behind a MONAI Label server."""
