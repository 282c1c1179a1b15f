import json
import subprocess
import sys


def test_the_quick_benchmark_measures_every_import(repository, tmp_path):
    command = [sys.executable, "benchmarks/importing.py", "--quick", "--json", str(tmp_path / "rows.json")]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["cases"], row["jobs"]) for row in rows] == [(4, 1), (4, 2)]
    assert all(row["seconds"] > 0 and row["rerun_seconds"] > 0 and row["peak_mib"] > 10 for row in rows)
    assert len(done.stdout.splitlines()) == 2
