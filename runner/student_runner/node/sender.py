"""Stores results in the PACS, by C-STORE or STOW-RS, and tries again until the PACS has taken them."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pydicom
import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from custom_components.foundation.errors import WriteError
from custom_components.foundation.files import read_json
from data_prep.dicom.dicomweb import with_bare_types
from data_prep.dicom.headers import quietly
from student_runner.node.config import NodeSettings, PacsSettings
from student_runner.node.job import OUTCOME, UNCHANGED
from student_runner.node.queue import RESULTS, SENDING, Queue
from student_runner.node.tls import client_context

log = logging.getLogger("segment-node")

LONGEST_WAIT_S = 30
FIRST_DELAY_S, LONGEST_DELAY_S = 2, 300
# Statuses of C-STORE (DICOM PS3.4 B.2.3): stored, stored with a warning, and already stored before.
STORED = (0x0000, 0x0001, 0xB000, 0xB006, 0xB007, 0x0111)
BROKEN_OFF = "it broke off the association"


class NotStoredError(Exception):
    """Results that the PACS has not taken; the message holds no value of the study.

    Args:
        reason: why.
        is_reached: whether the PACS answered at all.
    """

    def __init__(self, reason: str, is_reached: bool) -> None:
        super().__init__(reason)
        self.is_reached = is_reached


class Archive(Protocol):
    """A PACS that takes results."""

    def store(self, documents: Sequence[Dataset]) -> None:
        """Store all documents, in their order; those that the PACS has already do no harm.

        Raises:
            NotStoredError: if one of them is not stored.
        """


class DicomArchive:
    """A PACS that takes C-STORE."""

    def __init__(self, pacs: PacsSettings, own_title: str) -> None:
        self._pacs, self._own_title = pacs, own_title
        self._tls = (client_context(pacs.tls), pacs.host) if pacs.tls else None

    def store(self, documents: Sequence[Dataset]) -> None:
        """As :meth:`Archive.store`."""
        ae = AE(self._own_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = LONGEST_WAIT_S
        for document in documents:
            ae.add_requested_context(document.SOPClassUID, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        peer = self._pacs
        association = ae.associate(peer.host, peer.port, ae_title=peer.ae_title, tls_args=self._tls)
        if not association.is_established:
            reason, is_reached = "it is not reached", False
            if association.is_rejected:
                reason, is_reached = "it refuses the association", True
            elif association.rejected_contexts:
                reason, is_reached = "it takes none of the results' classes", True
            raise NotStoredError(reason, is_reached)
        try:
            for document in documents:
                try:
                    status = association.send_c_store(document).get("Status")
                except ValueError as error:
                    raise NotStoredError(f"it does not take {document.SOPClassUID.name}", is_reached=True) from error
                except RuntimeError as error:  # the association has ended after the document before
                    raise NotStoredError(BROKEN_OFF, is_reached=False) from error
                if status is None:
                    raise NotStoredError(BROKEN_OFF, is_reached=False)
                if status not in STORED:
                    raise NotStoredError(f"it refused with status 0x{status:04X}", is_reached=True)
        finally:
            if association.is_established:
                association.release()


class WebArchive:
    """A PACS that takes STOW-RS; user and password come from ``~/.netrc``."""

    def __init__(self, pacs: PacsSettings) -> None:
        session = with_bare_types(requests.Session())
        if pacs.tls:
            session.verify = str(pacs.tls.ca) if pacs.tls.ca else True
            session.cert = (str(pacs.tls.certificate), str(pacs.tls.key)) if pacs.tls.certificate else None
        self._client = DICOMwebClient(pacs.url, session=session)
        self._client.set_http_retry_params(retry=False)

    def store(self, documents: Sequence[Dataset]) -> None:
        """As :meth:`Archive.store`."""
        try:
            with quietly():
                answer = self._client.store_instances(documents, documents[0].StudyInstanceUID)
            stored = {item.ReferencedSOPInstanceUID for item in answer.get("ReferencedSOPSequence", [])}
        except requests.HTTPError as error:
            raise NotStoredError(f"it refused with HTTP {error.response.status_code}", is_reached=True) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise NotStoredError(f"it is not reached: {type(error).__name__}", is_reached=False) from error
        except Exception as error:
            # The library reads the answer, of whatever server it is, and raises errors of any kind.
            reason = f"it gives no answer of DICOMweb: {type(error).__name__}"
            raise NotStoredError(reason, is_reached=True) from error
        if any(document.SOPInstanceUID not in stored for document in documents):
            raise NotStoredError("it refused a document", is_reached=True)


@dataclass
class Delay:
    """When a study is tried again."""

    seconds: float = 0
    until: float = 0

    def lengthen(self) -> None:
        """Wait, twice as long as the last time."""
        self.seconds = min(2 * self.seconds or FIRST_DELAY_S, LONGEST_DELAY_S)
        self.until = time.monotonic() + self.seconds


class Sender:
    """Sends the results of the studies in ``sending``.

    Args:
        config: the node's settings.
        queue: the studies.
    """

    def __init__(self, config: NodeSettings, queue: Queue) -> None:
        pacs = config.pacs
        self._archive: Archive = WebArchive(pacs) if pacs.url else DicomArchive(pacs, config.listen.ae_title)
        self._queue = queue
        self._delays: dict[str, Delay] = {}
        self._stopped = threading.Event()
        self.answers: dict[tuple[str, str], int] = {}
        self.failed_attempts, self.pacs_is_up = 0, True

    def run(self, tick_s: float) -> None:
        """Work until :meth:`stop` is called."""
        while not self._stopped.wait(tick_s):
            for folder in self._queue.folders(SENDING):
                if self._stopped.is_set() or not self._send(folder):
                    break

    def stop(self) -> None:
        """End the work after the study that is being sent."""
        self._stopped.set()

    def _send(self, folder: Path) -> bool:
        """Send a study's results if it is time; False if the PACS was not reached, so that others need not be tried."""
        delay = self._delays.setdefault(folder.name, Delay())
        if time.monotonic() < delay.until:
            return True
        outcome = read_json(folder / RESULTS / OUTCOME)
        # The report refers to the SEG, so it comes after it.
        files = sorted((folder / RESULTS).glob("*.dcm"), key=lambda path: (path.name != "prostate_seg.dcm", path.name))
        if files:
            try:
                self._archive.store([pydicom.dcmread(path) for path in files])
            except NotStoredError as error:
                self.failed_attempts += 1
                self.pacs_is_up = error.is_reached
                delay.lengthen()
                log.warning("study=%s stored=no reason=%r again_in_s=%g", folder.name, str(error), delay.seconds)
                return error.is_reached
            self.pacs_is_up = True
        try:
            self._finish(folder, outcome)
        except (OSError, WriteError):
            delay.lengthen()
            log.warning("study=%s answer=postponed reason=no-room", folder.name)
        return True

    def _finish(self, folder: Path, outcome: dict) -> None:
        answer, reason = outcome["answer"], outcome["reason"]
        self._queue.answer(folder, merged_record(self._queue.former_record(folder.name), outcome))
        del self._delays[folder.name]
        self.answers[answer, reason] = self.answers.get((answer, reason), 0) + 1
        replaced = outcome["documents"].get("prostate_report.dcm", {}).get("replaced")
        log.info(
            "study=%s answer=%s%s%s images=%d seconds=%g",
            folder.name,
            answer,
            f" reason={reason}" if reason else "",
            " supersedes=yes" if replaced else "",
            len(outcome["images"]),
            outcome["seconds"],
        )


def merged_record(former: dict | None, outcome: dict) -> dict:
    """The record of a study after an answer: all images ever answered, and the documents that hold now."""
    if former is None:
        former = {"images": [], "series": [], "fitting": [], "documents": {}}
    lists = {name: sorted({*former[name], *outcome[name]}) for name in ("images", "series", "fitting")}
    documents = (
        former["documents"] if outcome["answer"] == UNCHANGED else {**former["documents"], **outcome["documents"]}
    )
    return {**lists, "documents": documents}
