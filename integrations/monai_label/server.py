"""MONAI Label's web app with this project's errors, and quiet where nothing is wrong."""

import logging

from integrations.monai_label import compatibility, http_errors  # noqa: F401, I001 - before MONAI Label

from monailabel.config import settings

# No other web page may ask a server that runs on the annotator's machine; read when the app is imported.
settings.MONAI_LABEL_CORS_ORIGINS = [f"http://127.0.0.1:{settings.MONAI_LABEL_SERVER_PORT}"]

from monailabel.app import app  # noqa: E402

http_errors.install(app)

logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
for task in ("task_train", "task_batch_infer"):
    logging.getLogger(task).setLevel(logging.INFO)
# They tell of a timer, and of a decoder for GPUs.
for chatty in ("timeloop", "monai.data.nvimgcodec_pydicom_plugin"):
    logging.getLogger(chatty).addFilter(lambda record: False)
