"""Clear answers to a client's faults, and protection against names that lead out of the studies' folder."""

from pathlib import Path
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from monailabel.interfaces.exception import MONAILabelException
from requests import RequestException

from custom_components.foundation.errors import InputError, OneLineError

# MONAI Label uses these values as parts of paths.
NAMES = {"image", "id", "label", "tag", "session_id"}


class NotFoundError(InputError):
    """There is no such image, model or label."""


def install(app: FastAPI) -> None:
    """Answer faults of the input with one line of JSON (``detail``), and refuse names that lead out of the folder."""
    app.add_exception_handler(NotFoundError, lambda _, error: _answer(404, str(error)))
    app.add_exception_handler(InputError, lambda _, error: _answer(422, str(error)))
    app.add_exception_handler(OneLineError, lambda _, error: _answer(500, str(error)))
    app.add_exception_handler(MONAILabelException, lambda _, error: _answer(404, error.msg))
    app.add_exception_handler(
        RequestException, lambda _, error: _answer(502, f"the request to the PACS failed: {error}")
    )
    app.middleware("http")(_refuse_paths)


async def _refuse_paths(request: Request, call_next):
    names = [value for key, value in request.query_params.multi_items() if key in NAMES]
    # A server decodes the %-codes of an address once. If ``..`` was encoded twice, one encoding is left. The client
    # that asks the PACS would decode it, so this function decodes it too before it looks at the names.
    names += [part for part in unquote(request.scope["path"]).split("/") if part == ".."]
    for name in names:
        if name == ".." or Path(name).name != name:
            return _answer(404, f"no '{name}' in the studies; give a name without folders")
    return await call_next(request)


def _answer(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
