"""SEG, report and picture of a series: all of them, or none."""

import errno

import numpy as np
import pytest
from dicom_studies import gland, save, series_datasets

from custom_components.foundation.errors import InputError
from data_prep.dicom import find_series, read_series
from data_prep.dicom.result_files import read_psa, write_results
from data_prep.dicom.results import Algorithm

ENET = Algorithm("Prostate MRI student: ENet", "0.1.0")
NAMES = ["prostate.png", "prostate_report.dcm", "prostate_seg.dcm"]


@pytest.fixture
def write(tmp_path):
    save(series_datasets(), tmp_path / "t2")
    (series,) = find_series(tmp_path / "t2")

    def write(mask, psa=None):
        return write_results(mask, series, read_series(series), ENET, psa, tmp_path / "out")

    return write


def test_the_line_tells_the_volume_and_the_density(write, tmp_path):
    volume_ml = gland().sum() * 0.6 * 0.5 * 3 / 1000
    assert write(gland()) == f"prostate {volume_ml:.1f} ml; SEG, report and picture in {tmp_path}/out"
    assert f"PSA density {6.5 / volume_ml:.3f} ng/ml/cm3" in write(gland(), 6.5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == NAMES


def test_nothing_is_written_of_an_empty_mask(write, tmp_path):
    with pytest.raises(InputError, match=r"\A\S*: Prostate MRI student: ENet found no prostate in its series; nothing"):
        write(np.zeros_like(gland()))
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_the_former_results(write, tmp_path, monkeypatch):
    write(gland())
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def no_space(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", no_space)
    with pytest.raises(OSError, match=r"\A\[Errno 28\] No space left"):
        write(1 - gland())
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_psa_is_a_positive_number():
    assert read_psa("6.5", "PSA=") == 6.5
    for text in ("x", "0", "-2", "nan", "inf", ""):
        with pytest.raises(InputError) as caught:
            read_psa(text, "PSA=")
        assert str(caught.value) == f"PSA={text}: not a positive number; give the serum PSA in ng/ml, such as PSA=6.5"
