"""The table of costs: the counts, the figures of Table 1, and an explanation of every difference."""

import json

import pytest

from custom_components.foundation.files import read_json
from experiments import complexity
from experiments.__main__ import main
from experiments.complexity.measuring import Complexity, build_network, count_macs
from experiments.complexity.table_1 import FOOTNOTES, TABLE_1, agrees

# GMac of one 1x384x384 slice, counted by ptflops 0.7.5 on independent builds of the networks.
GMACS = {
    "deeplabv3plus": 137.01,
    "deeplabv3plus_resnet50": 102.7,
    "fcn_resnet101": 121.74,
    "pspnet": 103.95,
    "resnext101": 48.36,
    "enet": 1.136,
    "espnet": 0.641,
    "mobilenetv2": 9.920,
}
MACHINE = {"processor": "a CPU", "cores": 2, "threads": 2, "load_before": 0.1, "torch": "2.13.0", "ptflops": "0.7.5"}


@pytest.fixture(scope="module")
def checked_in():
    """The rows of the measured table, by network."""
    return {row["network"]: row for row in read_json(complexity.MEASURED)["rows"]}


@pytest.mark.parametrize("name", ["enet", "espnet", "mobilenetv2"])
def test_what_is_counted_is_what_the_table_says(checked_in, name, capfd):
    network = build_network(name)
    assert count_macs(network) == checked_in[name]["macs"]
    assert sum(parameter.numel() for parameter in network.parameters()) == checked_in[name]["params"]
    assert capfd.readouterr().out == ""


def test_the_table_is_complete_and_within_one_percent_of_other_builds(checked_in):
    """Rows of exported networks may follow the rows of the networks."""
    assert list(checked_in)[: len(GMACS)] == list(complexity.NETWORKS) == list(GMACS)
    for name, gmacs in GMACS.items():
        row = checked_in[name]
        assert row["macs"] == pytest.approx(gmacs * 1e9, rel=0.01), name
        assert row["flops"] == 2 * row["macs"]
        assert row["table_1"] == TABLE_1.get(name)


def test_each_difference_from_table_1_has_a_footnote_and_no_agreement_has_one(checked_in):
    for name, printed in TABLE_1.items():
        differing = {figure for figure in printed if not agrees(checked_in[name][figure], printed[figure])}
        assert differing == FOOTNOTES.get(name, {}).keys(), name


@pytest.mark.parametrize(
    ("value", "printed", "expected"),
    [
        (56_849_999, "56.8 M", True),
        (56_851_000, "56.8 M", False),
        (183_725, "183.72 k", True),
        (183_726, "183.72 k", False),
        (207_650_000_000, "207.7 G", True),
        (207_649_999_999, "207.7 G", False),
    ],
)
def test_agreement_is_to_the_last_printed_digit(value, printed, expected):
    assert agrees(value, printed) is expected


def test_the_page_reads_as_plain_text_and_numbers_its_footnotes():
    rows = [
        Complexity("pspnet", "PSPNet", 46_706_626, 103_950_000_000, 1149.4, 27_580.0),
        Complexity("deeplabv3plus_resnet50", "DeepLabV3+ (ResNet-50)", 40_341_026, 102_744_000_000, 900.0, 21_000.0),
        Complexity("resnext101", "ResNeXt101", 86_740_162, 48_364_000_000, 652.0, 15_600.0),
    ]
    lines = complexity.render_page(rows, MACHINE).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| network"))
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start : start + 5]]
    assert len({len(line) for line in lines[start : start + 5]}) == 1
    assert table[2] == ["PSPNet", "46,706,626", "46.71 M", "103.95 G", "207.90 G", "207.7 G [1]", "1149 ms", "27.6 s"]
    assert table[3][:3] == ["DeepLabV3+ (ResNet-50) [2]", "40,341,026", "–"]
    assert table[4][5] == "96.54 G [1]"
    footnotes = [line for line in lines if line[:3] in ("1. ", "2. ", "3. ")]
    assert footnotes == [
        f"1. {FOOTNOTES['pspnet']['flops']}",
        f"2. {FOOTNOTES['deeplabv3plus_resnet50']['label']}",
    ]


def test_the_command_writes_what_it_prints(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(complexity, "NETWORKS", {"espnet": "ESPNet"})
    monkeypatch.setattr("experiments.complexity.measuring.VOLUME_REPEATS", 1)
    assert main(["complexity", "--out", str(tmp_path / "new")]) == 0
    shown = capsys.readouterr().out
    assert (tmp_path / "new" / "complexity.md").read_text() in shown
    (row,) = json.loads((tmp_path / "new" / "measured.json").read_text())["rows"]
    assert row["label"] == "ESPNet"
    assert {"params", "macs", "flops", "slice_ms", "volume_ms", "table_1"} <= row.keys()
