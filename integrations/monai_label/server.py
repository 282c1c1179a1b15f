"""MONAI Label's web app with this project's errors, and quiet where nothing is wrong."""

import logging

from fastapi import FastAPI
from monailabel.config import settings

from integrations.monai_label import http_errors
from integrations.monai_label.dicom_seg import nifti_to_dicom_seg


def make_app() -> FastAPI:
    """The app of the server that the settings describe."""
    # No other web page may ask a server that runs on the annotator's machine.
    settings.MONAI_LABEL_CORS_ORIGINS = [f"http://127.0.0.1:{settings.MONAI_LABEL_SERVER_PORT}"]
    # It reads the settings when it is imported.
    from monailabel.app import app
    from monailabel.endpoints import infer

    infer.nifti_to_dicom_seg = nifti_to_dicom_seg
    http_errors.install(app)
    _set_up_logging()
    return app


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    for task in ("task_train", "task_batch_infer"):
        logging.getLogger(task).setLevel(logging.INFO)
    # They tell of a timer, and of a decoder for GPUs.
    for chatty in ("timeloop", "monai.data.nvimgcodec_pydicom_plugin"):
        logging.getLogger(chatty).addFilter(lambda record: False)
