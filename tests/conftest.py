import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real prostate MRI that PROSTATE_REAL_DATA names (it holds ``promise12_multisite``)."""
    folder = os.environ.get("PROSTATE_REAL_DATA")
    if not folder:
        pytest.skip("no real data")
    return Path(folder)
