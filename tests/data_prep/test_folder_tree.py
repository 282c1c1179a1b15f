"""The walk that every source uses: links, cycles, rights, and files that systems leave among studies."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sources_on_disk as layouts
from dicom_studies import save, series_datasets

from custom_components.foundation.errors import InputError
from data_prep.__main__ import main
from data_prep.dicom import scan_folder
from data_prep.folder_tree import read_tree
from data_prep.no_study import is_no_study, is_unfinished
from data_prep.sources import find_cases

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; only one user may enter pytest's own folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder).resolve()


@pytest.fixture
def without_rights() -> Iterator[None]:
    """Run the test as a user who is not root, because root may read every file."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(user)


def names(tree):
    return [path.relative_to(tree.root).as_posix() for path in tree.files]


def write(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(file)
    return folder


def test_files_come_before_those_of_sub_folders_by_name(tmp_path):
    tree = read_tree(write(tmp_path, "b", "a/2", "a/1/x", "c/y", "a.txt"))
    assert names(tree) == ["a.txt", "b", "a/2", "a/1/x", "c/y"]
    assert tree.folders == [tmp_path / "a", tmp_path / "a/1", tmp_path / "c"]
    assert tree.children(tmp_path / "a") == [tmp_path / "a/1", tmp_path / "a/2"]
    assert tree.files_below([tmp_path / "a", tmp_path / "c"]) == {
        tmp_path / "a": (tmp_path / "a/1/x", tmp_path / "a/2"),
        tmp_path / "c": (tmp_path / "c/y",),
    }
    assert (tree.findings, tree.notes) == ([], [])


def test_a_cohort_of_links_holds_what_they_lead_to(tmp_path):
    write(tmp_path / "archive", "P1/1", "P2/1", "P3/1")
    cohort = write(tmp_path / "cohort", "list.txt")
    for patient in ("P1", "P3"):
        (cohort / patient).symlink_to(tmp_path / "archive" / patient)
    (cohort / "P2").symlink_to("../archive/P2")  # a relative link
    (cohort / "one_file").symlink_to(tmp_path / "archive/P1/1")
    assert names(read_tree(cohort)) == ["list.txt", "one_file", "P1/1", "P2/1", "P3/1"]


def test_links_that_lead_back_end(tmp_path):
    root = write(tmp_path / "root", "P1/1", "P2/1")
    write(tmp_path, "outside")
    (root / "P1" / "up").symlink_to("..")
    (root / "P1" / "itself").symlink_to(".")
    (root / "P1" / "next").symlink_to(root / "P2")
    (root / "P2" / "before").symlink_to(root / "P1")
    (root / "out").symlink_to(tmp_path)  # this folder holds the root
    tree = read_tree(root)
    assert names(tree) == ["P1/1", "P2/1"]
    assert tree.notes == ["left aside, links to folders that are read already: 5, such as out"]
    assert tree.findings == []


def test_a_folder_is_read_by_its_own_name_rather_than_a_links(tmp_path):
    write(tmp_path, "studies/P1/1")
    (tmp_path / "best").symlink_to(tmp_path / "studies")
    assert names(read_tree(tmp_path)) == ["studies/P1/1"]


def test_folders_that_a_network_gives_one_number_are_all_read(tmp_path, monkeypatch):
    write(tmp_path, "P1/1", "P2/1")
    monkeypatch.setattr("data_prep.folder_tree._identity", lambda folder: (1, 1))
    assert names(read_tree(tmp_path)) == ["P1/1", "P2/1"]


@pytest.mark.parametrize("target", ["nowhere", "link", "a_file/below"])
def test_a_link_to_nowhere_is_named(tmp_path, target):
    write(tmp_path, "a_file")
    (tmp_path / "link").symlink_to(target)
    (finding,) = read_tree(tmp_path).findings
    assert finding.file == str(tmp_path / "link")
    assert finding.problem in ("is a link that leads nowhere", "cannot be read")


@pytest.mark.parametrize("inside", ["P2", "P1/series"])
def test_a_folder_that_may_not_be_read_is_named(open_folder, request, inside):
    write(open_folder, "P1/1", f"{inside}/2")
    (open_folder / inside).chmod(0)
    request.getfixturevalue("without_rights")
    tree = read_tree(open_folder)
    assert names(tree) == ["P1/1"]
    assert [str(finding) for finding in tree.findings] == [
        f"{open_folder / inside}: cannot be read (Permission denied); get the right to read it, or take it out"
    ]


def test_a_root_that_may_not_be_read_is_refused(open_folder, request):
    (open_folder / "raw").mkdir(mode=0)
    request.getfixturevalue("without_rights")
    with pytest.raises(InputError, match=r"\A\S+/raw: cannot be read \(Permission denied\)"):
        read_tree(open_folder / "raw")


@pytest.mark.parametrize("make", [lambda path: None, Path.touch])
def test_what_is_no_folder_is_refused(tmp_path, make):
    make(tmp_path / "raw")
    with pytest.raises(InputError, match=r"\A\S+/raw: no such folder"):
        read_tree(tmp_path / "raw")


@pytest.mark.parametrize(
    "name",
    [
        *("DICOMDIR", "dicomdir", "DICOMDIR;1", "DicomDir.;1"),
        *("._Case00.nii.gz", ".DS_Store", ".Trashes", "__MACOSX", "Icon\r"),
        *("Thumbs.db", "THUMBS.DB", "desktop.ini", "$RECYCLE.BIN", "System Volume Information"),
        *("lost+found", "@eaDir", "#recycle"),
    ],
)
def test_what_systems_leave_is_no_study(tmp_path, name):
    assert is_no_study(name)
    for folder in ("as_file", "as_folder/P1"):
        write(tmp_path, f"{folder}/Case00.nii.gz")
    write(tmp_path, f"as_file/{name}", f"as_folder/P1/{name}/x")
    tree = read_tree(tmp_path)
    assert names(tree) == ["as_file/Case00.nii.gz", "as_folder/P1/Case00.nii.gz"]
    assert (tree.findings, tree.notes) == ([], [])


@pytest.mark.parametrize("name", ["Case00.nii.gz", "IM000001;1", "1.2.840.dcm", "dicomdir_of_P1", "partial", "lost"])
def test_other_names_may_be_studies(name):
    assert not is_no_study(name)
    assert not is_unfinished(name)


def test_unfinished_downloads_are_left_aside_and_told(tmp_path):
    tree = read_tree(write(tmp_path, "a.dcm", "b.dcm.part", "Case00.nii.gz.crdownload"))
    assert names(tree) == ["a.dcm"]
    assert tree.notes == ["left aside, unfinished downloads: 2, such as Case00.nii.gz.crdownload"]


def test_an_unfinished_slice_holds_its_study_back(tmp_path):
    paths = save(series_datasets(), tmp_path / "study")
    (tmp_path / "study" / "report.pdf.part").write_bytes(b"%PDF")
    assert len(find_cases(tmp_path, "S").cases) == 1
    paths[-1].rename(f"{paths[-1]}.part")  # a missing last slice leaves no gap
    listing = find_cases(tmp_path, "S")
    assert (len(listing.cases), [finding.problem for finding in listing.findings]) == (
        0,
        ["is an unfinished download of a DICOM file", "its series may lack the damaged file beside it"],
    )


def test_a_folder_is_listed_once(tmp_path, monkeypatch):
    layouts.i2cvb(tmp_path)
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path)) or scandir(path))
    find_cases(tmp_path)
    # The root is listed a second time, to find out whether it can be read.
    assert sorted(listed) == sorted([tmp_path, tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())])


def test_the_index_of_a_medium_is_passed_over_whatever_its_name(tmp_path):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

    save(series_datasets(), tmp_path / "study")
    index = Dataset()
    index.file_meta = FileMetaDataset()
    index.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    index.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    index.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    index.FileSetID = "CD"
    index.save_as(tmp_path / "study" / "dicomdir_copy", enforce_file_format=True)
    scan = scan_folder(tmp_path)
    assert (len(scan.studies), scan.findings, scan.others) == (1, [], [])


def dicom(folder: Path) -> Path:
    save(series_datasets(), folder / "P1")
    return folder


LAYOUTS = [
    *(
        (layout, "S")
        for layout in (layouts.promise12, layouts.nci_isbi, layouts.i2cvb, layouts.decathlon, layouts.bids)
    ),
    *((layouts.multi_site, None), (dicom, "S")),
]
IDS = [layout.__name__ for layout, _ in LAYOUTS]


@pytest.mark.parametrize(("layout", "site"), LAYOUTS, ids=IDS)
def test_every_source_follows_links_and_leaves_aside_what_systems_left(tmp_path, layout, site):
    plain = find_cases(layout(tmp_path / "raw"), site)
    (tmp_path / "linked").mkdir()
    for path in (tmp_path / "raw").iterdir():
        (tmp_path / "linked" / path.name).symlink_to(path)
    for folder in [path for path in (tmp_path / "raw").rglob("*") if path.is_dir()]:
        for name in ("._Case00.nii.gz", "._Case00_mask.nii.gz", ".DS_Store", "Thumbs.db", "dicomdir"):
            (folder / name).write_bytes(b"\0\5\26\7")
        for path in [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]:
            (folder / f"._{path.name}").write_bytes(b"\0\5\26\7")
    linked = find_cases(tmp_path / "linked", site)
    assert linked.findings == plain.findings
    assert linked.notes == plain.notes
    assert [(case.name, case.source, len(case.files)) for case in linked.cases] == [
        (case.name, case.source, len(case.files)) for case in plain.cases
    ]


@pytest.mark.parametrize(("layout", "site"), LAYOUTS, ids=IDS)
def test_every_source_names_a_folder_that_may_not_be_read(open_folder, request, layout, site):
    raw = layout(open_folder / "raw")
    (raw / "secret").mkdir(mode=0)
    request.getfixturevalue("without_rights")
    listing = find_cases(raw, site)
    assert [finding.file for finding in listing.findings] == [str(raw / "secret")]


def test_a_cohort_of_links_is_imported_whole(tmp_path, capsys):
    for patient in ("P1", "P2", "P3"):
        save(series_datasets(patient=patient, study=patient, series=patient), tmp_path / "pacs" / patient)
    (tmp_path / "cohort").mkdir()
    for patient in ("P1", "P2"):
        (tmp_path / "cohort" / patient).symlink_to(tmp_path / "pacs" / patient)
    (tmp_path / "cohort" / "P3").symlink_to(tmp_path / "gone")
    listing = find_cases(tmp_path / "cohort", "S")
    assert [case.patient for case in listing.cases] == ["P1", "P2"]
    assert main(["series", str(tmp_path / "cohort")]) == 3
    assert f"{tmp_path}/cohort/P3: is a link that leads nowhere" in capsys.readouterr().err


def test_a_mask_that_cannot_be_reached_holds_its_case_back(add_case, tmp_path, capsys):
    add_case("HK", 0)
    mask = add_case("HK", 1).with_name("Case01_segmentation.nii.gz")
    mask.rename(tmp_path / "elsewhere")
    mask.symlink_to(tmp_path / "not_mounted")
    command = ["import", str(tmp_path / "raw"), "--out", str(tmp_path / "set"), "--keep-ids", "--jobs", "0"]
    assert main(command) == 3
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        f"quarantined: {mask}: is a link that leads nowhere; restore what it leads to, or take it out",
        f"quarantined: {mask.with_name('Case01.nii.gz')}: has no mask, and something beside it cannot be read; "
        "mend that first, it may be the mask",
    ]
    assert "1 cases of 1 sites" in shown.out
    mask.unlink()
    (tmp_path / "elsewhere").rename(mask)
    assert main(command) == 0


def test_a_file_that_may_not_be_read_is_told_as_that(open_folder, request, capsys):
    raw = layouts.promise12(open_folder / "raw")
    (raw / "TrainingData_Part1" / "Case01.raw").chmod(0)
    request.getfixturevalue("without_rights")
    assert main(["validate", str(raw), "--site", "S", "--jobs", "0"]) == 3
    (line, _) = capsys.readouterr().out.splitlines()
    assert line == (
        f"{raw}/TrainingData_Part1/Case01.raw: cannot be read (Permission denied); "
        "get the right to read it, or take it out"
    )
