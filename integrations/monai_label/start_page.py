"""The page at ``/``: a link to the viewer, and the requests that the server answers.

MONAI Label's own pages at ``/`` and ``/docs`` are empty without scripts from the internet.
"""

from html import escape

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 16px sans-serif; margin: 2em }} td {{ padding: .2em 1em .2em 0; vertical-align: top }}</style>
</head><body><h1>{title}</h1>
<p>Research use only. Not a medical device, not for diagnosis.</p>
<p><a href="/ohif/">OHIF, the viewer for annotators</a> (with a PACS). For 3D Slicer, enter this page's address as the
server. <a href="/info/">Models and state</a>. <a href="/openapi.json">All requests as OpenAPI</a>.</p>
<table>{rows}</table></body></html>
"""


def install(app: FastAPI) -> None:
    """Serve the page at ``/``, in place of MONAI Label's own."""

    async def page() -> HTMLResponse:
        rows = "".join(
            f"<tr><td>{method.upper()}</td><td>{escape(path)}</td><td>{escape(operation.get('summary', ''))}</td></tr>"
            for path, operations in app.openapi()["paths"].items()
            for method, operation in operations.items()
        )
        return HTMLResponse(PAGE.format(title=escape(app.title), rows=rows))

    async def back() -> RedirectResponse:
        return RedirectResponse("/")

    pages = {"/": page, "/docs": back}
    app.router.routes[:0] = [APIRoute(path, answer, include_in_schema=False) for path, answer in pages.items()]
