"""A further import into a dataset: after changes, after an interruption, and from another folder."""

import errno

import nibabel
import numpy as np
import pytest
from raw_cases import KEEP, files_of, read_cases, save, small_image, small_mask, validate

from custom_components.foundation.errors import InputError
from data_prep.__main__ import main
from data_prep.checks import check_case
from data_prep.importing import import_dataset


def test_a_rerun_reads_only_what_is_new_or_changed(raw_folder, tmp_path, monkeypatch):
    import_dataset(raw_folder, tmp_path / "set")
    before = (tmp_path / "set" / "dataset.json").read_bytes()
    read = []
    monkeypatch.setattr("data_prep.case_import.check_case", lambda case: read.append(case.name) or check_case(case))

    import_dataset(raw_folder, tmp_path / "set")
    assert read == []
    assert (tmp_path / "set" / "dataset.json").read_bytes() == before

    save(raw_folder / "HK" / "Case00.nii.gz", small_image(77))
    save(raw_folder / "HK" / "Case08.nii.gz", small_image(78))
    import_dataset(raw_folder, tmp_path / "set")
    assert sorted(read) == ["Case00", "Case08"]
    assert len(read_cases(tmp_path / "set")) == 18
    assert validate(tmp_path / "set") == []


def test_of_a_case_that_went_bad_the_former_version_stays_until_it_is_mended(add_case, tmp_path):
    image = add_case("HK", 0)
    import_dataset(tmp_path / "raw", tmp_path / "set")
    before = {file: (tmp_path / "set" / file).read_bytes() for file in files_of(tmp_path / "set")}
    image.write_bytes(b"broken")
    assert len(import_dataset(tmp_path / "raw", tmp_path / "set")) == 1
    assert files_of(tmp_path / "set") == sorted([*before, "quarantine.json"])
    assert {file: (tmp_path / "set" / file).read_bytes() for file in before} == before

    save(image, small_image(77))
    assert import_dataset(tmp_path / "raw", tmp_path / "set") == []
    written = nibabel.load(tmp_path / "set" / "images" / "HK_Case00.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), small_image(77))
    assert not (tmp_path / "set" / "quarantine.json").exists()


def test_a_former_version_does_not_stay_beside_the_same_image_of_another_name(add_case, tmp_path):
    add_case("HK", 1)
    import_dataset(tmp_path / "raw", tmp_path / "set")
    (tmp_path / "raw" / "HK" / "Case01.nii.gz").rename(tmp_path / "raw" / "HK" / "Case00.nii.gz")
    add_case("HK", 1).write_bytes(b"broken")
    save(tmp_path / "raw" / "HK" / "Case00_segmentation.nii.gz", small_mask())
    assert len(import_dataset(tmp_path / "raw", tmp_path / "set")) == 1
    assert list(read_cases(tmp_path / "set")) == ["HK_Case00"]
    assert validate(tmp_path / "set") == []


@pytest.fixture
def stopped_import(raw_folder, tmp_path, monkeypatch):
    """Import into ``whole``, and into ``set`` until its fifth case of 17; return the cases read for ``set``."""
    import_dataset(raw_folder, tmp_path / "whole")
    read = []

    def stops(case):
        read.append(case.name)
        if len(read) == 5:
            raise KeyboardInterrupt
        return check_case(case)

    monkeypatch.setattr("data_prep.case_import.check_case", stops)
    with pytest.raises(KeyboardInterrupt):
        import_dataset(raw_folder, tmp_path / "set")
    return read


def test_an_import_that_was_stopped_goes_on(stopped_import, raw_folder, tmp_path):
    assert not (tmp_path / "set" / "dataset.json").exists()
    # A process that was killed leaves half a line and half a file.
    with (tmp_path / "set" / ".import" / "journal").open("a") as journal:
        journal.write('["UCL_Case')
    (tmp_path / "set" / ".import" / "UCL_Case00.image.nii.gz").write_bytes(b"half")
    import_dataset(raw_folder, tmp_path / "set")
    assert len(stopped_import) == 5 + 13
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole")
    assert read_cases(tmp_path / "set") == read_cases(tmp_path / "whole")


@pytest.mark.parametrize("place", [0, 2])
def test_a_journal_that_a_power_cut_spoilt_is_read_as_far_as_it_goes(stopped_import, raw_folder, tmp_path, place):
    journal = tmp_path / "set" / ".import" / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[place] = b"\0" * (len(lines[place]) - 1) + b"\n"
    journal.write_bytes(b"".join(lines))
    import_dataset(raw_folder, tmp_path / "set")
    assert len(stopped_import) == 5 + 17 - max(0, place - 1)
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole")
    assert read_cases(tmp_path / "set") == read_cases(tmp_path / "whole")


def test_a_damaged_quarantine_is_one_line_before_any_work(add_case, tmp_path):
    add_case("HK", 0)
    import_dataset(tmp_path / "raw", tmp_path / "set")
    for content in ("{}", '{"findings": [{"case": 3}]}', '{"findings": {}}'):
        (tmp_path / "set" / "quarantine.json").write_text(content)
        with pytest.raises(
            InputError, match=r"\A\S+/quarantine.json: is no list of findings; remove it, the next import"
        ):
            import_dataset(tmp_path / "raw", tmp_path / "set")


def test_imports_of_several_sites_add_up(add_case, tmp_path):
    for site in ("HK", "UCL"):
        add_case(site, 0)
        import_dataset(tmp_path / "raw" / site, tmp_path / "set", site=site)
    assert list(read_cases(tmp_path / "set")) == ["HK_Case00", "UCL_Case00"]


def test_a_name_that_another_folder_gave_is_not_overwritten(tmp_path, capsys):
    for case, seed in (("batch1/Case00", 1), ("batch2/Case00", 2), ("batch2/Case01", 3)):
        save(tmp_path / f"{case}.nii.gz", small_image(seed))
        save(tmp_path / f"{case}_segmentation.nii.gz", small_mask())
    arguments = ["--site", "HK", "--out", str(tmp_path / "set"), *KEEP]
    assert main(["import", str(tmp_path / "batch1"), *arguments]) == 0
    for _ in range(2):
        capsys.readouterr()
        assert main(["import", str(tmp_path / "batch2"), *arguments]) == 3
        assert capsys.readouterr().err.splitlines() == [
            f"quarantined: {tmp_path}/batch2/Case00.nii.gz: has the name of a case that was imported from another "
            "folder; give another --site, or rename it"
        ]
        assert sorted(read_cases(tmp_path / "set")) == ["HK_Case00", "HK_Case01"]
        written = nibabel.load(tmp_path / "set" / "images" / "HK_Case00.nii.gz")
        np.testing.assert_array_equal(np.asanyarray(written.dataobj), small_image(1))


def test_a_moved_folder_brings_nothing_twice(raw_folder, tmp_path):
    import_dataset(raw_folder, tmp_path / "set")
    before = (tmp_path / "set" / "dataset.json").read_bytes()
    moved = raw_folder.rename(tmp_path / "moved")
    assert import_dataset(moved, tmp_path / "set") == []
    assert (tmp_path / "set" / "dataset.json").read_bytes() == before


def test_a_full_disk_is_one_line_and_keeps_what_was_there(raw_folder, tmp_path, monkeypatch, capsys):
    import_dataset(raw_folder, tmp_path / "set")
    before = {file: (tmp_path / "set" / file).read_bytes() for file in files_of(tmp_path / "set")}
    save(raw_folder / "HK" / "Case09.nii.gz", small_image(9))

    def no_space(path, volume):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("data_prep.case_import.write_volume", no_space)
    assert main(["import", str(raw_folder), "--out", str(tmp_path / "set"), *KEEP]) == 1
    assert capsys.readouterr().err.endswith("HK_Case09.image.nii.gz: No space left on device\n")
    monkeypatch.undo()
    import_dataset(raw_folder, tmp_path / "set")
    assert len(read_cases(tmp_path / "set")) == 18
    del before["dataset.json"]
    assert {file: (tmp_path / "set" / file).read_bytes() for file in before} == before


def test_other_ids_do_not_mix(add_case, tmp_path, capsys):
    add_case("HK", 0)
    import_dataset(tmp_path / "raw", tmp_path / "set")
    arguments = ["import", str(tmp_path / "raw"), "--out", str(tmp_path / "set"), "--key-file", str(tmp_path / "key")]
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/set: was made with ids 'kept', not 'hmac-sha256 ")
