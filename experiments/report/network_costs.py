"""The cost of each network of a study, from the file that ``make complexity`` writes."""

from custom_components.foundation.files import read_json
from experiments.complexity import MEASURED
from experiments.report.scores import count
from experiments.report.study import StudyRecord
from reporting.table import NOTHING, Line, Table

COLUMNS = ("network", "params", "paper", "GMACs", "GFLOPs", "paper", "one slice", "24 slices")


def cpu_time(network: str) -> str:
    """The time of one slice of 1x384x384 on a CPU, such as ``57 ms``; a dash for a network that was not measured."""
    times = {row["network"]: row["slice_ms"] for row in read_json(MEASURED)["rows"]}
    return f"{times[network]:.0f} ms" if network in times else NOTHING


def network_costs(study: StudyRecord) -> tuple[Table, str]:
    """The cost of each network of the study for a slice of 1x384x384, and a note on how it was measured."""
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
        f"Each figure is for slices of 1x384x384 in float32. The times were measured on {machine['processor']} with "
        f"{machine['threads']} threads and without a GPU. The columns “paper” hold the figures of the paper's table 1; "
        "docs/reference/complexity.md explains each difference."
    )
    return Table(COLUMNS, lines), note
