"""What each run was made with, from its provenance."""

from experiments.report.study import Row, Study
from reporting import NOTHING, Line, Table

SHORT = 12  # characters of a hash, enough to find it


def run_table(study: Study) -> Table:
    """One line a run: its epochs, settings and hashes."""
    columns = ("run", "settings", "seed", "epochs", "best epoch", "weights", "git")
    return Table(columns, [Line(_cells(row), row.role) for row in study.rows], texts=2)


def _cells(row: Row) -> list[str]:
    made = row.provenance or {}
    epochs = len(row.training.get("epoch", ())) or NOTHING
    settings = ", ".join(f"{name.split('::')[-1]} {value}" for name, value in row.settings.items())
    return [
        row.name,
        settings,
        str(row.seed),
        str(epochs),
        str(made.get("epoch", NOTHING)),
        str(made.get("weights_sha256", NOTHING))[:SHORT],
        str(made.get("git_revision", NOTHING))[:SHORT],
    ]
