"""A DICOM server whose connections, messages and waiting times are bounded; pynetdicom bounds associations only."""

import gc
import logging
import threading
import time
from collections.abc import Callable

from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from student_runner.node.config import LimitSettings
from student_runner.node.queue import BYTES_PER_MB

log = logging.getLogger("segment-node")

# A message is larger than its object, by the command and the headers of its fragments.
MESSAGE_PER_OBJECT, MOST_COMMAND_BYTES = 1.1, 1_000_000
LONGEST_HANDSHAKE_S = 5
SECONDS_PER_COLLECTION = 10


class BoundedServer(ThreadedAssociationServer):
    """A server with a limit of connections, whose accepting thread waits for no peer."""

    daemon_threads = True
    # Connections that nobody waits for must not keep a scanner's out.
    request_queue_size = 128

    def __init__(self, *arguments: object, limits: LimitSettings, **options: object) -> None:
        # One connection more than associations, so that a sender beyond the limit is told so by a rejection.
        self._most_connections = limits.associations + 1
        self.idle_s = limits.idle_s
        self.most_message_bytes = int(MESSAGE_PER_OBJECT * limits.object_mb * BYTES_PER_MB) + MOST_COMMAND_BYTES
        self._starting, self._lock = 0, threading.Lock()
        self._collected = time.monotonic()
        super().__init__(*arguments, request_handler=_Handler, **options)

    def service_actions(self) -> None:
        # pynetdicom does so for every 60th connection, which takes longer than the connections themselves.
        if time.monotonic() - self._collected > SECONDS_PER_COLLECTION:
            self._collected = time.monotonic()
            gc.collect()

    def get_request(self) -> tuple:
        # The handshake of TLS is left to the connection's own thread.
        return self.socket.accept()

    def verify_request(self, request: object, client_address: object) -> bool:
        with self._lock:
            is_room = self._starting + len(self.active_associations) < self._most_connections
            self._starting += is_room
        return is_room

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            request.settimeout(LONGEST_HANDSHAKE_S)
            if self.ssl_context:
                request = self.ssl_context.wrap_socket(request, server_side=True)
            request.settimeout(self.idle_s)
            super().process_request_thread(request, client_address)
        except OSError:
            self.shutdown_request(request)
        finally:
            with self._lock:
                self._starting -= 1

    def handle_error(self, request: object, client_address: object) -> None:
        log.warning("connection=failed")


class _Handler(RequestHandler):
    """Gives each association a limit for the size of a message."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.daemon = association.dul.daemon = (
            True  # a peer that says nothing cannot hold up the end of the node
        )
        connection = association.dul.socket
        connection.recv = _BoundedReading(connection.recv, self.server.most_message_bytes)
        return association


class _BoundedReading:
    """Reads from a connection, and breaks off when a message has too many bytes: pynetdicom keeps all in memory."""

    def __init__(self, read: Callable[[int], bytearray], most_bytes: int) -> None:
        self._read, self._most_bytes, self._received = read, most_bytes, 0

    def __call__(self, count: int) -> bytearray:
        self._received += count
        if self._received > self._most_bytes:
            log.warning("connection=broken-off reason=too-large")
            raise OSError("a message is too large")
        return self._read(count)

    def begin_message(self) -> None:
        """Begin to count again, since a message has been received as a whole."""
        self._received = 0
