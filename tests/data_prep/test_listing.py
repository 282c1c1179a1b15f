"""Archives that are listed once, in parts and in worker processes, for imports that read their own cases only."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import zlib

import pytest
from dicom_studies import SAGITTAL, gland, save, segmentation, series_datasets, voxels
from raw_cases import files_of, read_cases

from custom_components.foundation.files import read_json
from data_prep import sources
from data_prep.__main__ import main
from data_prep.importing import import_listing
from data_prep.listing import read_listing, write_listing
from data_prep.parallel import in_processes
from data_prep.pseudonyms import Pseudonyms
from data_prep.sources import archive_headers, dicom, stored_cases
from data_prep.sources.archive_headers import ArchiveHeaders, StudyReader
from data_prep.sources.stored_cases import pack

KEEP = ["--keep-ids", "--jobs", "0"]


@pytest.fixture
def archive(tmp_path):
    """Six studies: two in pieces all over the archive, two with masks far away, one of a damaged file, one of a tie."""
    folder = tmp_path / "raw"
    for number in range(6):
        patient = f"P{number}"
        datasets = series_datasets(voxels(number), patient=patient)
        for place, path in enumerate(save(datasets, folder / patient / "4")):
            if number in (1, 4):
                (folder / f"piece{place % 3}").mkdir(exist_ok=True)
                path.rename(folder / f"piece{place % 3}" / f"{patient}_{path.name}")
        save(series_datasets(patient=patient, number=3, orientation=SAGITTAL), folder / patient / "3")
        if number in (0, 4):
            save([segmentation(datasets, {"Prostate": gland()})], folder / "masks" / patient)
    (folder / "P2" / "4" / "damaged.dcm").touch()
    save(series_datasets(patient="P3", number=5), folder / "P3" / "5")
    broken = segmentation(datasets, {"Prostate": gland()})
    del broken.SegmentSequence[0].SegmentNumber
    save([broken], folder / "masks" / "P5")
    (folder / "notes.txt").write_text("no DICOM")
    return folder


def seen(listing):
    """The listing without its functions, which do not compare."""
    cases = [
        (case.site, case.name, case.patient, case.source, case.image, case.label, case.files, case.read_image.args)
        for case in listing.cases
    ]
    return cases, listing.findings, listing.notes, listing.untold


@pytest.mark.parametrize(("files", "studies", "jobs"), [(1, 1, 0), (5, 4, 0), (7, 1, 2)])
def test_an_archive_read_in_parts_is_the_archive_read_at_once(archive, monkeypatch, files, studies, jobs):
    whole = sources.find_cases(archive, "MGH")
    assert [case.patient for case in whole.cases] == ["P0", "P1", "P4", "P5"]
    assert [case.label and case.label.parent.name for case in whole.cases] == ["P0", None, "P4", None]
    assert [len(case.files) for case in whole.cases] == [7, 6, 7, 6]
    assert [finding.problem for finding in whole.findings] == [
        "is no DICOM file",
        "its DICOM header is damaged",
        "its study has 2 axial T2w series (numbers 4, 5)",
        "its series may lack the damaged file beside it",
    ]
    monkeypatch.setattr(archive_headers, "FILES_AT_A_TIME", files)
    monkeypatch.setattr(dicom, "STUDIES_AT_A_TIME", studies)
    assert seen(sources.find_cases(archive, "MGH", jobs=jobs)) == seen(whole)


def test_parts_of_a_listing_merge_into_what_one_import_gives(archive, tmp_path, capsys):
    main(["import", str(archive), "--site", "MGH", "--out", str(tmp_path / "whole" / "set"), *KEEP])
    assert main(["list", str(archive), "--site", "MGH", "--out", str(tmp_path / "listing"), "--jobs", "0"]) == 0
    assert f"{tmp_path}/listing: 4 cases, 4 findings" in capsys.readouterr().out
    parts = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        main(["import", str(tmp_path / "listing"), "--out", str(part), "--shard", f"{number}/3", *KEEP])
    assert main(["merge", *map(str, parts), "--out", str(tmp_path / "set")]) == 0
    assert len(read_cases(tmp_path / "set")) == 4
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")
    for file in files_of(tmp_path / "set"):
        assert (tmp_path / "set" / file).read_bytes() == (tmp_path / "whole" / "set" / file).read_bytes(), file


def test_a_part_reads_nothing_of_the_others(archive, tmp_path):
    main(["list", str(archive), "--site", "MGH", "--out", str(tmp_path / "listing"), "--jobs", "0"])
    folder, listing = read_listing(tmp_path / "listing")
    assert folder == archive
    half = ("1/2", "2/2")
    for number, shard in enumerate(half):
        main(["import", str(tmp_path / "listing"), "--out", str(tmp_path / f"before{number}"), "--shard", shard, *KEEP])
    own = [set(read_cases(tmp_path / f"before{number}")) for number in (0, 1)]
    assert len(own[0] | own[1]) == 4
    assert all(own)
    for case in listing.cases:
        if f"MGH_{case.name}" in own[1]:
            for file in case.files:
                file.unlink()
    for path in archive.glob("P*/3"):
        shutil.rmtree(path)
    main(["import", str(tmp_path / "listing"), "--out", str(tmp_path / "after0"), "--shard", half[0], *KEEP])
    assert (tmp_path / "after0" / "dataset.json").read_text().replace("after0", "before0") == (
        tmp_path / "before0" / "dataset.json"
    ).read_text()


def test_any_layout_can_be_listed(raw_folder, tmp_path):
    listing = sources.find_cases(raw_folder)
    write_listing(tmp_path / "listing", raw_folder, listing)
    import_listing(listing, raw_folder, tmp_path / "a" / "set", Pseudonyms(None))
    main(["import", str(tmp_path / "listing"), "--out", str(tmp_path / "b" / "set"), *KEEP])
    for file in files_of(tmp_path / "a"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_names_of_sites_need_a_word_in_a_listing_too(add_case, tmp_path, capsys):
    add_case("Miller", 0)
    arguments = ["list", str(tmp_path / "raw"), "--out", str(tmp_path / "listing"), "--jobs", "0"]
    hashed = ["import", str(tmp_path / "listing"), "--jobs", "0", "--key-file", str(tmp_path / "key")]
    assert main(arguments) == 0
    assert main([*hashed, "--out", str(tmp_path / "set")]) == 1
    assert "'Miller' may be a site or a patient" in capsys.readouterr().err
    assert main([*arguments, "--site-folders"]) == 0
    assert main([*hashed, "--out", str(tmp_path / "set")]) == 0


@pytest.mark.parametrize("flags", [["--site", "A"], ["--source", "dicom"], ["--tie", "last"], ["--site-folders"]])
def test_what_is_for_the_listing_is_refused_after_it(raw_folder, tmp_path, capsys, flags):
    write_listing(tmp_path / "listing", raw_folder, sources.find_cases(raw_folder))
    assert main(["import", str(tmp_path / "listing"), "--out", str(tmp_path / "set"), *KEEP, *flags]) == 1
    message = f"error: {tmp_path}/listing: is a listing; give --site, --source and the like to the command list"
    assert capsys.readouterr().err.splitlines() == [message]
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("size", [16, 1000, 5000])
def test_a_damaged_listing_is_one_line(raw_folder, tmp_path, capsys, size):
    write_listing(tmp_path / "listing", raw_folder, sources.find_cases(raw_folder))
    content = (tmp_path / "listing").read_bytes()
    assert len(content) > size
    (tmp_path / "listing").write_bytes(content[:size])
    assert main(["import", str(tmp_path / "listing"), "--out", str(tmp_path / "set"), *KEEP]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/listing: was made by another version, or is damaged; list again")


def test_the_listing_of_another_user_is_not_read(raw_folder, tmp_path, capsys, monkeypatch):
    write_listing(tmp_path / "listing", raw_folder, sources.find_cases(raw_folder))
    assert (tmp_path / "listing").stat().st_mode & 0o777 == 0o600
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    assert main(["import", str(tmp_path / "listing"), "--out", str(tmp_path / "set"), *KEEP]) == 1
    assert f"error: {tmp_path}/listing: belongs to another user" in capsys.readouterr().err


def change(listing, command, *values):
    """Change a listing as another version, or a bad disk, would leave it."""
    with contextlib.closing(sqlite3.connect(listing)) as database:
        database.execute(command, values)
        database.commit()


class Call:
    """Its unpickling calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


ROW, REMARK = "UPDATE cases SET packed = ? WHERE number = 16", "UPDATE remark SET packed = ?"


@pytest.mark.parametrize(
    ("command", "values"),
    [
        ("PRAGMA user_version = 77", []),
        (REMARK, [b"no zlib"]),
        (REMARK, [zlib.compress(b"no pickle")]),
        (ROW, [b"no zlib"]),
        (ROW, [zlib.compress(b"cdata_prep.sources.case\nGone\n.")]),
        (ROW, [pack(Call(os.mkdir, "called"))]),
        (ROW, [zlib.compress(b"cdata_prep.listing\nos.mkdir\n(Vcalled\ntR.")]),
        (ROW, [zlib.compress(b"\x80\x04cdata_prep.listing\nos.mkdir\n(Vcalled\ntR.")]),
        (ROW, [pack(Call(in_processes.__globals__["ProcessPool"], 1))]),
        ("DELETE FROM cases WHERE number = 3", []),
        ("DROP TABLE cases", []),
    ],
)
def test_a_listing_of_another_version_is_one_line_and_runs_nothing(
    raw_folder, tmp_path, capsys, monkeypatch, command, values
):
    monkeypatch.chdir(tmp_path)
    write_listing(tmp_path / "listing", raw_folder, sources.find_cases(raw_folder))
    change(tmp_path / "listing", command, *values)
    assert main(["import", "listing", "--out", "set", *KEEP]) == 1
    message = "error: listing: was made by another version, or is damaged; list again with python -m data_prep list"
    assert capsys.readouterr().err.splitlines() == [message]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["listing", "raw"]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_listing_that_others_may_write_is_not_read(raw_folder, tmp_path, capsys, mode):
    write_listing(tmp_path / "listing", raw_folder, sources.find_cases(raw_folder))
    (tmp_path / "listing").chmod(mode)
    assert main(["import", str(tmp_path / "listing"), "--out", str(tmp_path / "set"), *KEEP]) == 1
    message = f"error: {tmp_path}/listing: other users may write it, and a listing can run code; list again"
    assert capsys.readouterr().err.startswith(message)


def test_a_listing_replaces_a_listing_and_no_other_database(raw_folder, tmp_path, capsys):
    own, other = tmp_path / "listing", tmp_path / "mlflow.db"
    change(other, "CREATE TABLE runs (name TEXT)")
    content = other.read_bytes()
    assert main(["list", str(raw_folder), "--out", str(other), "--jobs", "0"]) == 1
    assert f"error: {other}: exists, and is no listing" in capsys.readouterr().err
    assert other.read_bytes() == content
    for _ in range(2):
        assert main(["list", str(raw_folder), "--out", str(own), "--jobs", "0"]) == 0
    assert own.read_bytes()[68:72] == b"PDL1"


def test_a_listing_replaces_nothing_else(raw_folder, tmp_path, capsys):
    (tmp_path / "thesis").write_text("words")
    assert main(["list", str(raw_folder), "--out", str(tmp_path / "thesis"), "--jobs", "0"]) == 1
    assert f"error: {tmp_path}/thesis: exists, and is no listing" in capsys.readouterr().err
    assert (tmp_path / "thesis").read_text() == "words"


@pytest.mark.parametrize(("module", "pages"), [(archive_headers, 5), (stored_cases, 3)])
def test_a_full_temporary_folder_is_one_line(archive, tmp_path, capsys, monkeypatch, module, pages):
    monkeypatch.setattr(module, "TABLES", f"{module.TABLES} PRAGMA max_page_count={pages};")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert main(["list", str(archive), "--site", "MGH", "--out", str(tmp_path / "listing"), "--jobs", "0"]) == 1
    message = (
        f"error: {tmp_path}/temporary: cannot hold the list of the archive (database or disk is full); "
        "make room there, or name another folder in the environment variable TMPDIR"
    )
    assert capsys.readouterr().err.splitlines() == [message]
    assert not (tmp_path / "listing").exists()


KILLED = """
import os, runpy, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
from data_prep.sources import dicom
number = int(sys.argv.pop(1))
dicom.in_processes = lambda *_: os.kill(os.getpid(), number)  # when both databases are there
runpy.run_module("data_prep", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_killed_listing_leaves_no_temporary_files(archive, tmp_path, repository, number):
    (tmp_path / "temporary").mkdir()
    words = ["list", archive, "--site", "MGH", "--out", tmp_path / "listing", "--jobs", "0"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(int(number)), *words],
        cwd=repository,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
    )
    assert killed.stderr == "error: interrupted; the same command again goes on\n"
    assert killed.returncode == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def read_or_die(files):
    if any(path.name == "deadly" for path in files):
        os.kill(os.getpid(), signal.SIGKILL)
    return read(files)


read = archive_headers._read


def test_a_file_that_ends_its_process_is_a_finding_and_ends_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_headers, "FILES_AT_A_TIME", 4)
    monkeypatch.setattr(archive_headers, "_read", read_or_die)
    paths = save(series_datasets(), tmp_path / "4")
    (tmp_path / "4" / "deadly").touch()
    headers = ArchiveHeaders(tmp_path / "headers")
    headers.read([paths[0], tmp_path / "4" / "deadly", *paths[1:]], jobs=1)
    assert [finding.file for finding in headers.findings] == [f"{tmp_path}/4/deadly"]
    assert headers.findings[0].problem.startswith("ended the process that read it")
    (study,) = headers.studies
    with StudyReader(tmp_path / "headers") as reader:
        assert [piece.path for piece in reader.slices(study)] == paths


def test_names_that_are_no_text_are_listed(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    save(series_datasets(), folder)
    (case,) = sources.find_cases(tmp_path, "MGH").cases
    assert case.image.parent == folder


def test_notes_of_a_large_archive_are_counted(tmp_path, capsys):
    for number in range(23):
        save(series_datasets(number=number, orientation=SAGITTAL)[:1], tmp_path / "raw" / str(number))
    save(series_datasets(number=30), tmp_path / "raw" / "30")
    listing = sources.find_cases(tmp_path / "raw", "MGH")
    assert (len(listing.notes), listing.untold) == (20, 3)
    main(["import", str(tmp_path / "raw"), "--site", "MGH", "--out", str(tmp_path / "set"), *KEEP])
    assert "and 3 more like these" in capsys.readouterr().out


def test_a_third_case_of_an_image_names_the_first_after_a_merge_too(tmp_path):
    for patient in range(8):
        save(series_datasets(voxels(1), patient=f"P{patient}"), tmp_path / "raw" / str(patient))
    raw = [str(tmp_path / "raw"), "--site", "S", *KEEP]
    parts = [tmp_path / f"part{number}" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        main(["import", *raw, "--out", str(part), "--shard", f"{number}/3"])
    main(["import", *raw, "--out", str(tmp_path / "whole")])
    main(["merge", *map(str, parts), "--out", str(tmp_path / "set")])
    merged, whole = (read_json(tmp_path / name / "quarantine.json") for name in ("set", "whole"))
    assert merged == whole
    assert len(whole["findings"]) == 7
