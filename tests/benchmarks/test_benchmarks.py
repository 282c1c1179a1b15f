"""The turns and the page of the benchmarks."""

from benchmarks.figure_table import render
from benchmarks.measure import Figure, in_turn, ratios

MACHINE = {"processor": "P", "cores": 2, "threads": 1, "torch": "2", "gpu": None, "load_before": 0.5}


def test_the_runs_take_turns_and_the_warm_up_is_not_counted():
    order = []
    times = in_turn(2, lambda: order.append("a"), lambda: order.append("b"))
    assert order == ["a", "b"] * 3
    assert [len(column) for column in times] == [2, 2]


def test_ratios_are_of_one_round_each():
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


def test_a_missed_target_is_shown_as_it_is():
    missed = Figure("a / b", [0.9, 1.5, 1.2], target=1.1, parts={"a, s": 12.0})
    met = Figure("start", [3.0], target=2.0, at_least=True, unit="s")
    page = render({"one": [missed], "two": [met]}, MACHINE)
    assert "| a / b | 1.2 (0.9 to 1.5) | 3 | ≤ 1.1 | no |" in page
    assert "| start | 3 s | 1 | ≥ 2 s | yes |" in page
    assert "- a / b: a, s 12" in page
    assert "Machine: P, 2 cores, 1 threads, torch 2, no GPU." in page
