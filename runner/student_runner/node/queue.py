"""The queue on disk: a folder for each study, and a folder for each state. A study changes its state by one rename.

::

    receiving/<study>/   images/<image>; "released" if its association ended well; "failed-<image>" if one is damaged
    waiting/<study>/     images/<image>
    segmenting/<study>/  the same; results/ is written below another name and renamed when it is complete
    sending/<study>/     images/ and results/
    answered/<study>/    record.json; images/ if the site keeps them for a while

Everything that a later step needs is in these folders, so a node that is killed at any moment goes on where it was. New
images of a study always come into receiving/, even if the study is in another state at the same time.
"""

import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from custom_components.foundation.files import read_json
from student_runner.node.config import NodeSettings
from student_runner.node.folders import file_sizes, move_files, rename_folder, sync_folder, write_safely

STATES = ("receiving", "waiting", "segmenting", "sending", "answered")
RECEIVING, WAITING, SEGMENTING, SENDING, ANSWERED = STATES
INCOMING = "incoming"
RELEASED, FAILED = "released", "failed-"
IMAGES, RESULTS, RECORD, ATTEMPTS = "images", "results", "record.json", "attempts"
# A sender whose transfer broke off gets this many quiet times to send the rest.
QUIET_TIMES_AFTER_A_BREAK = 10
RECORD_DAYS = 90
USAGE_IS_FRESH_S = 2
# Results take less than half of the room of their images, also with a picture, and with tiny images.
IMAGES_PER_RESULTS = 2
BYTES_PER_MB, BYTES_PER_GB = 10**6, 10**9


class NoRoomError(Exception):
    """The queue has reached its limit, or the disk is full."""


class Queue:
    """The studies of a node on disk.

    Args:
        config: the node's settings.
    """

    def __init__(self, config: NodeSettings) -> None:
        self._root, self._study = config.state, config.study
        self._limit = int(config.limits.queue_gb * BYTES_PER_GB)
        self._least_free = int(config.limits.free_gb * BYTES_PER_GB)
        # The room that an accepted association has at least.
        self._margin = min(int(config.limits.object_mb * BYTES_PER_MB), self._limit // 10)
        self._lock = threading.Lock()
        self._used, self._used_at = 0, -math.inf
        for name in (*STATES, INCOMING):
            (self._root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self._root / INCOMING).iterdir():
            path.unlink()
        for folder in self.folders(SEGMENTING):
            for partial in folder.glob(f"{RESULTS}.*"):
                shutil.rmtree(partial)
            self._move_images(folder, self._root / WAITING / folder.name, is_newer=False)

    # ---- receiving

    def add(self, study: str, image: str, content: bytes) -> None:
        """Keep an image. When this returns, the image survives a power cut.

        Raises:
            NoRoomError: if there is no room; nothing is kept then.
        """
        if not self._is_room_for(len(content)):
            raise NoRoomError
        partial = self._root / INCOMING / f"{image}-{threading.get_ident()}"
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            folder = self._root / RECEIVING / study
            with self._lock:
                (folder / IMAGES).mkdir(mode=0o700, parents=True, exist_ok=True)
                (folder / RELEASED).unlink(missing_ok=True)
                os.replace(partial, folder / IMAGES / image)
                (folder / f"{FAILED}{image}").unlink(missing_ok=True)
                handles = [os.open(path, os.O_RDONLY) for path in (folder / IMAGES, folder, folder.parent)]
            for handle in handles:
                os.fsync(handle)
                os.close(handle)
        except OSError as error:
            raise NoRoomError from error
        finally:
            partial.unlink(missing_ok=True)
        self._used += len(content)

    def mark_failed(self, study: str, image: str) -> None:
        """Remember that an image of the study arrived damaged, until it arrives well."""
        folder = self._root / RECEIVING / study
        with self._lock:
            (folder / IMAGES).mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / RELEASED).unlink(missing_ok=True)
            (folder / f"{FAILED}{image}").touch()

    def mark_released(self, studies: Iterable[str]) -> None:
        """Remember that an association with images of these studies has ended as it should."""
        with self._lock:
            for study in studies:
                folder = self._root / RECEIVING / study
                if folder.exists() and not any(folder.glob(f"{FAILED}*")):
                    (folder / RELEASED).touch()

    def settle(self, open_studies: Callable[[], set[str]]) -> None:
        """Move every study that is complete from receiving to waiting.

        Args:
            open_studies: the studies with images from associations that have not ended.
        """
        for folder in self.folders(RECEIVING):
            with self._lock:
                if folder.name not in open_studies() and self._is_quiet(folder):
                    self._move_images(folder, self._root / WAITING / folder.name, is_newer=True)

    def _is_quiet(self, folder: Path) -> bool:
        images = folder / IMAGES
        changed = max(path.stat().st_mtime for path in (folder, images) if path.exists())
        times = 1 if (folder / RELEASED).exists() else QUIET_TIMES_AFTER_A_BREAK
        return time.time() - changed >= times * self._study.quiet_s

    # ---- segmenting

    def claim(self) -> Path | None:
        """Take the study that waits longest and move it to segmenting; None if no study can be taken now.

        A study whose former images are on their way to an answer, or whose new images still come, is not taken.
        """
        busy = {folder.name for state in (RECEIVING, SENDING) for folder in self.folders(state)}
        with self._lock:
            for folder in self.folders(WAITING):
                if folder.name in busy or (self._root / RECEIVING / folder.name).exists():
                    continue
                kept = self._root / ANSWERED / folder.name / IMAGES
                if kept.exists():
                    move_files(kept, folder / IMAGES, replace=False)
                target = self._root / SEGMENTING / folder.name
                rename_folder(folder, target)
                return target
        return None

    def record_file(self, study: str) -> Path:
        """The file of the record of a study's former answer; the file exists only if there was one."""
        return self._root / ANSWERED / study / RECORD

    def give_back(self, folder: Path) -> None:
        """Move a study whose segmentation was stopped back to waiting."""
        with self._lock:
            self._move_images(folder, self._root / WAITING / folder.name, is_newer=False)

    def to_sending(self, folder: Path) -> None:
        """Move a study with complete results to sending."""
        sync_folder(folder)
        rename_folder(folder, self._root / SENDING / folder.name)

    # ---- answering

    def answer(self, folder: Path, record: dict) -> None:
        """Record that the study's results are stored, and remove its images, or keep them as the site says."""
        if not self._study.keep_images_h:
            # This comes first, since it makes room for the record. The results are enough to go on after a kill.
            shutil.rmtree(folder / IMAGES, ignore_errors=True)
        answered = self._root / ANSWERED / folder.name
        answered.mkdir(mode=0o700, exist_ok=True)
        write_safely(answered / RECORD, record)
        sync_folder(answered.parent)
        with self._lock:
            if self._study.keep_images_h:
                move_files(folder / IMAGES, answered / IMAGES, replace=True)
            shutil.rmtree(folder)

    def former_record(self, study: str) -> dict | None:
        """The record of a study's former answer."""
        file = self.record_file(study)
        return read_json(file) if file.exists() else None

    def prune(self) -> None:
        """Remove kept images whose time is over, the oldest earlier if the room gets short, and very old records."""
        now = time.time()
        for folder in self.folders(ANSWERED):
            age_h = (now - (folder / RECORD).stat().st_mtime) / 3600 if (folder / RECORD).exists() else math.inf
            images = folder / IMAGES
            if images.exists() and (age_h >= self._study.keep_images_h or self.is_full()):
                with self._lock:
                    shutil.rmtree(images, ignore_errors=True)
                self._used_at = -math.inf
            if age_h > 24 * RECORD_DAYS:
                with self._lock:
                    shutil.rmtree(folder)

    # ---- figures

    def folders(self, state: str) -> list[Path]:
        """The folders of a state, the one that came first to this state or got no image for the longest time first."""
        with_times = []
        for folder in (self._root / state).iterdir():
            try:
                with_times.append((folder.stat().st_mtime, folder))
            except FileNotFoundError:  # it has just changed its state
                continue
        return [folder for _, folder in sorted(with_times)]

    def used(self) -> int:
        """Bytes of all files of the queue."""
        if time.monotonic() - self._used_at > USAGE_IS_FRESH_S:
            self._used_at = time.monotonic()
            self._used = sum(file_sizes(self._root))
        return self._used

    def free(self) -> int:
        """Bytes that are free on the disk."""
        return shutil.disk_usage(self._root).free

    def is_full(self) -> bool:
        """Whether an association must be refused, since its images could not be kept."""
        return not self._is_room_for(self._margin)

    def _is_room_for(self, count: int) -> bool:
        """Whether ``count`` more bytes of images leave enough room for the results, which free the images' room."""
        images = self.used() + count
        results = images // IMAGES_PER_RESULTS
        return images + results <= self._limit and self.free() - count - results >= self._least_free

    def _move_images(self, source: Path, target: Path, is_newer: bool) -> None:
        """Let the images of a study join those of another state; of one image that both have, the newer one stays.

        Args:
            source: the folder of the study in its present state.
            target: its folder in the other state.
            is_newer: whether the images in ``source`` came after those in ``target``.
        """
        if not target.exists():
            rename_folder(source, target)
            return
        newer, older = (source, target) if is_newer else (target, source)
        for mark in older.glob(f"{FAILED}*"):
            if (newer / IMAGES / mark.name.removeprefix(FAILED)).exists():  # the image has come well since
                mark.unlink()
        move_files(source / IMAGES, target / IMAGES, replace=is_newer)
        for mark in source.glob(f"{FAILED}*"):
            os.replace(mark, target / mark.name)
        shutil.rmtree(source)
