"""The table of costs: ``complexity.md`` to read, ``complexity.json`` for other programs.

``complexity.json``::

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

from custom_components.files import write_json, write_text
from experiments.complexity.measuring import SIZE, SLICE_REPEATS, SLICES, VOLUME_REPEATS, Complexity
from experiments.complexity.table_1 import FOOTNOTES, TABLE_1
from experiments.describe import processor

COLUMNS = ["network", "parameters", "Table 1", "MACs", "FLOPs", "Table 1", "one slice", f"{SLICES} slices"]


def describe_machine() -> dict[str, Any]:
    """What the times depend on. Call it before measuring: the load is that of other programs."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "ptflops": importlib.metadata.version("ptflops"),
    }


def write_page(rows: Sequence[Complexity], machine: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``complexity.md`` and ``complexity.json`` into ``folder``, and give their paths."""
    entries = [asdict(row) | {"flops": row.flops, "table_1": TABLE_1.get(row.network)} for row in rows]
    page, data = folder / "complexity.md", folder / "complexity.json"
    write_text(page, render_page(rows, machine))
    write_json(data, {"machine": machine, "rows": entries})
    return [page, data]


def render_page(rows: Sequence[Complexity], machine: Mapping[str, Any]) -> str:
    """The page in Markdown, aligned so that it also reads as plain text."""
    numbers: dict[str, int] = {}
    table = [COLUMNS, *(_cells(row, numbers) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    table_lines = []
    for first, *others in table:
        numbers_right = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        table_lines.append(f"| {' | '.join([first.ljust(widths[0]), *numbers_right])} |")
    table_text = "\n".join(table_lines)
    footnotes = "\n".join(f"{number}. {text}" for text, number in numbers.items())
    return f"""# What each network costs

One slice of 1x{SIZE}x{SIZE}, two classes; PyTorch in float32 unless a row says otherwise. "Table 1" is the paper's, as
printed. MACs are counted by ptflops {machine["ptflops"]}; FLOPs = 2 x MACs. A number in brackets is a footnote, such as
why we differ. Written by `make complexity`.

{table_text}

{footnotes}

Times: {machine["processor"]}, {machine["cores"]} cores, {machine["threads"]} threads, torch {machine["torch"]}, no GPU;
median of {SLICE_REPEATS} runs of a slice and {VOLUME_REPEATS} of a volume,
which goes through slice by slice, as in inference.
The load average before the start was {machine["load_before"]}: well above 0 means that other work shared the cores,
and that the times are too long.
"""


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
