"""A queue of a node in a folder, with settings that a test may change."""

import pytest
from student_runner.node.config import LimitSettings, ListenSettings, NodeSettings, PacsSettings, StudySettings
from student_runner.node.queue import Queue


@pytest.fixture
def open_queue(tmp_path):
    """``open_queue(study=Study(...))`` opens the queue in ``tmp_path / "state"``; a second call is a restart."""

    def make(study=None, limits=None):
        study = study or StudySettings(quiet_s=0.4)
        listen, pacs = ListenSettings("PROSTATE", ("SCANNER",)), PacsSettings("PACS", "127.0.0.1")
        return Queue(
            NodeSettings(tmp_path, tmp_path / "state", listen, pacs, study, limits or LimitSettings(free_gb=0))
        )

    return make
