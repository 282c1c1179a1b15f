"""Health and metrics over HTTP on 127.0.0.1: ``/health`` (200 or 503) and ``/metrics`` (text format of Prometheus)."""

import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from custom_components.foundation.errors import InputError
from student_runner.node.queue import ANSWERED, SENDING, STATES, Queue
from student_runner.node.receiver import Receiver
from student_runner.node.sender import Sender
from student_runner.node.worker import Worker

log = logging.getLogger("segment-node")

HOST = "127.0.0.1"
LONGEST_REQUEST_S = 5
# A problem with the PACS makes the node unhealthy only after this time, since most of them end by themselves.
LONGEST_SENDING_S = 3600
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Figures:
    """The figures of a running node."""

    def __init__(self, queue: Queue, receiver: Receiver, worker: Worker, sender: Sender) -> None:
        self._queue, self._receiver, self._worker, self._sender = queue, receiver, worker, sender

    def problem(self) -> str | None:
        """Why the node needs a person; None if it is well."""
        if self._queue.is_full():
            return "no room: the queue or the disk is full"
        if self._oldest_s(SENDING) > LONGEST_SENDING_S:
            return "the PACS has not taken a result for an hour"
        return None

    def text(self) -> str:
        """All figures in the text format of Prometheus (version 0.0.4)."""
        lines = []
        for name, kind, meaning, values in self._metrics():
            lines += [f"# HELP segment_node_{name} {meaning}", f"# TYPE segment_node_{name} {kind}"]
            lines += [f"segment_node_{name}{labels} {value:.15g}" for labels, value in values]
        return "\n".join(lines) + "\n"

    def _metrics(self) -> Iterator[tuple[str, str, str, list[tuple[str, float]]]]:
        counts = [(f'{{state="{state}"}}', len(self._queue.folders(state))) for state in STATES]
        yield "studies", "gauge", "Studies in each state of the queue.", counts
        oldest = [(f'{{state="{state}"}}', self._oldest_s(state)) for state in STATES if state != ANSWERED]
        yield "oldest_seconds", "gauge", "Time since the oldest study of a state changed.", oldest
        answers = [
            (f'{{answer="{answer}",reason="{reason}"}}', count)
            for (answer, reason), count in sorted(self._sender.answers.items())
        ]
        yield "answers_total", "counter", "Answered studies since the start.", answers
        plain = (
            ("segmenting_seconds_sum", "counter", "Time of all segmentations.", self._worker.seconds_sum),
            ("segmenting_seconds_count", "counter", "Segmentations.", self._worker.runs),
            ("refused_objects_total", "counter", "Objects that were refused.", self._receiver.refused_objects),
            ("refused_associations_total", "counter", "Associations of unknown senders, or without room.",
             self._receiver.refused_associations),
            ("open_associations", "gauge", "Connections of senders.", self._receiver.open_associations),
            ("failed_sendings_total", "counter", "Results that the PACS did not take at once.",
             self._sender.failed_attempts),
            ("pacs_up", "gauge", "Whether the PACS was reached the last time.", self._sender.pacs_is_up),
            ("queue_bytes", "gauge", "Bytes of the queue.", self._queue.used()),
            ("free_bytes", "gauge", "Free bytes of the disk.", self._queue.free()),
        )  # fmt: skip
        for name, kind, meaning, value in plain:
            yield name, kind, meaning, [("", float(value))]

    def _oldest_s(self, state: str) -> float:
        folders = self._queue.folders(state)
        try:
            return max(0, time.time() - folders[0].stat().st_mtime) if folders else 0
        except FileNotFoundError:  # it has just changed its state
            return 0


def serve_figures(figures: Figures, port: int) -> None:
    """Serve the figures in a thread of its own.

    Raises:
        InputError: if the port cannot be used.
    """

    class Page(BaseHTTPRequestHandler):
        timeout = LONGEST_REQUEST_S

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._say(200, figures.text())
            elif self.path == "/health":
                problem = figures.problem()
                self._say(503 if problem else 200, f"{problem or 'ok'}\n")
            else:
                self._say(404, "see /health and /metrics\n")

        def _say(self, status: int, text: str) -> None:
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", TEXT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    try:
        server = Server((HOST, port), Page)
    except OSError as error:
        raise InputError("cannot listen", f"{HOST}:{port}", "give another metrics.port", error.strerror) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
