"""The Storage SCP: receives images by C-STORE, answers C-ECHO, and puts each image into the queue before it says so."""

import logging
import threading
from dataclasses import dataclass, field

from pydicom.pixels import get_decoder
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

from custom_components.foundation.errors import InputError
from student_runner.node.config import NodeSettings
from student_runner.node.connections import BoundedServer
from student_runner.node.names import Names
from student_runner.node.objects import RefusedObjectError, check_object
from student_runner.node.queue import BYTES_PER_MB, NoRoomError, Queue
from student_runner.node.tls import server_context

log = logging.getLogger("segment-node")

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
# Rejections of an association (DICOM PS3.8, table 9-21): transient, by the provider, local limit exceeded.
NO_ROOM = (0x02, 0x03, 0x02)


@dataclass
class Transfer:
    """The studies that an association has sent, and whether an object was refused that may be of any study."""

    studies: set[str] = field(default_factory=set)
    is_damaged: bool = False


class Receiver:
    """The Storage SCP of a node.

    Args:
        config: the node's settings.
        queue: where the images go.
        names: the names of studies and images.
    """

    def __init__(self, config: NodeSettings, queue: Queue, names: Names) -> None:
        self._config, self._queue, self._names = config, queue, names
        self._most_bytes = int(config.limits.object_mb * BYTES_PER_MB)
        self._transfers: dict[Association, Transfer] = {}
        self._lock = threading.Lock()
        self.refused_objects = self.refused_associations = 0

    def start(self) -> None:
        """Listen; associations are served in threads of their own.

        Raises:
            InputError: if the address cannot be used, or the certificate cannot be read.
        """
        limits, listen = self._config.limits, self._config.listen
        ae = AE(listen.ae_title)
        ae.require_called_aet = True
        ae.require_calling_aet = list(listen.allowed)
        ae.maximum_associations = limits.associations
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = limits.idle_s
        ae.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, readable_syntaxes())
        handlers = [
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_RELEASED, self._on_release),
        ]
        encryption = server_context(listen.tls) if listen.tls else None
        try:
            self._server = ae.make_server(
                (listen.host, listen.port),
                ssl_context=encryption,
                evt_handlers=handlers,
                server_class=BoundedServer,
                limits=limits,
            )
        except OSError as error:
            where = f"{listen.host}:{listen.port}"
            raise InputError(
                "cannot listen", where, "give another listen.host or listen.port", error.strerror
            ) from error
        ae._servers.append(self._server)
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="receiver", daemon=True).start()

    def stop(self) -> None:
        """Listen no longer, and end all associations."""
        self._server.shutdown()
        for association in self._server.active_associations:
            association.abort()

    @property
    def open_associations(self) -> int:
        """The number of associations and connections that are open."""
        return len(self._server.active_associations)

    def open_studies(self) -> set[str]:
        """The names of the studies of which an open association has sent an image."""
        with self._lock:
            for association in [one for one in self._transfers if not one.is_alive()]:
                del self._transfers[association]
            return {study for transfer in self._transfers.values() for study in transfer.studies}

    def _on_request(self, event: evt.Event) -> None:
        asked = event.assoc.requestor.primitive
        if asked.calling_ae_title not in self._config.listen.allowed:
            self.refused_associations += 1
            log.warning("association=refused reason=unknown-ae")
        elif asked.called_ae_title != self._config.listen.ae_title:
            self.refused_associations += 1
            log.warning("association=refused reason=other-ae-title")
        elif self._queue.is_full():
            self.refused_associations += 1
            log.warning("association=refused reason=no-room")
            event.assoc.acse.send_reject(*NO_ROOM)
            event.assoc.is_rejected = True
            event.assoc.kill()

    def _on_store(self, event: evt.Event) -> int:
        event.assoc.dul.socket.recv.begin_message()
        with self._lock:
            transfer = self._transfers.setdefault(event.assoc, Transfer())
        image = self._names.image(str(event.request.AffectedSOPInstanceUID))
        try:
            received = check_object(event.encoded_dataset(include_meta=False), event.file_meta, self._most_bytes)
        except RefusedObjectError as error:
            self._refuse(transfer, image, error)
            return CANNOT_UNDERSTAND
        if received.content is None:
            return SUCCESS
        study = self._names.study(received.study_uid)
        with self._lock:
            transfer.studies.add(study)
        try:
            self._queue.add(study, image, received.content)
        except NoRoomError:
            self._refuse(transfer, image, RefusedObjectError("no room", received.study_uid))
            return OUT_OF_RESOURCES
        return SUCCESS

    def _refuse(self, transfer: Transfer, image: str, error: RefusedObjectError) -> None:
        self.refused_objects += 1
        if error.study_uid is None:
            transfer.is_damaged = True
            study = "unknown"
        else:
            study = self._names.study(error.study_uid)
            with self._lock:
                transfer.studies.add(study)
            try:
                self._queue.mark_failed(study, image)
            except OSError:  # the disk is full
                transfer.is_damaged = True
        log.warning("object=refused study=%s reason=%r", study, error.reason)

    def _on_release(self, event: evt.Event) -> None:
        with self._lock:
            transfer = self._transfers.pop(event.assoc, Transfer())
        if not transfer.is_damaged:
            self._queue.mark_released(transfer.studies)


def readable_syntaxes() -> list[UID]:
    """The transfer syntaxes that ``data_prep`` reads, those without loss of time first."""
    readable = []
    for syntax in AllTransferSyntaxes:
        try:
            is_readable = not syntax.is_encapsulated or get_decoder(syntax).is_available
        except NotImplementedError:
            is_readable = False
        if is_readable:
            readable.append(syntax)
    return readable
