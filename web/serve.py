"""``python3 serve.py`` serves the page in this file's folder on 127.0.0.1, with the headers of headers.json."""

import argparse
import json
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


class PageHandler(SimpleHTTPRequestHandler):
    """Serves files with the headers that the page needs."""

    # Python takes these types from the machine's own tables, which may lack or change them.
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }
    headers_of_page = json.loads((FOLDER / "headers.json").read_text())

    def end_headers(self) -> None:
        """Add the headers of the page."""
        for name, value in self.headers_of_page.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main() -> int:
    """Serve until Ctrl+C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="8080", help="port on 127.0.0.1; 0 takes a free one (default: 8080)")
    port = parser.parse_args().port
    try:
        server = ThreadingHTTPServer(("127.0.0.1", int(port)), partial(PageHandler, directory=str(FOLDER)))
    except (OSError, OverflowError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        print(f"error: port {port} cannot be used ({reason}); give another one, PORT=<number>", file=sys.stderr)
        return 1
    print(f"Open http://127.0.0.1:{server.server_port}/ in a browser; Ctrl+C ends.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
