"""The cost of each network: parameters, operations and CPU time, beside the paper's Table 1."""

from experiments.complexity.cost_table import MEASURED, describe_machine, render_machine, render_page, write_page
from experiments.complexity.measuring import NETWORKS, measure, measure_exported

__all__ = [
    "MEASURED",
    "NETWORKS",
    "describe_machine",
    "measure",
    "measure_exported",
    "render_machine",
    "render_page",
    "write_page",
]
