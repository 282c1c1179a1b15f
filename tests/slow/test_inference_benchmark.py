import json

from benchmarks import inference


def test_the_quick_benchmark_measures_every_variant(monkeypatch, tmp_path, capsys):
    """This test runs only two of the five variants, because a process takes long to start."""
    kinds = ("ENet, MONAI bundle", "ENet, ONNX Runtime INT8")
    monkeypatch.setattr(inference, "VARIANTS", {kind: inference.VARIANTS[kind] for kind in kinds})
    monkeypatch.setattr(inference, "TEACHER", "espnet")
    inference.main(["--quick", "--out", str(tmp_path)])
    written = json.loads((tmp_path / "inference.json").read_text())
    assert [row["variant"] for row in written["rows"]] == list(inference.VARIANTS)
    for row in written["rows"]:
        assert 0 < row["network_seconds"] < row["seconds"]
        assert row["peak_mb"] > 100
    page = (tmp_path / "inference.md").read_text()
    assert page in capsys.readouterr().out
    assert all(label in page for label in inference.VARIANTS)
