"""Clear answers to what a client can get wrong, and no way out of the studies."""

from pathlib import Path
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from monailabel.interfaces.exception import MONAILabelException
from requests import RequestException

from custom_components.errors import InputError, OneLineError

# MONAI Label makes parts of paths of these.
NAMES = {"image", "id", "label", "tag", "session_id"}


class NotFoundError(InputError):
    """An image, model or label that is not there."""


def install(app: FastAPI) -> None:
    """Answer faults of the input with one line of JSON (``detail``), and refuse names that lead elsewhere."""
    app.add_exception_handler(NotFoundError, lambda _, error: _answer(404, str(error)))
    app.add_exception_handler(InputError, lambda _, error: _answer(422, str(error)))
    app.add_exception_handler(OneLineError, lambda _, error: _answer(500, str(error)))
    app.add_exception_handler(MONAILabelException, lambda _, error: _answer(404, error.msg))
    app.add_exception_handler(RequestException, lambda _, error: _answer(502, f"the PACS did not do it: {error}"))
    app.middleware("http")(_refuse_paths)


async def _refuse_paths(request: Request, call_next):
    names = [value for key, value in request.query_params.multi_items() if key in NAMES]
    # What is left of an address that was quoted twice is unquoted by the client that a proxied address is handed to.
    names += [part for part in unquote(request.scope["path"]).split("/") if part == ".."]
    for name in names:
        if name == ".." or Path(name).name != name:
            return _answer(404, f"no '{name}' in the studies; names come without folders")
    return await call_next(request)


def _answer(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
