"""A name without a slash is a bundle of ``bundles_dir``. If it could also be a path, one line says so."""

import logging
import shutil

import pytest

from custom_components.bundle import find_bundle
from custom_components.foundation.errors import InputError


@pytest.fixture
def bundles(copy_bundles):
    return copy_bundles("enet", "espnet")


@pytest.fixture
def elsewhere(bundles, tmp_path, monkeypatch):
    """A working directory with an ``enet`` of its own."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(bundles / "enet", folder / "enet")
    monkeypatch.chdir(folder)
    return folder


def test_a_name_means_the_same_wherever_one_stands(bundles, elsewhere, caplog):
    with caplog.at_level(logging.WARNING):
        assert find_bundle("enet", bundles) == bundles / "enet"
    (line,) = caplog.messages
    assert line == f"two bundles 'enet': {bundles}/enet is used; for that of the working directory give ./enet"


@pytest.mark.parametrize("path", ["./enet", "enet/", "../elsewhere/enet"])
def test_a_path_is_a_path(bundles, elsewhere, caplog, path):
    assert find_bundle(path, bundles) == elsewhere / "enet"
    assert find_bundle(str(elsewhere / "enet"), bundles) == elsewhere / "enet"
    assert not caplog.messages


def test_the_working_directory_itself_can_be_given(bundles, monkeypatch):
    monkeypatch.chdir(bundles / "enet")
    assert find_bundle(".", "/nowhere") == bundles / "enet"
    monkeypatch.chdir(bundles / "enet" / "configs")
    assert find_bundle("..", "/nowhere") == bundles / "enet"


def test_among_the_bundles_no_word_is_needed(bundles, monkeypatch, caplog):
    monkeypatch.chdir(bundles)
    assert find_bundle("enet", bundles) == bundles / "enet"
    assert not caplog.messages


def test_a_name_that_only_the_working_directory_has_is_not_taken(bundles, elsewhere):
    (elsewhere / "enet").rename(elsewhere / "mine")
    with pytest.raises(InputError, match=r"\Ano bundle 'mine' in \S+; for that of the working directory give ./mine\Z"):
        find_bundle("mine", bundles)


def test_a_path_is_not_looked_for_among_the_bundles(bundles, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"\Ano bundle './enet': enet has no configs/train.json; give a bundle's name"):
        find_bundle("./enet", bundles)
