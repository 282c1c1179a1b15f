"""MONAI Label's web app with this project's errors and without needless log lines."""

import logging

import uvicorn
from fastapi import FastAPI
from monailabel.config import settings
from monailabel.utils.async_tasks.task import AsyncTask

from integrations.monai_label import content_policy, http_errors, start_page
from integrations.monai_label.dicom_seg import nifti_to_dicom_seg

TASKS = ("train", "batch_infer")


def serve(host: str, port: int) -> None:
    """Run the server with MONAI Label's settings until the process is stopped, and then end the background tasks."""
    try:
        uvicorn.run(_make_app(), host=host, port=port)
    finally:
        for task in TASKS:
            AsyncTask.stop(task)


def _make_app() -> FastAPI:
    # Other web pages must not send requests to a server on the annotator's machine.
    settings.MONAI_LABEL_CORS_ORIGINS = [f"http://127.0.0.1:{settings.MONAI_LABEL_SERVER_PORT}"]
    # MONAI Label reads the settings when it is imported.
    from monailabel.app import app
    from monailabel.endpoints import infer

    from integrations.monai_label import viewer

    infer.nifti_to_dicom_seg = nifti_to_dicom_seg
    http_errors.install(app)
    start_page.install(app)
    viewer.install(app)
    content_policy.install(app, viewer.inline_scripts())
    _set_up_logging()
    return app


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    for task in TASKS:
        logging.getLogger(f"task_{task}").setLevel(logging.INFO)
    # The first logger only reports a timer, and the second one only reports that a decoder for GPUs is missing.
    for chatty in ("timeloop", "monai.data.nvimgcodec_pydicom_plugin"):
        logging.getLogger(chatty).addFilter(lambda record: False)
