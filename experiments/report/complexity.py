"""What the study's networks cost, from the figures that ``make complexity`` keeps."""

from pathlib import Path

from custom_components.files import read_json
from experiments.report.scores import count
from experiments.report.study import Study
from reporting import NOTHING, Line, Table

MEASURED = Path(__file__).resolve().parents[2] / "docs" / "reference" / "complexity.json"
COLUMNS = ("network", "params", "paper", "GMACs", "GFLOPs", "paper", "one slice", "24 slices")


def complexity_table(study: Study) -> tuple[Table, str]:
    """The cost of each network of the study at 1x384x384, and a sentence on the machine."""
    measured = read_json(MEASURED)
    used = {row.network: row.role for row in study.rows}
    lines = [
        Line(
            [
                row["label"],
                count(row["params"]),
                (row["table_1"] or {}).get("params", NOTHING),
                f"{row['macs'] / 1e9:.2f}",
                f"{row['flops'] / 1e9:.2f}",
                (row["table_1"] or {}).get("flops", NOTHING),
                f"{row['slice_ms'] / 1000:.2f} s",
                f"{row['volume_ms'] / 1000:.1f} s",
            ],
            "teacher" if used[row["network"]] == "teacher" else "student",
        )
        for row in measured["rows"]
        if row["network"] in used
    ]
    machine = measured["machine"]
    note = (
        f"At 1x384x384, in float32. Times: {machine['processor']}, {machine['threads']} threads, no GPU. The paper's "
        "figures are those of its table 1; docs/reference/complexity.md explains each difference."
    )
    return Table(COLUMNS, lines), note
