"""A Content-Security-Policy for every answer: a page of this server asks no other server for anything."""

from collections.abc import Iterable

from fastapi import FastAPI, Request


def install(app: FastAPI, inline_scripts: Iterable[str]) -> None:
    """Send the policy.

    Args:
        app: the server.
        inline_scripts: the hashes of the scripts inside pages that may run.
    """
    policy = "; ".join(
        (
            "default-src 'self'",
            # The decoders of images are WebAssembly.
            f"script-src 'self' 'wasm-unsafe-eval' {' '.join(inline_scripts)}",
            "worker-src 'self' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )

    @app.middleware("http")
    async def send_policy(request: Request, call_next):
        answer = await call_next(request)
        answer.headers["Content-Security-Policy"] = policy
        return answer
