"""Answers of DICOMweb servers in the form in which dicomweb_client reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import Response, Session


def with_bare_types(session: Session) -> Session:
    """Take the parameters from the media types of a session's JSON and XML answers: ``application/dicom+json;
    charset=utf-8`` becomes ``application/dicom+json``.

    dicomweb_client compares the whole type. It reads another answer to STOW-RS as empty, so that stored instances look
    refused.

    Returns:
        The same session.
    """
    session.hooks["response"].append(_make_type_bare)
    return session


def _make_type_bare(response: Response, *args: Any, **kwargs: Any) -> None:
    bare = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    # The type of a multipart answer needs its parameter, the boundary.
    if bare.endswith(("json", "xml")):
        response.headers["Content-Type"] = bare
