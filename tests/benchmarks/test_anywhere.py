"""The benchmark of whole programs: the figures that it measures of a process, and its page."""

import sys

import numpy as np
import pytest

from benchmarks.anywhere import Way, installed_mb, render, run
from custom_components.foundation.errors import InputError
from experiments.complexity import describe_machine


def way(code, tmp_path, **environment):
    return Way("a way", [sys.executable, "-S", "-c", code], environment, tmp_path)


def test_seconds_and_memory_are_those_of_the_process(tmp_path):
    taken_here = np.ones(10_000_000)  # 80 MB, which the process does not have
    code = "import os, time; time.sleep(0.3); assert len(os.sched_getaffinity(0)) == 1; assert os.environ['A'] == 'b'"
    idle = run(way(code, tmp_path, A="b"), tmp_path)
    assert 0.3 < idle["seconds"] < 5
    assert 0 < idle["computing"] < 0.3
    assert 5 < idle["peak_mb"] < 40 < taken_here.nbytes / 1e6
    assert run(way("b'x' * 50_000_000", tmp_path), tmp_path)["peak_mb"] > 50


def test_a_process_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(InputError, match=r"\Aa way: its process failed: [\s\S]*no such mask\Z"):
        run(way("raise SystemExit('no such mask')", tmp_path), tmp_path)


def test_the_size_of_an_environment(tmp_path):
    (tmp_path / "package").mkdir()
    for size, name in ((1_500_000, "a.py"), (500_000, "package/b.so")):
        (tmp_path / name).write_bytes(bytes(size))
    assert installed_mb(tmp_path) == 2


def test_the_page():
    row = {"way": "volume: ENet, runner", "seconds": 2.24, "computing": 2.0, "peak_mb": 170.4, "installed_mb": 1234.5}
    page = render([row], describe_machine(), 384, 24, 3)
    assert "| volume: ENet, runner |   2.2 s |           2.0 s |      170 MB |    1,234 MB |" in page
