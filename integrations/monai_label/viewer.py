"""OHIF, the viewer that comes with MONAI Label, served so that annotators can do their whole work in it."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from monailabel.config import settings
from monailabel.endpoints import proxy
from monailabel.interfaces.utils.app import app_instance
from monailabel.utils.others.generic import get_mime_type
from starlette.routing import Mount

from integrations.monai_label.http_errors import NotFoundError
from integrations.monai_label.training_tasks import is_going_on, latest_trainings
from integrations.monai_label.viewer_changes import SHIPPED, changed_files

TRAINING_ENDS = {"DONE": "trained; the next mask uses the new weights", "STOPPED": "stopped; the weights are as before"}


def install(app: FastAPI) -> None:
    """Serve the viewer under ``/ohif/``, with the requests of its scripts, in place of MONAI Label's own route."""
    routes = APIRouter(prefix="/ohif")
    if "://" in settings.MONAI_LABEL_STUDIES:
        routes.add_api_route("/series/{study}", _series, summary="The series of a study that the server segments")
        routes.add_api_route("/training", _training, summary="Whether a training runs, and how the last ones ended")
        routes.routes.append(Mount("/ohif", ViewerFiles()))
        # MONAI Label leaves out the query, so that every search of the viewer found all studies.
        proxy.proxy_dicom = partial(_proxy_with_query, proxy.proxy_dicom)
    else:
        routes.add_api_route("/{path:path}", _no_viewer, include_in_schema=False)
    app.router.routes[:0] = routes.routes


class ViewerFiles(StaticFiles):
    """The viewer's files; the addresses of its views, such as ``/ohif/monai-label``, give its page.

    Raises:
        InputError: as :func:`changed_files`.
    """

    def __init__(self) -> None:
        super().__init__(directory=SHIPPED)
        self._changed = {name: text.encode() for name, text in changed_files()}

    async def get_response(self, path: str, scope: Mapping) -> Response:
        if not (SHIPPED / path).suffix:
            path = "index.html"
        if path not in self._changed:
            return await super().get_response(path, scope)
        headers = {"Cache-Control": "no-cache"}
        return Response(self._changed[path], media_type=get_mime_type(path), headers=headers)


def inline_scripts() -> Iterator[str]:
    """The scripts inside the viewer's page, as sources of a Content-Security-Policy."""
    for script in re.findall(r"<script>(.*?)</script>", (SHIPPED / "index.html").read_text(), re.DOTALL):
        yield f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _series(study: str) -> list[str]:
    return app_instance().datastore().series_of(study)


def _training() -> dict[str, Any]:
    """Whether a training runs, and one line for each model about the end of its last training."""
    last = latest_trainings()
    return {
        "running": any(map(is_going_on, last.values())),
        "failed": any(training["status"] == "ERROR" for training in last.values()),
        "ends": [f"{name}: {_end(training)}" for name, training in last.items() if not is_going_on(training)],
    }


def _end(training: Mapping[str, Any]) -> str:
    if training["status"] == "ERROR":
        return training["details"][-1] if training["details"] else "failed without a reason"
    return TRAINING_ENDS[training["status"]]


def _no_viewer(path: str) -> None:
    raise NotFoundError("OHIF shows the studies of a PACS; start the server with STUDIES=<DICOMweb URL>")


async def _proxy_with_query(ask: Callable, request: Request, op: str, path: str) -> Response:
    query = request.url.query
    return await ask(request, op, f"{path}?{query}" if query else path)
