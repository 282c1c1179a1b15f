"""The import by jobs, here as processes of this machine: they are the jobs of a cluster, but for the queue."""

import argparse

import pytest
from raw_cases import files_of, read_cases

from custom_components.foundation.errors import InputError
from custom_components.jobs.local import LocalPlace
from data_prep import cluster_import
from data_prep.__main__ import main
from data_prep.importing import add_arguments

KEEP = ["--keep-ids"]


def import_by_jobs(raw, out, *flags, parts=2):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([str(raw), "--out", str(out), *flags])
    return cluster_import.import_in_jobs(options, LocalPlace(2), 0, parts)


def test_jobs_make_the_dataset_of_one_import(raw_folder, tmp_path, capsys):
    (raw_folder / "HK" / "Case01.nii.gz").write_bytes(b"broken")
    main(["import", str(raw_folder), "--out", str(tmp_path / "whole" / "set"), *KEEP, "--jobs", "0"])
    capsys.readouterr()
    assert import_by_jobs(raw_folder, tmp_path / "set", *KEEP) == 3
    assert "16 cases of 3 sites (1 findings in quarantine.json)" in capsys.readouterr().out
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole" / "set")
    for file in files_of(tmp_path / "set"):
        assert (tmp_path / "set" / file).read_bytes() == (tmp_path / "whole" / "set" / file).read_bytes(), file
    assert sorted(path.name for path in tmp_path.iterdir() if "set" in path.name) == ["set"]


def test_a_job_that_fails_is_one_line_and_the_same_command_goes_on(raw_folder, tmp_path):
    moved = raw_folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"\Alist: list failed: \S+/raw: no such folder \(log: \S+/logs/list.log\)\Z"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP)
    assert not (tmp_path / "set").exists()
    moved.rename(raw_folder)
    with pytest.raises(InputError, match=r"\.set\.jobs: holds an import with other options; remove it"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP, "--n4")
    with pytest.raises(InputError, match=r"\.set\.jobs: holds an import with other options; remove it"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP, parts=1)
    assert import_by_jobs(raw_folder, tmp_path / "set", *KEEP) == 0
    assert len(read_cases(tmp_path / "set")) == 17
    with pytest.raises(InputError, match=r"/set: already exists; remove it or name another folder"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP)


def test_a_cluster_that_takes_no_job_leaves_nothing(raw_folder, tmp_path, monkeypatch):
    def refuse(place, jobs, after=()):
        raise InputError("Slurm refuses list: Invalid partition name specified", advice="see --cluster")

    monkeypatch.setattr(LocalPlace, "submit", refuse)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"\ASlurm refuses list"):
        import_by_jobs(raw_folder, tmp_path / "set", *KEEP)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cluster", "c.yaml"], "--cluster is for --on slurm; add it, or leave --cluster out"),
        (["--on", "slurm", "--shard", "1/2"], "--on slurm: lists the folder and makes the parts itself"),
        (["--on", "slurm", "--jobs", "0"], "--on slurm --jobs 0: give at least 1"),
        (["--on", "slurm", "--cluster", "gone.yaml"], "gone.yaml: no such file"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(raw_folder, tmp_path, capsys, flags, message):
    assert main(["import", str(raw_folder), "--out", str(tmp_path / "set"), *KEEP, *flags]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
    assert not (tmp_path / "set").exists()
