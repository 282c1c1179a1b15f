"""OHIF, the viewer that comes with MONAI Label, served so that annotators can do their whole work in it.

The files in the folder ``ohif`` replace the viewer's settings, and add to its mode MONAI Label. Its panel, its page and
its styles are changed when they are served (:data:`CHANGES`); the installed files stay as they are.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import monailabel
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

SHIPPED = Path(monailabel.__file__).parent / "endpoints" / "static" / "ohif"
ADDED = Path(__file__).parent / "ohif"
SCRIPTS = ("server.js", "labelmap.js", "mode.js", "app-config.js")

TRAINING_ENDS = {"DONE": "trained; the next mask uses the new weights", "STOPPED": "stopped; the weights are as before"}
REASON = "message: monaiLabelServer.reason(response)"
# The changes of the files with such names: the text that stands there once, and the text that is served instead.
CHANGES = {
    "index.html": {
        # The list of icons of an installed app, with addresses that do not exist.
        '<link rel="manifest" href="/ohif/manifest.json"/>': "",
        '<link rel="preconnect" href="https://fonts.gstatic.com" crossorigin/>': "",
        '<link href="https://fonts.googleapis.com/css?family=Inter:100,300,400,500,700&display=swap" rel="stylesheet" '
        'rel="preload" as="style"/>': "",
        '<script rel="preload" as="script" src="/ohif/app-config.js"></script>': "".join(
            f'<script src="/ohif/{name}"></script>' for name in SCRIPTS
        ),
    },
    "app.bundle.css": {
        "@import url(https://fonts.googleapis.com/css2?family=Inter:wght@100..900&display=swap);": "",
        "@import url(https://fonts.googleapis.com/css?family=Inter:100,300,400,500,700&display=swap);": "",
    },
    # The panel. Its percentages were white on white.
    "3933.css": {'@import url("w3.css");*/': "*/\n.w3-container { color: black; }"},
    "3933.bundle.*.js": {
        # The choice of a strategy had no effect.
        "onChange: this.onChangeStrategy,": "onChange: event => this.setState({ strategy: event.target.value }),",
        # The panel did not say why a request failed.
        "message: 'Failed to Run Segmentation'": REASON,
        "message: 'Failed to Run Class Based Inference'": REASON,
        "message: 'Failed to Fetch Next Sample'": REASON,
        "message: 'Failed to Connect to MONAI Label'": REASON,
        "message: 'Failed to ' + (training ? 'STOP' : 'RUN') + ' training'": REASON,
        # The panel asked once whether a training runs, with a request that answers 404 if none does.
        "const training = await this.props.client().is_train_running();\n    this.setState({\n"
        "      training: training\n    });": "monaiLabelServer.watchTraining(training => this.setState({ training }));",
        "this.setState({\n          training: !training\n        });": "monaiLabelServer.watchTraining(training => "
        "this.setState({ training }));",
        # If no image is left, the panel offered to open a study without a name.
        "} else {\n        this.uiModelService.show({\n          content: NextSampleForm,": "} else if "
        "(!response.data.id) {\n        annotatingNotify('success', 'Every image has a label.');\n      } else {\n"
        "        this.uiModelService.show({\n          content: NextSampleForm,",
        # The panel wrote a mask into a labelmap of any other series.
        "const data = new Uint8Array(ret.image);": "const data = new Uint8Array(ret.image);\n"
        "      if (!labelmap.fits(ret.header, "
        "this.props.servicesManager.services.segmentationService.getLabelmapVolume('1'))) return;",
    },
}


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
        RuntimeError: if MONAI Label has another version of OHIF, in which :data:`CHANGES` does not find its texts.
    """

    def __init__(self) -> None:
        super().__init__(directory=SHIPPED)
        self._changed = {name: text.encode() for name, text in _changed_files()}

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


def _changed_files() -> Iterator[tuple[str, str]]:
    for pattern, changes in CHANGES.items():
        for file in SHIPPED.glob(pattern):
            text = file.read_text()
            for old, new in changes.items():
                if text.count(old) != 1:
                    raise RuntimeError(f"{file}: not the OHIF of MONAI Label 0.8.5, because {old!r} is not there once")
                text = text.replace(old, new)
            yield file.name, text
    for name in SCRIPTS:
        yield name, (ADDED / name).read_text()


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
        return training["details"][-1]
    return TRAINING_ENDS[training["status"]]


def _no_viewer(path: str) -> None:
    raise NotFoundError("OHIF shows the studies of a PACS; start the server with STUDIES=<DICOMweb URL>")


async def _proxy_with_query(ask: Callable, request: Request, op: str, path: str) -> Response:
    query = request.url.query
    return await ask(request, op, f"{path}?{query}" if query else path)
