"""The table of the networks' costs: ``complexity.md`` for readers, ``measured.json`` for reports.

``measured.json``::

    {"machine": {"processor": "...", "cores": 2, "threads": 2, "load_before": 0.1, "torch": "...", "ptflops": "..."},
     "rows": [{"network": "enet", "label": "ENet", "params": n, "macs": n, "slice_ms": t, "volume_ms": t, "note": "",
               "flops": n, "table_1": {"params": "353.76 k", "flops": "2.2 G"} | null}, ...]}
"""

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from custom_components.foundation.files import write_json, write_text
from custom_components.foundation.tables import markdown_table
from experiments.complexity.measuring import SIZE, SLICE_REPEATS, SLICES, VOLUME_REPEATS, Complexity
from experiments.complexity.table_1 import FOOTNOTES, TABLE_1
from experiments.describe import processor

# This file lies beside the code, so that the reports of an installation have it too.
MEASURED = Path(__file__).with_name("measured.json")
COLUMNS = ["network", "parameters", "Table 1", "MACs", "FLOPs", "Table 1", "one slice", f"{SLICES} slices"]


def describe_machine() -> dict[str, Any]:
    """The processor, the threads, the versions and the load that the times depend on.

    Call this function before the measurement, so that the load is that of other programs.
    """
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "ptflops": importlib.metadata.version("ptflops"),
    }


def write_page(rows: Sequence[Complexity], machine: Mapping[str, Any], page: Path, data: Path) -> None:
    """Writes the Markdown page and the JSON file."""
    entries = [asdict(row) | {"flops": row.flops, "table_1": TABLE_1.get(row.network)} for row in rows]
    write_text(page, render_page(rows, machine))
    write_json(data, {"machine": machine, "rows": entries})


def render_page(rows: Sequence[Complexity], machine: Mapping[str, Any]) -> str:
    """The page in Markdown; its table is aligned, so that the page also reads well unrendered."""
    numbers: dict[str, int] = {}
    table = markdown_table(COLUMNS, [_cells(row, numbers) for row in rows], aligned=True)
    footnotes = "\n".join(f"{number}. {text}" for text, number in numbers.items())
    return f"""# The cost of each network

Each figure is for one slice of 1x{SIZE}x{SIZE} and two classes, in PyTorch and float32 unless the row says otherwise.
The columns "Table 1" hold the figures that the paper prints. ptflops {machine["ptflops"]} counts the MACs; FLOPs = 2 x
MACs. A number in brackets refers to a footnote, for example on a difference from Table 1. `make complexity` writes this
page.

{table}

{footnotes}

The time of a slice is the median of {SLICE_REPEATS} runs, and the time of a volume is the median of {VOLUME_REPEATS}.
The slices of a volume are run one by one, as in inference.

{render_machine(machine)}
"""


def render_machine(machine: Mapping[str, Any]) -> str:
    """The result of :func:`describe_machine` in two sentences; the optional key ``gpu`` names the GPU that was used."""
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, torch "
        f"{machine['torch']}, {machine.get('gpu') or 'no GPU'}. The load average before the start was "
        f"{machine['load_before']}; a value well above 0 means that other programs shared the cores, and that the "
        "times are too long."
    )


def _cells(row: Complexity, numbers: dict[str, int]) -> list[str]:
    printed = TABLE_1.get(row.network, {})
    notes = {"label": row.note} if row.note else FOOTNOTES.get(row.network, {})

    def noted(figure: str, text: str) -> str:
        if figure not in notes:
            return text
        return f"{text} [{numbers.setdefault(notes[figure], len(numbers) + 1)}]"

    return [
        noted("label", row.label),
        f"{row.params:,}",
        noted("params", printed.get("params", "–")),
        f"{row.macs / 1e9:.2f} G",
        f"{row.flops / 1e9:.2f} G",
        noted("flops", printed.get("flops", "–")),
        f"{row.slice_ms:.0f} ms",
        f"{row.volume_ms / 1000:.1f} s",
    ]
