"""The benchmarks run with tiny sizes, and each compares equal results. These tests measure no time."""

import json

import pytest

from benchmarks.__main__ import BENCHMARKS, main


# Each benchmark itself asserts that the compared results are equal.
@pytest.mark.parametrize("name", BENCHMARKS)
def test_runs(name, tmp_path):
    main(["--quick", "--out", str(tmp_path), "--only", name])
    written = json.loads((tmp_path / "benchmarks.json").read_text())
    assert {"processor", "cores", "threads", "torch", "gpu"} <= set(written["machine"])
    assert written["figures"]
    for figure in written["figures"]:
        assert figure["benchmark"] == name
        assert min(figure["values"]) > 0
        assert min(figure["values"]) <= figure["median"] <= max(figure["values"])
        assert figure["what"] in (tmp_path / "benchmarks.md").read_text()
