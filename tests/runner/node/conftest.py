"""A queue of a node in a folder, with settings that a test may change."""

import pytest
from student_runner.node.config import Config, Limits, Listen, Pacs, Study
from student_runner.node.queue import Queue


@pytest.fixture
def open_queue(tmp_path):
    """``open_queue(study=Study(...))`` opens the queue in ``tmp_path / "state"``; a second call is a restart."""

    def make(study=None, limits=None):
        study = study or Study(quiet_s=0.1)
        listen, pacs = Listen("PROSTATE", ("SCANNER",)), Pacs("PACS", "127.0.0.1")
        return Queue(Config(tmp_path, tmp_path / "state", listen, pacs, study, limits or Limits(free_gb=0)))

    return make
