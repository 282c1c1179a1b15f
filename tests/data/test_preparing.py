"""``run preparing``: in shares, in worker processes, and by jobs, here as processes of this machine."""

import sys

import pytest

from custom_components.data import share_of
from custom_components.data.preparing import prepare_by_jobs, prepare_elsewhere
from custom_components.forked_python import run_forked
from custom_components.foundation.errors import InputError
from custom_components.jobs.local import LocalPlace


@pytest.fixture
def command(repository, dataset_dir, tmp_path):
    """The words of ``run preparing`` of a bundle after ``python -m monai.bundle``."""
    config = repository / "bundles" / "enet" / "configs" / "preprocessing.json"
    options = ["--dataset_dir", str(dataset_dir), "--cache_dir", str(tmp_path / "cache"), "--image_size", "32"]
    return ["run", "preparing", "--config_file", str(config), *options]


def volumes(folder):
    return {file.name: file.read_bytes() for file in folder.glob("*.nii")}


def test_shares_are_all_cases():
    cases = [{"case": str(number)} for number in range(7)]
    shares = [share_of(cases, f"{number}/3") for number in (1, 2, 3)]
    assert [len(share) for share in shares] == [3, 2, 2]
    assert sorted(case["case"] for share in shares for case in share) == [case["case"] for case in cases]
    assert share_of(cases, None) == cases


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/2/3"])
def test_a_share_that_is_none_is_refused(shard):
    with pytest.raises(InputError, match=rf"\A--shard {shard}: is not I/N"):
        share_of([], shard)


def test_jobs_prepare_what_one_process_prepares(command, repository, tmp_path):
    alone = run_forked([sys.executable, "-m", "monai.bundle", *command], cwd=repository)
    assert f"9 volumes prepared in {tmp_path}/cache" in alone.stdout, alone.stdout
    (tmp_path / "cache").rename(tmp_path / "alone")
    prepare_by_jobs(command, LocalPlace(2), 2, 1, tmp_path / "cache")
    assert volumes(tmp_path / "cache") == volumes(tmp_path / "alone")
    assert not list((tmp_path / "cache" / "jobs").glob("*"))


def test_a_job_that_fails_is_one_line_with_its_log(command, tmp_path):
    words = [*command, "--datalist", str(tmp_path / "gone.json")]
    with pytest.raises(
        InputError, match=r"\Aprepare-\d: preparing failed: \S+/gone.json: no such split; .*\(log: \S+\)"
    ):
        prepare_by_jobs(words, LocalPlace(1), 1, 1, tmp_path / "cache")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("here", None, None), "--on here: unknown; give local or slurm"),
        (("local", "c.yaml", None), "--cluster is for --on slurm; add it, or leave --cluster out"),
        (("slurm", None, 0), "--jobs 0: give at least 1"),
        (("slurm", "gone.yaml", 2), "gone.yaml: no such file"),
    ],
)
def test_options_that_do_not_fit_are_one_line(arguments, message, tmp_path):
    with pytest.raises(InputError, match=rf"\A{message}"):
        prepare_elsewhere(*arguments, tmp_path)


def test_here_nothing_is_prepared_elsewhere(tmp_path):
    prepare_elsewhere("local", None, 4, tmp_path)
    assert not list(tmp_path.iterdir())
