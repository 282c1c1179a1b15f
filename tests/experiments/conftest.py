import pytest
from sample_study import ROWS, write_study

from experiments.report import write_report


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), ROWS)


@pytest.fixture(scope="session")
def page_of_sample(sample):
    return write_report(sample)


@pytest.fixture
def small(tmp_path):
    """A study that a test may change: a teacher, a baseline, and the student of the same network."""
    return write_study(tmp_path, [*ROWS[1:3], {**ROWS[3], "teachers": ["pspnet"]}])
